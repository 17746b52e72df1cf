/**
 * The browser's WebRTC, dialing a listener by its code or connected by two descriptions.
 *
 * The local description is used exactly as the browser made it: Chromium is going to refuse any
 * other. The only user of RTCPeerConnection; needs no secure context and no DOM.
 */
import { ConnectionFailed, DcsendError } from "../errors.ts";
import { answer, type DialTarget, MAX_MESSAGE_SIZE } from "./answer.ts";
import { type Channel, type Connection, LABELS, type Label, type Route } from "./contract.ts";
import { type Facts, failure, type RemoteAddress } from "./reasons.ts";
import { type Message, ReceiveQueue } from "./receive_queue.ts";
import { hasRelay, type ServerError, serverProblems } from "./servers.ts";

export type { DialTarget } from "./answer.ts";

/**
 * Bytes in the browser's buffer from which `send` returns false. Chromium's limit is 16 MiB, and
 * all of them are sent before a later message, such as Cancel.
 */
const HIGH_WATER = 4 * 1024 * 1024;

/** Bytes in the buffer at which `writable` resolves. */
const LOW_WATER = 1024 * 1024;

/**
 * Milliseconds before the next attempt if a channel refuses although its buffer is nearly empty.
 */
const RETRY = 20;

/**
 * Milliseconds from the first sign of the end until all channels end: the events of the connection,
 * and of other channels, may overtake messages that have arrived.
 */
const LINGER = 100;

/** Final states of a connection; after `disconnected` it may recover. */
const OVER = /failed|closed/;

/** States of ICE in which checks were sent; `failed` may follow `new`. */
const TRYING = /checking|connected|completed|disconnected/;

/**
 * Milliseconds within which no browser gives up on a silent peer. Chromium fails at once on an
 * authenticated error response (486, 430); Firefox ignores one.
 */
const EARLY = 5000;

/**
 * Milliseconds after which it is settled whether the browser sends checks: it forms its candidate
 * pairs within 0.2 s (Chromium 156, Firefox 153), or none, and then stays `new`.
 */
const TRIES = 3000;

/** An offer can be answered once. */
const ANEW = "start again with two new codes";

/** Seconds until a dial is given up. Chromium itself gives up after 15, Firefox after 11. */
export const DIAL = 15;

/** Seconds to gather candidates; a dead server must not delay the code. */
export const GATHERING = 2.5;
/** The same with a TURN server, until there is a relayed candidate: TLS takes round trips. */
export const RELAYING = 4;

