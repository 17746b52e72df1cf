/**
 * Which rendezvous server is used: the one written into the page, and the `@host` of a short code.
 * As `dcsend/rendezvous/servers.py`.
 */
import { MalformedCode, UsageError } from "../errors.ts";
import { printable } from "../printable.ts";
import { readHost } from "../signaling/host.ts";

/** A rendezvous server. */
export interface Server {
  /** Of its WebSocket: `wss://` or `ws://`. */
  readonly url: string;
  /**
   * For users, and what follows `@` in a code: `public`, or the URL without `wss://` and `/v1`. That
   * of a `ws://` URL is the whole URL, which no code can contain.
   */
  readonly name: string;
}

/** The public server of magic-wormhole, which is used only where the user names it. */
export const PUBLIC: Server = { url: "wss://relay.magic-wormhole.io/v1", name: "public" };

const NONE = "none";
/** Path of the WebSocket where a URL has none. */
const PATH = "/v1";
const MAX_URL = 300;
const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?";
const NAME = new RegExp(`^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*\\.?$`);
const IN_PATH = /^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*$/;

/** Whether a code can name the server: `@name`, in the canonical form of hosts in codes. */
export function fitsInCode({ url, name }: Server): boolean {
  try {
    return url.startsWith("wss://") && readHost(name) === name;
  } catch (error) {
    if (error instanceof MalformedCode) return false;
    throw error;
  }
}

/**
 * Read the server that is written into a page: a URL, a host, `public`, or `none`; null for `none`.
 * Throws UsageError for anything else.
 */
export function readOption(text: string): Server | null {
  const bare = text.trim();
  if (bare.toLowerCase() === NONE) return null;
  return bare.includes("://") ? read(bare) : serverAt(bare);
}

/**
 * Return the server that a short code names: `public`, or `host[:port][/path]` over TLS. Throws
 * UsageError for anything else.
 */
export function serverAt(host: string): Server {
  if (host.toLowerCase() === PUBLIC.name) return PUBLIC;
  if (host.includes("://")) throw refusal(host, "a code names a server by its host alone");
  return read(`wss://${host}`);
}

/** Return the mailbox of the page's own origin; null for a page that no server has sent. */
export function ownServer({ protocol, host }: { protocol: string; host: string }): Server | null {
  if (protocol !== "https:" && protocol !== "http:") return null;
  return read(`${protocol === "https:" ? "wss" : "ws"}://${host}`);
}

function read(url: string): Server {
  if (url.length > MAX_URL) throw refusal(url, `it is longer than ${MAX_URL} characters`);
  if (printable(url) !== url || url.includes(" ")) {
    throw refusal(url, "it contains a space or an invisible character");
  }
  const [, scheme = "", authority = "", path = ""] =
    /^([^:/]*):\/\/([^/?#\\]*)(.*)$/.exec(url.replace(/^[^:]*/, (name) => name.toLowerCase())) ??
    [];
  if (scheme !== "ws" && scheme !== "wss") {
    throw refusal(url, `${scheme}:// is not wss:// or ws://`);
  }
  if (/[?#\\]/.test(url) || authority.includes("@")) {
    throw refusal(url, "it has more than a host, a port and a path");
  }
  const place = `${hostOf(url, authority)}${portOf(url, authority, scheme)}`;
  if (!IN_PATH.test(path)) throw refusal(url, "its path has other characters than a URL");
  const full = `${scheme}://${place}${path === "" || path === "/" ? PATH : path}`;
  if (full === PUBLIC.url) return PUBLIC;
  if (scheme === "ws") return { url: full, name: full };
  const name = full.slice("wss://".length).replace(/^([^/]*)\/v1$/, "$1");
  if (name === PUBLIC.name || name === NONE) throw refusal(url, `${name} has a meaning of its own`);
  return { url: full, name };
}

/** Return the host in lower case: a name in ASCII, or an IP address. */
function hostOf(url: string, authority: string): string {
  const [, host = ""] = /^(\[[^\]]*\]|[^:[\]]*)(?::|$)/.exec(authority) ?? [];
  let name = "";
  try {
    // The browser's own reading: IDNA, and the canonical form of IPv6 addresses.
    if (host !== "" && !host.includes("%")) name = new URL(`http://${host}/`).hostname;
  } catch {
    // Not a host.
  }
  if (!name.startsWith("[") && !NAME.test(name)) {
    throw refusal(url, "its host is not a name or an IP address");
  }
  return name;
}

/** Return the port behind its colon; empty for that of the scheme. */
function portOf(url: string, authority: string, scheme: "ws" | "wss"): string {
  const [, digits] = /:([^:\]]*)$/.exec(authority) ?? [];
  if (digits === undefined) return "";
  const port = Number(digits);
  if (!/^\d{1,5}$/.test(digits) || port === 0 || port > 65_535) {
    throw refusal(url, "its port is not a number from 1 to 65535");
  }
  return port === (scheme === "wss" ? 443 : 80) ? "" : `:${port}`;
}

function refusal(text: string, why: string): UsageError {
  const shown = printable(text.slice(0, 80) + (text.length > 80 ? "…" : ""));
  return new UsageError(
    `'${shown}' names no rendezvous server: ${why}`,
    "write HOST or HOST:PORT of a server with TLS (wss:), or public",
  );
}
