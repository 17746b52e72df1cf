/**
 * The STUN and TURN servers that a rendezvous server offers: `ice-servers`. As
 * `dcsend/rendezvous/ice_servers.py`.
 */
import { isObject, WireError } from "./wire.ts";

/** Servers in one list. */
export const MAX_SERVERS = 8;

const MAX_URLS = 4;
const MAX_URL = 300;
/** UTF-16 units of a user name or password. */
const MAX_ACCOUNT = 512;
const SCHEME = /^(stuns?|turns?):[!-~]+$/i;
const RELAY = /^turns?:/i;

/** One server, as RTCIceServer of the WebRTC API. */
export interface IceServer {
  /** RFC 7064 and RFC 7065; at least one. */
  readonly urls: string[];
  readonly username: string;
  /** A password; empty for STUN. */
  readonly credential: string;
}

/**
 * Read a list of `{"urls": …, "username": …, "credential": …}`.
 *
 * `urls` is a text or a list of texts. URLs with other schemes than stun, stuns, turn and turns are
 * left out, since a later version may define them; so are servers without any other. Throws
 * WireError if the list, or a field of a server, has the wrong type or is too long, or a TURN server
 * has no account.
 */
export function parseIceServers(value: unknown): IceServer[] {
  if (!Array.isArray(value) || value.length > MAX_SERVERS) {
    throw new WireError(`ice-servers is not a list of at most ${MAX_SERVERS} servers`);
  }
  return value.map(parseServer).filter(({ urls }) => urls.length > 0);
}

function parseServer(item: unknown): IceServer {
  if (!isObject(item)) throw new WireError("ice-servers has an entry that is not an object");
  const listed: unknown = typeof item.urls === "string" ? [item.urls] : item.urls;
  if (!Array.isArray(listed) || listed.length > MAX_URLS) {
    throw new WireError(`ice-servers has an entry without a list of at most ${MAX_URLS} URLs`);
  }
  if (!listed.every((url) => typeof url === "string" && url.length <= MAX_URL)) {
    throw new WireError(`ice-servers has a URL that is not text of at most ${MAX_URL} characters`);
  }
  const urls = listed.filter((url: string) => SCHEME.test(url));
  const [username, credential] = [account(item, "username"), account(item, "credential")];
  if ((username === "" || credential === "") && urls.some((url) => RELAY.test(url))) {
    throw new WireError("ice-servers has a TURN server without an account");
  }
  return { urls, username, credential };
}

function account(item: Readonly<Record<string, unknown>>, key: string): string {
  const value = key in item ? item[key] : "";
  // JSON can contain an unpaired surrogate, and no encoding of text can.
  if (typeof value !== "string" || value.length > MAX_ACCOUNT || /\p{Surrogate}/u.test(value)) {
    throw new WireError(`ice-servers has a ${key} that is not text`);
  }
  return value;
}
