/**
 * STUN and TURN servers, as a person enters them. As `dcsend/ice/turn_server.py` and
 * `dcsend/ice/stun.py`.
 */
import { ConnectionFailed, UsageError } from "../errors.ts";

/** The default STUN server, also of dcsend. */
export const DEFAULT_SERVER = "stun:stun.l.google.com:19302";

const STUN = /^stun:[^@\s?/]+$/i;
/**
 * The last @ and the last : before it separate, since users of coturn's REST API contain a colon.
 */
const TURN = /^(turns?):(\S+):([^:\s]*)@([^@\s?/]+?)(\?transport=(?:udp|tcp))?$/i;
/** The code for a server that did not answer (W3C WebRTC, 4.8.2.1). */
const NO_ANSWER = 701;
const UNAUTHORIZED = 401;

/**
 * Read a list of servers, separated by white space: `stun:HOST[:PORT]`, or
 * `turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]`. Throws UsageError for anything else.
 */
export function parseServers(text: string): RTCIceServer[] {
  const named = text.split(/\s+/).filter((uri) => uri !== "" && uri !== "none");
  return named.map((uri) => {
    if (STUN.test(uri)) return { urls: uri };
    if (/^stuns:/i.test(uri)) {
      throw new UsageError(
        "a STUN server is asked over UDP, without TLS: stuns: is not supported",
        "write stun:HOST:PORT; nothing secret is sent to it",
      );
    }
    const turn = TURN.exec(uri);
    if (turn === null) {
      throw new UsageError(
        `this is not a server: ${uri.replace(/^.*@/, "…@").replace(/^(turns?:).*/i, "$1…")}`,
        "write stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT",
      );
    }
    const [, scheme = "", user = "", password = "", host = "", query = ""] = turn;
    // A browser would use TCP without an error.
    if (scheme.toLowerCase() === "turns" && query.toLowerCase().endsWith("udp")) {
      throw new UsageError(
        `the server ${host} is reached over TCP with turns:, not over UDP`,
        "leave ?transport=udp out, or write turn: for UDP",
      );
    }
    return {
      urls: `${scheme.toLowerCase()}:${host}${query}`,
      username: unescaped(user),
      credential: unescaped(password),
    };
  });
}

/** Return whether one of the servers relays. */
export function hasRelay(servers: readonly RTCIceServer[]): boolean {
  return servers.some(isRelay);
}

/** The fields used here of an RTCPeerConnectionIceErrorEvent. */
export interface ServerError {
  readonly url: string;
  readonly errorCode: number;
  readonly errorText: string;
}

/**
 * Return the errors of the servers, as far as they show in the candidates of an offer.
 *
 * Browsers report an error for each interface and address family, so an error that is not an answer
 * of the server counts only if no candidate of that kind was found. For a relay there may be no
 * report in time.
 */
export function serverProblems(
  servers: readonly RTCIceServer[],
  errors: readonly ServerError[],
  sdp: string,
): ConnectionFailed[] {
  const isReflexive = / typ srflx\b/.test(sdp);
  const isRelayed = / typ relay\b/.test(sdp);
  return servers.flatMap((server) => {
    const own = errors.filter(({ url }) => placeOf(url) === placeOf(String(server.urls)));
    const answered = own.find(({ errorCode }) => errorCode !== NO_ANSWER);
    const error = answered ?? own[0];
    if (isRelay(server)) {
      const isFine = isRelayed && answered === undefined;
      return isFine ? [] : [relayProblem(String(server.urls), error)];
    }
    if (isReflexive || error === undefined) return [];
    const lacks = /lookup/i.test(error.errorText) ? "can't be found" : "does not answer";
    const said = `the STUN server ${host(server)} ${lacks}; the code has no public address`;
    return [new ConnectionFailed(said)];
  });
}

function relayProblem(url: string, error: ServerError | undefined): ConnectionFailed {
  const relay = `the TURN server ${host({ urls: url })}`;
  if (error === undefined) {
    return new ConnectionFailed(
      `${relay} gives no address`,
      "look at its name, user and password in Servers",
    );
  }
  if (error.errorCode === UNAUTHORIZED) {
    return new ConnectionFailed(
      `${relay} refuses this user or password (401)`,
      "look at user and password in Servers; %3A stands for a : in the password",
    );
  }
  if (error.errorCode !== NO_ANSWER) {
    return new ConnectionFailed(`${relay} gives no address: error ${error.errorCode}`);
  }
  if (/lookup/i.test(error.errorText)) {
    return new ConnectionFailed(`${relay} can't be found`, "look at the spelling of its name");
  }
  if (url.startsWith("turns:")) {
    return new ConnectionFailed(
      `${relay} does not answer, or this browser does not trust its certificate`,
    );
  }
  return new ConnectionFailed(
    `${relay} does not answer`,
    "if UDP is blocked here, add ?transport=tcp, or write turns: with port 443",
  );
}

function isRelay({ urls }: RTCIceServer): boolean {
  return String(urls).startsWith("turn");
}

function host({ urls }: RTCIceServer): string {
  return String(urls)
    .replace(/^\w+:/, "")
    .replace(/(:\d+)?(\?.*)?$/, "");
}

/**
 * Return the common part of the URLs of one server; browsers add the default port, and a transport.
 */
export function placeOf(url: string): string {
  const [, scheme = "", rest = "", port] = /^(\w+):(\[[^\]]*\]|[^:?]*)(?::(\d+))?/.exec(url) ?? [];
  const transport = /transport=(\w+)/.exec(url)?.[1] ?? (scheme === "turns" ? "tcp" : "udp");
  return [scheme, rest, port ?? (scheme === "turns" ? "5349" : "3478"), transport].join(" ");
}

/** Undo percent-encoding; a lone % is kept. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
}
