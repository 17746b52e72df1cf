/**
 * The server of a short code, written after the `@`: a host, perhaps with a port and a path.
 *
 * As `dcsend/signaling/host.py`, with the same canonical form: ASCII, the host in
 * lower case, names of other scripts as A-labels (RFC 5890), IPv6 addresses as RFC 5952 spells them.
 */
import { IncompleteCode, MalformedCode } from "../errors.ts";
import { printable } from "../printable.ts";

const HINT = "write it as HOST, HOST:PORT or [IPV6]:PORT, perhaps with a /path, or as public";
/** Characters of the text that an error message shows. */
const MAX_SHOWN = 60;
/** Characters of a host name (RFC 1035, without the final dot). */
const MAX_NAME = 253;
const MAX_LABEL = 63;
const MAX_PATH = 200;

const BLANK = String.raw`\s\x00-\x1f\x7f-\x9f`;
/** With punctuation that texts add around a host; none of it begins or ends one. */
const AROUND = `${BLANK}'"\`´<>.,;!?*|=\\\\(){}$«»‹›“”„‟‘’‚‛·•…`;
const START = new RegExp(`^[${AROUND}]+`, "u");
const END = new RegExp(`[${AROUND}:]+$`, "u");
/** Closes a bracket that is opened before the code. */
const END_WITH_BRACKET = new RegExp(`[${AROUND}:\\]]+$`, "u");
const INSIDE = new RegExp(`[${BLANK}]`, "u");
const AUTHORITY = /^(\[[^[\]]*\]|[^:[\]@]+)(?::([0-9]{1,5}))?$/u;
/** Without a zone, which has a meaning on one machine only, and without the form of IPv4. */
const IPV6 = /^\[[0-9a-fA-F:]+\]$/;
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+\/?$/;
/** Names in local networks have underscores, too. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?$/;
const IS_NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;
const IPV4_MAPPED = /^\[::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}\]$/;

/**
 * Return the canonical form of what follows the `@`, such as `relay.example:4000/v1`.
 *
 * White space and punctuation around it are ignored, as are invisible characters, a port's leading
 * zeros, and a path that is only `/`. `public` is a host name like others. Throws IncompleteCode if
 * there is nothing, MalformedCode if it is no host with an optional port (1 to 65535) and path, has
 * white space, control characters, a user name or a scheme, or is `none`.
 */
export function readHost(given: string): string {
  const text = trimmed(given.replace(/\p{Cf}/gu, "").normalize("NFKC"));
  if (text === "") throw new IncompleteCode("the server of the code is missing after the @", HINT);
  if (INSIDE.test(text)) throw malformed(text, "has spaces or control characters");
  if (text.includes("://")) throw malformed(text, "has a scheme");
  const [authority = ""] = text.split("/", 1);
  if (authority.includes("@")) throw malformed(text, "has a user name");
  const found = AUTHORITY.exec(authority);
  if (found === null) {
    const isIpv6 = authority.split(":").length > 2 && !authority.includes("[");
    const reason = isIpv6 ? "has an IPv6 address without brackets" : "";
    throw malformed(text, reason || "is not a host with an optional port");
  }
  const [, name = "", port] = found;
  const host = name.startsWith("[") ? ipv6(text, name) : hostName(text, name);
  const whole = host + readPort(text, port) + readPath(text, text.slice(authority.length));
  // As a value of --server, no server; so no server has this name.
  if (whole === "none") {
    const hint = "leave it out, or write the server after the @";
    throw new MalformedCode("the code names no server: @none", hint);
  }
  return whole;
}

/** Return `digits` as they follow a host, with a colon; empty if there are none. */
function readPort(text: string, digits: string | undefined): string {
  if (digits === undefined) return "";
  const port = Number(digits);
  if (port < 1 || port > 0xffff) {
    throw malformed(text, "has a port that is not in the range 1 to 65535");
  }
  return `:${port}`;
}

function readPath(text: string, path: string): string {
  if (path === "/") return "";
  if (path.length > MAX_PATH || (path !== "" && !PATH.test(path))) {
    throw malformed(text, "has an invalid path");
  }
  return path;
}

/** Return `text` without white space, control characters and punctuation around it. */
function trimmed(text: string): string {
  return text.replace(START, "").replace(text.includes("[") ? END : END_WITH_BRACKET, "");
}

function ipv6(text: string, bracketed: string): string {
  const host = IPV6.test(bracketed) ? urlHost(bracketed) : "";
  if (host === "") throw malformed(text, "has an invalid IPv6 address");
  if (IPV4_MAPPED.test(host)) {
    throw malformed(text, "has an IPv4 address in the form of an IPv6 address");
  }
  return host;
}

/** Return a host name or an IPv4 address in its canonical form. */
function hostName(text: string, name: string): string {
  const labels = name.toLowerCase().replaceAll("。", ".").split(".").map(asciiLabel);
  const host = labels.join(".");
  // As URLs do it: a name whose last label is a number is an IPv4 address or nothing.
  const isNumber = IS_NUMBER.test(labels.at(-1) ?? "");
  if (labels.includes("") || host.length > MAX_NAME || (isNumber && !IPV4.test(host))) {
    throw malformed(text, "has an invalid host name");
  }
  return host;
}

/** Return the ASCII form of one label; empty if it is invalid. */
function asciiLabel(label: string): string {
  let ascii = label;
  if (/[^\0-\x7f]/.test(label)) {
    const normal = label.normalize("NFKC");
    if (!/^(?!\p{M})[-\p{L}\p{M}\p{N}]+$/u.test(normal)) return "";
    ascii = urlHost(normal);
    if (!ascii.startsWith("xn--")) return "";
  }
  return ascii.length <= MAX_LABEL && LABEL.test(ascii) ? ascii : "";
}

/** Return a host as URLs write it; empty if it is invalid. */
function urlHost(host: string): string {
  try {
    return new URL(`ws://${host}/`).hostname;
  } catch {
    return "";
  }
}

function malformed(text: string, reason: string): MalformedCode {
  const characters = [...text];
  const more = characters.length > MAX_SHOWN ? "…" : "";
  const shown = printable(characters.slice(0, MAX_SHOWN).join("")) + more;
  return new MalformedCode(`the server '${shown}' ${reason}`, HINT);
}
