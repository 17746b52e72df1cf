/**
 * Codes in this page: how each kind connects, which server a short code uses, what completes it, and
 * how the other side enters one that is shown.
 */
import type { Shown } from "./display/showing.ts";
import { MalformedCode, UsageError } from "./errors.ts";
import { dial, newCertificate } from "./peers/browser.ts";
import { isPublic } from "./peers/reasons.ts";
import { Trickle } from "./peers/trickle.ts";
import { fitsInCode, ownServer, readOption, type Server } from "./rendezvous/servers.ts";
import { type Connect, either } from "./session/either.ts";
import { iceServers } from "./session/ice_settings.ts";
import { type JoinOptions, join } from "./session/joining.ts";
import { LastingConnection } from "./session/lasting.ts";
import { begunAgain } from "./session/meeting_again.ts";
import { type ShowOptions, showCodes } from "./session/short_codes.ts";
import type { Ticket } from "./session/ways_back.ts";
import { decode, icePassword } from "./signaling/dialcode.ts";
import { bothCodes } from "./signaling/link.ts";
import { completed, isShortCode, read, type ShortCode } from "./signaling/shortcode.ts";

/** A number and a letter, after which a word can be completed. */
const NUMBERED = /^\W*\d{1,6}[\s\p{P}]+[a-z]/iu;

/** Hosts that mean the same device. */
const LOOPBACK = /^(.*\.)?localhost$|^127\.|^\[::1\]$/;

/** Whether another device can open the page: it comes from a server, not on this device. */
function isPublished(): boolean {
  return /^http/.test(location.protocol) && !LOOPBACK.test(location.hostname);
}

/**
 * Return the rendezvous server that is written into the page; null if there is none, or if it is on
 * the device that serves the page, where other devices can't reach it.
 */
export function namedServer(): Server | null {
  const meta = document.querySelector<HTMLMetaElement>("meta[name=dcsend-server]");
  const server = meta?.content ? readOption(meta.content) : null;
  const isLocal = server !== null && LOOPBACK.test(new URL(server.url).hostname);
  return isLocal && isPublished() ? null : server;
}

/** Return how the other side enters a code of this page in a role. */
export function described(code: string, role: "sender" | "receiver", server: Server): Shown {
  const command = role === "sender" ? `receive ${code}` : `send PATH --to ${code}`;
  const named = fitsInCode(server) ? "" : ` --server ${server.url}`;
  const page = location.href.split("#")[0] ?? "";
  return {
    code,
    command: `dcsend ${command}${named}`,
    link: isPublished() ? `${page}#${code}` : "",
  };
}

/** Return the server of `code`: its own, that of the page, or the origin of the page. */
export function serverFor({ host }: ShortCode): Server {
  const server = host === "" ? (namedServer() ?? ownServer(location)) : readOption(host);
  if (server !== null) return server;
  throw new UsageError(
    "this page names no rendezvous server, and neither does the code",
    "ask for the whole code, with @ and the server, or scan the QR code of the other side",
  );
}

/**
 * Whether a rendezvous server that answers shows that TCP reaches the internet: one with TLS, whose
 * certificate is not of an address in this network.
 */
export function isOutside({ url }: Server): boolean {
  return url.startsWith("wss:") && isPublic({ host: new URL(url).hostname });
}

/** Return what begins ICE for a short code on `server`, with STUN and TURN servers that are named. */
export function opening(server: Server, named: readonly RTCIceServer[]): JoinOptions["open"] {
  return (offers, offered, certificate) => {
    const servers = iceServers(named, offered);
    return new Trickle(offers, servers, isOutside(server), undefined, certificate);
  };
}

/** The options of a short code, without those of one attempt to join. */
export type Joining = Omit<JoinOptions, "certificate">;

/** How a code connects. */
export interface Way {
  readonly connect: Connect;
  /** When the code expires, in seconds since 1970. */
  readonly expires: number;
  /** What can still be used after the one guess of a short code; empty for nothing. */
  readonly left: string;
}

/**
 * Return how a scanned or typed code of any kind connects. `options` are those of a short code.
 * Throws UsageError if the code can't be read or used.
 */
export function wayOf(text: string, options: (server: Server) => Joining): Way {
  const codes = bothCodes(text);
  if (codes !== null) {
    const way = wayOf(codes[0], options);
    const join = besideDial(`#${codes[1]}`, options);
    // The number of an expired code may be that of another side by now.
    if (join === null || way.expires < Date.now() / 1000) return way;
    return { ...way, connect: (signal) => either(way.connect, join, signal), left: codes[0] };
  }
  if (isShortCode(text)) {
    const short = read(text);
    const chosen = { ...options(serverFor(short)), isLink: text.includes("#") };
    const connect = async (signal: AbortSignal) =>
      join(short, { ...chosen, certificate: await newCertificate() }, signal);
    return { connect, expires: Number.POSITIVE_INFINITY, left: "" };
  }
  return dialWay(text);
}

/**
 * Return how a dial code connects; with the certificate `kept` by a page that was loaded again.
 * Throws UsageError if the code can't be read.
 */
function dialWay(text: string, kept?: RTCCertificate): Way {
  const { addresses, fingerprint, secret, expires } = decode(text);
  const target = { addresses, fingerprint, password: icePassword(secret) };
  const server = location.hostname.replace(/^\[|\]$/g, "");
  const connect = async (signal: AbortSignal) => {
    // The listener recognises this side by its certificate.
    const certificate = kept ?? (await newCertificate());
    const options = { server, certificate };
    return new LastingConnection(
      await dial(target, { ...options, signal }),
      (patience, ended) => dial(target, { ...options, patience, signal: ended }),
      certificate === undefined ? null : { code: text, certificate },
      kept !== undefined,
    );
  };
  return { connect, expires, left: "" };
}

/**
 * Return how a page that was loaded again connects by what it has kept; `options` are those of a short
 * code.
 */
export function wayBack(
  { code, certificate, reunion }: Ticket,
  options: (server: Server, servers: string) => Pick<JoinOptions, "open">,
): Connect {
  if (reunion === undefined) return dialWay(code, certificate).connect;
  const chosen = { ...options(reunion.server, reunion.servers), certificate };
  return (signal) => begunAgain(reunion, chosen, signal);
}

/** Options of codes that this page shows. */
export interface Showing extends Omit<ShowOptions, "certificate" | "show"> {
  /** Shows a code; null while a new one is made. */
  readonly show: (shown: Shown | null) => void;
}

/** Return how codes that this page shows in a role connect. */
export function showing(role: "sender" | "receiver", options: Showing): Connect {
  const show = (code: string | null) =>
    options.show(code === null ? null : described(code, role, options.server));
  return async (signal) =>
    showCodes({ ...options, show, certificate: await newCertificate() }, signal);
}

/** Return how the short code of a link with both connects; null if this page names no server. */
function besideDial(text: string, options: (server: Server) => Joining): Connect | null {
  try {
    return wayOf(text, options).connect;
  } catch (error) {
    if (!(error instanceof UsageError) || error instanceof MalformedCode) throw error;
    return null;
  }
}

/** Return texts that complete the last word of `typed`, if that is a short code. */
export function complete(typed: string): string[] {
  if (!NUMBERED.test(typed)) return [];
  return completed(typed).filter((text) => text !== typed);
}