/** Options of a dial. */
export interface DialOptions {
  /** Seconds until it is given up. */
  readonly timeout?: number;
  /** The host that has served this page; used to explain a failure. */
  readonly server?: string;
  /** Ends an attempt that has not succeeded yet; without effect afterwards. */
  readonly signal?: AbortSignal;
  /** Replaces the browser's own in tests. */
  readonly peerConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/**
 * Connect to the listener at one of the target's addresses; resolve when all channels are open.
 *
 * Rejects with CodeUsed where the browser shows that the listener has refused the code, otherwise
 * with ConnectionFailed, whose message has what is known; the connection is closed then.
 */
export async function dial(target: DialTarget, options: DialOptions = {}): Promise<Connection> {
  const { timeout = DIAL, server = "", signal, peerConnection = ownPeerConnection } = options;
  let connection: BrowserConnection | undefined;
  const abort = () => connection?.close();
  try {
    // No server and no trickle ICE: the listener's address is in the code, ours in our checks.
    connection = new BrowserConnection(peerConnection({ iceServers: [] }));
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
    signal?.removeEventListener("abort", abort);
  }
}

function ownPeerConnection(configuration: RTCConfiguration): RTCPeerConnection {
  if (typeof globalThis.RTCPeerConnection !== "function") {
    throw new ConnectionFailed(
      "this browser has no WebRTC",
      "a setting or an extension may have turned it off; or use another browser",
    );
  }
  return new RTCPeerConnection(configuration);
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
  readonly peerConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
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

/** One RTCPeerConnection, from the offer to its end. */
class BrowserConnection implements Connection {
  readonly channels: Readonly<Record<Label, BrowserChannel>>;
  readonly #peer: RTCPeerConnection;
  /** Called at each event that may decide the attempt. */
  #changed = () => {};

  constructor(peer: RTCPeerConnection) {
    this.#peer = peer;
    const open = (label: Label) =>
      new BrowserChannel(label, peer.createDataChannel(label), (channel, isOver) => {
        if (isOver) this.#end(channel);
        this.#changed();
      });
    const [control, data, text] = LABELS;
    // The order that the listener expects.
    this.channels = { control: open(control), data: open(data), text: open(text) };
    peer.oniceconnectionstatechange = () => this.#changed();
    peer.onconnectionstatechange = () => {
      if (OVER.test(peer.connectionState)) this.#end();
      this.#changed();
    };
  }

  /** Make the offer; return it, without candidates. */
  async offer(): Promise<string> {
    await this.#peer.setLocalDescription(await this.#peer.createOffer());
    return this.#peer.localDescription?.sdp ?? "";
  }

  /**
   * Return the offer with its candidates: all, or those found within `limit` seconds; without a
   * relayed one until then, within `relaying` seconds.
   */
  async gathered(limit: number, relaying: number): Promise<string> {
    const peer = this.#peer;
    const sdp = () => peer.localDescription?.sdp ?? "";
    const began = performance.now();
    await new Promise<void>((resolve) => {
      const look = () => {
        const passed = (performance.now() - began) / 1000;
        const isEnough = passed >= limit && (passed >= relaying || / typ relay\b/.test(sdp()));
        if (peer.iceGatheringState !== "complete" && !isEnough) return;
        for (const timer of timers) clearTimeout(timer);
        peer.onicecandidate = peer.onicegatheringstatechange = null;
        resolve();
      };
      const timers = [limit, Math.max(limit, relaying)].map((s) => setTimeout(look, s * 1000 + 1));
      peer.onicegatheringstatechange = peer.onicecandidate = look;
      look();
    });
    return sdp();
  }

  /** Apply the answer, and wait until all channels are open; `known` explains a failure. */
  async accept(
    sdp: string,
    timeout: number,
    known: Pick<Facts, "role" | "theirs" | "asked" | "server">,
  ): Promise<void> {
    const peer = this.#peer;
    await peer.setRemoteDescription({ type: "answer", sdp });
    await new Promise<void>((resolve, reject) => {
      const began = performance.now();
      let hasTried = false;
      const giveUp = () => {
        const early = performance.now() - began < EARLY;
        // Firefox fails without having sent any check where it has no address of the family.
        const ice = hasTried ? peer.iceConnectionState : "new";
        const own = peer.localDescription?.sdp ?? "";
        reject(failure({ ...known, ice, early, own }));
        clearAll();
      };
      const timers = [setTimeout(giveUp, timeout * 1000)];
      const hopeless = async () => {
        if (!hasTried && !(await this.#hasPairs()) && !hasTried) giveUp();
      };
      timers.push(setTimeout(hopeless, TRIES));
      const clearAll = () => {
        for (const timer of timers) clearTimeout(timer);
        this.#changed = () => {};
      };
      this.#changed = () => {
        const states = LABELS.map((label) => this.channels[label].state);
        const isOpen = states.every((state) => state === "open");
        const isOver = OVER.test(`${peer.iceConnectionState} ${peer.connectionState} ${states}`);
        hasTried ||= TRYING.test(peer.iceConnectionState);
        if (!isOpen && !isOver) return;
        if (!isOpen) return giveUp();
        resolve();
        clearAll();
      };
      this.#changed();
    });
    const size = Math.min(peer.sctp?.maxMessageSize ?? 65_536, MAX_MESSAGE_SIZE);
    for (const label of LABELS) this.channels[label].limit(size);
  }

  async route(): Promise<Route> {
    return routeOf(await this.#report());
  }

  async #hasPairs(): Promise<boolean> {
    return [...(await this.#report()).values()].some(({ type }) => type === "candidate-pair");
  }

  async #report(): Promise<ReadonlyMap<string, Stats>> {
    // If the connection has ended meanwhile, its statistics do not matter.
    const report = await this.#peer.getStats().catch(() => new Map<string, Stats>());
    return report as ReadonlyMap<string, Stats>;
  }

  close(): void {
    const reason = new ConnectionFailed("the connection is closed");
    for (const label of LABELS) this.channels[label].end(reason);
    this.#peer.close();
    this.#changed();
  }

  /** End all channels soon, and `first`, the one whose end was noticed, at once. */
  #end(first?: BrowserChannel): void {
    const isLost = this.#peer.connectionState !== "connected";
    const reason = new ConnectionFailed(
      isLost ? "the connection was lost" : "the other side closed the connection",
    );
    first?.end(reason);
    setTimeout(() => {
      for (const label of LABELS) this.channels[label].end(reason);
    }, LINGER);
  }
}

/** One RTCDataChannel. */
class BrowserChannel implements Channel {
  readonly label: Label;
  maxMessageSize = MAX_MESSAGE_SIZE;
  readonly #channel: RTCDataChannel;
  readonly #queue = new ReceiveQueue();
  #waiting: (() => void)[] = [];
  #refused = false;
  #end: DcsendError | null = null;

  /** `changed` is called when the channel has opened, and when it has ended. */
  constructor(
    label: Label,
    channel: RTCDataChannel,
    changed: (channel: BrowserChannel, isOver: boolean) => void,
  ) {
    this.label = label;
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER;
    // From the beginning: messages without a handler are lost.
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) =>
      this.#queue.put(typeof data === "string" ? data : new Uint8Array(data));
    channel.onbufferedamountlow = () => this.#wake();
    channel.onopen = () => changed(this, false);
    channel.onclose = channel.onerror = () => changed(this, true);
  }

  /** `closed` as soon as it has ended for any reason. */
  get state(): RTCDataChannelState {
    return this.#end === null ? this.#channel.readyState : "closed";
  }

  send(message: Message): boolean {
    if (this.#end !== null) throw this.#end;
    if (this.#channel.bufferedAmount >= HIGH_WATER) return false;
    try {
      // One call for each type, as the DOM types require; the browser copies the bytes.
      if (typeof message === "string") this.#channel.send(message);
      else this.#channel.send(message);
      return true;
    } catch (error) {
      if ((error as Error).name !== "OperationError") {
        throw new ConnectionFailed(`the browser can't send: ${error}`);
      }
      this.#refused = true;
      return false;
    }
  }

  writable(): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const { bufferedAmount } = this.#channel;
    if (bufferedAmount < HIGH_WATER && !this.#refused) return Promise.resolve();
    // The event fires when the amount falls to the mark, not if it is already below it.
    if (bufferedAmount <= LOW_WATER) setTimeout(() => this.#wake(), RETRY);
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => (this.#end === null ? resolve() : reject(this.#end)));
    });
  }

  receive(): Promise<Message> {
    return this.#queue.get();
  }

  /** Note how many bytes the peer accepts in one message. */
  limit(size: number): void {
    this.maxMessageSize = size;
  }

  /**
   * End both directions; messages that have arrived can still be received. The first reason stays.
   */
  end(reason: DcsendError): void {
    this.#end ??= reason;
    this.#queue.end(reason);
    this.#wake();
  }

  #wake(): void {
    this.#refused = false;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Return the transport addresses in the peer's answer. */
function places(sdp: string): RemoteAddress[] {
  const candidates = sdp.matchAll(/^a=candidate:(?:\S+ ){4}(\S+) (\d+) typ (\S+)/gim);
  return [...candidates].map(([, host = "", port, type]) => {
    return { host, port: Number(port), relayed: type === "relay" };
  });
}

/** The fields used here of the objects in a report (webrtc-stats). */
interface Stats {
  readonly type: string;
  readonly nominated?: boolean;
  readonly state?: string;
  readonly selectedCandidatePairId?: string;
  readonly localCandidateId?: string;
  readonly remoteCandidateId?: string;
  readonly candidateType?: string;
  readonly address?: string | null;
  readonly currentRoundTripTime?: number;
}

/** Return the route in a report. */
function routeOf(report: ReadonlyMap<string, Stats>): Route {
  const all = [...report.values()];
  // Several pairs may be nominated, and not every browser reports which one is selected.
  const selected = all.find(({ type }) => type === "transport")?.selectedCandidatePairId ?? "";
  const pair =
    report.get(selected) ?? all.find((stats) => stats.nominated && stats.state === "succeeded");
  const local = report.get(pair?.localCandidateId ?? "");
  const remote = report.get(pair?.remoteCandidateId ?? "");
  const address = remote?.address ?? "";
  const relayed = local?.candidateType === "relay" || remote?.candidateType === "relay";
  return {
    path: relayed ? "relayed" : "direct",
    family: address === "" ? "" : address.includes(":") ? "IPv6" : "IPv4",
    remote: address.replace(/^\[|\]$/g, ""),
    rtt: pair?.currentRoundTripTime ?? null,
  };
}
