/**
 * Who is asked for addresses, as a person names them: as `dcsend/engines/turn.py` and `stun.py`.
 * Imports only errors.ts.
 */
import { UsageError } from "../errors.ts";

/** Tells a browser its public address, and nothing else; the default of dcsend, too. */
export const DEFAULT_SERVER = "stun:stun.l.google.com:19302";

const STUN = /^stun:[^@\s?/]+$/i;
const TURN = /^(turns?):([^:@\s]+):([^@\s]*)@([^@\s?/]+)(\?transport=(?:udp|tcp))?$/i;

/**
 * Read a list of servers, separated by white space: `stun:HOST[:PORT]`, or
 * `turn:USER:PASSWORD@HOST[:PORT][?transport=tcp]`. Throws UsageError for anything else.
 */
export function parseServers(text: string): RTCIceServer[] {
  const named = text.split(/\s+/).filter((uri) => uri !== "" && uri !== "none");
  return named.map((uri) => {
    if (STUN.test(uri)) return { urls: uri };
    const turn = TURN.exec(uri);
    if (turn === null) {
      throw new UsageError(
        `this is not a server: ${uri.replace(/^.*@/, "…@").replace(/^(turns?:).*/i, "$1…")}`,
        "write stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT",
      );
    }
    const [, scheme = "", user = "", password = "", host = "", query = ""] = turn;
    return {
      urls: `${scheme.toLowerCase()}:${host}${query}`,
      username: unescaped(user),
      credential: unescaped(password),
    };
  });
}

/** Undo percent-encoding; a lone % stands for itself. */
function unescaped(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (bytes) => {
    try {
      return decodeURIComponent(bytes);
    } catch {
      return bytes;
    }
  });
}
