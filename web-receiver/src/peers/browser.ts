/**
 * The browser's WebRTC, dialing a listener by its code or connected by two descriptions. As
 * trickle.ts, which is for short codes, it needs no secure context and no DOM.
 */
import { ConnectionFailed, DcsendError } from "../errors.ts";
import { answer, type DialTarget } from "./answer.ts";
import { BrowserConnection, type NewPeer, ownPeerConnection } from "./connection.ts";
import type { Connection, Link } from "./contract.ts";
import { isConnected, type RemoteAddress } from "./reasons.ts";
import { hasRelay, type ServerError, serverProblems } from "./servers.ts";

export type { DialTarget } from "./answer.ts";

/** An offer can be answered once. */
const ANEW = "start again with two new codes";

/** Seconds until a dial is given up. Chromium itself gives up after 15, Firefox after 11. */
export const DIAL = 15;

/**
 * Seconds until a first dial is given up if no check was answered. Browsers send checks for about as long
 * (Chromium at least one a second, Firefox for 11 s), so a slow path has answered by then.
 */
export const SILENT = 10;

/** Seconds to gather candidates; a dead server must not delay the code. */
export const GATHERING = 2.5;
/** The same with a TURN server, until there is a relayed candidate: TLS takes round trips. */
export const RELAYING = 4;

/** Make a certificate for several connections; undefined where the browser has no WebRTC. */
export async function newCertificate(): Promise<RTCCertificate | undefined> {
  const parameters = { name: "ECDSA", namedCurve: "P-256" };
  return globalThis.RTCPeerConnection?.generateCertificate(parameters);
}

/** Options of a dial. */
export interface DialOptions {
  /** Seconds until it is given up. */
  readonly timeout?: number;
  /** In place of SILENT. */
  readonly patience?: number;
  /** Of this side; a new one by default. */
  readonly certificate?: RTCCertificate | undefined;
  /** The host that has served this page; used to explain a failure. */
  readonly server?: string;
  /** Ends an attempt that has not succeeded yet; without effect afterwards. */
  readonly signal?: AbortSignal;
  /** Replaces the browser's own in tests. */
  readonly peerConnection?: NewPeer;
}

/**
 * Connect to the listener at one of the target's addresses; resolve when all channels are open.
 *
 * Rejects with CodeUsed where the browser shows that the listener has refused the code, otherwise
 * with ConnectionFailed, whose message has what is known; the connection is closed then.
 */
export async function dial(target: DialTarget, options: DialOptions = {}): Promise<Link> {
  const { timeout = DIAL, patience = SILENT, server = "", signal } = options;
  const { peerConnection = ownPeerConnection } = options;
  const certificates = options.certificate && [options.certificate];
  let connection: BrowserConnection | undefined;
  const abort = () => connection?.close();
  let silent: ReturnType<typeof setTimeout> | undefined;
  try {
    // No server and no trickle ICE: the listener's address is in the code, ours in our checks.
    const peer = peerConnection({ iceServers: [], ...(certificates && { certificates }) });
    connection = new BrowserConnection(peer);
    silent = setTimeout(() => {
      if (!isConnected({ ice: peer.iceConnectionState })) abort();
    }, patience * 1000);
    signal?.addEventListener("abort", abort);
    const sdp = answer(await connection.offer(), target);
    const { addresses: theirs } = target;
    await connection.accept(sdp, timeout, { role: "dialer", theirs, asked: false, server });
    return connection;
  } catch (error) {
    connection?.close();
    if (error instanceof DcsendError) throw error;
    throw new ConnectionFailed(`the browser refused to connect: ${error}`);
  } finally {
    clearTimeout(silent);
    signal?.removeEventListener("abort", abort);
  }
}

/** Options of an offer. */
export interface OfferOptions {
  /** STUN and TURN servers. */
  readonly iceServers?: RTCIceServer[];
  /** In place of GATHERING. */
  readonly gathering?: number;
  /** In place of RELAYING. */
  readonly relaying?: number;
  /** Replaces the browser's own in tests. */
  readonly peerConnection?: NewPeer;
}

/** An offer that waits for its answer, as long as a person takes to bring it. */
export interface Offering {
  /** The browser's own description, with the candidates found so far. */
  readonly sdp: string;
  /** The identification tag of its one media section. */
  readonly mid: string;
  /** Unusable servers, with the reasons. */
  readonly problems: readonly ConnectionFailed[];
  /** Connect to the peer that has answered; see `dial`. At most once, even after a failure. */
  connect(answerSdp: string, options?: DialOptions): Promise<Connection>;
  /** Discard it. */
  close(): void;
}

/** Make an offer, for the exchange of two descriptions. Rejects with ConnectionFailed. */
export async function offer(options: OfferOptions = {}): Promise<Offering> {
  const { iceServers = [], gathering = GATHERING, relaying = RELAYING } = options;
  const { peerConnection = ownPeerConnection } = options;
  const errors: ServerError[] = [];
  let connection: BrowserConnection | undefined;
  try {
    const peer = peerConnection({ iceServers });
    peer.onicecandidateerror = (error) => errors.push(error);
    connection = new BrowserConnection(peer);
    await connection.offer();
    const sdp = await connection.gathered(gathering, hasRelay(iceServers) ? relaying : 0);
    const made = connection;
    return {
      sdp,
      mid: /^a=mid:(\S+)/im.exec(sdp)?.[1] ?? "0",
      problems: serverProblems(iceServers, errors, sdp),
      connect: (answerSdp, chosen) =>
        connectOffered(made, answerSdp, iceServers.length > 0, chosen),
      close: () => made.close(),
    };
  } catch (error) {
    connection?.close();
    if (error instanceof DcsendError) throw error;
    throw new ConnectionFailed(`the browser refused to make an offer: ${error}`);
  }
}

async function connectOffered(
  connection: BrowserConnection,
  answerSdp: string,
  asked: boolean,
  { timeout = 17, signal }: DialOptions = {},
): Promise<Connection> {
  const abort = () => connection.close();
  signal?.addEventListener("abort", abort);
  try {
    const theirs = places(answerSdp);
    await connection.accept(answerSdp, timeout, { role: "offerer", theirs, asked, server: "" });
    return connection;
  } catch (error) {
    connection.close();
    if (error instanceof DcsendError) throw error;
    throw new ConnectionFailed(`the browser refused the answer: ${error}`, ANEW);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Return the transport addresses in the peer's answer. */
function places(sdp: string): RemoteAddress[] {
  const candidates = sdp.matchAll(/^a=candidate:(?:\S+ ){4}(\S+) (\d+) typ (\S+)/gim);
  return [...candidates].map(([, host = "", port, type]) => {
    return { host, port: Number(port), relayed: type === "relay" };
  });
}
