/**
 * One RTCPeerConnection of the browser, with the interface of contract.ts.
 *
 * The local description is used exactly as the browser made it: Chromium is going to refuse any
 * other.
 */
import { ConnectionFailed, ConnectionLost } from "../errors.ts";
import { MAX_MESSAGE_SIZE } from "./answer.ts";
import { BrowserChannel } from "./channel.ts";
import { LABELS, type Label, type Link, type Route } from "./contract.ts";
import { type Facts, failure } from "./reasons.ts";

/** The facts that the attempt itself does not find out. */
export type Known = Omit<Facts, "ice" | "early" | "own">;

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
 * Seconds after which it is settled whether the browser sends checks: it forms its candidate
 * pairs within 0.2 s (Chromium 156, Firefox 153), or none, and then stays `new`.
 */
export const TRIES = 3;

/** Makes an RTCPeerConnection; replaced in tests. */
export type NewPeer = (configuration: RTCConfiguration) => RTCPeerConnection;

/** Make the browser's own. Throws ConnectionFailed where it has none. */
export const ownPeerConnection: NewPeer = (configuration) => {
  if (typeof globalThis.RTCPeerConnection !== "function") {
    throw new ConnectionFailed(
      "this browser has no WebRTC",
      "a setting or an extension may have turned it off; or use another browser",
    );
  }
  return new RTCPeerConnection(configuration);
};

/** One RTCPeerConnection, from the offer to its end. */
export class BrowserConnection implements Link {
  readonly #channels: Partial<Record<Label, BrowserChannel>> = {};
  readonly #peer: RTCPeerConnection;
  /** Called at each event that may decide the attempt. */
  #changed = () => {};
  /**
   * End `open` with the reason for the failure, or with what the other side has `said` if the reason
   * is not known here; without effect unless `open` is waiting.
   */
  giveUp: (said?: string) => void = () => {};

  /** `opens`: whether this side opens the channels, as the side does that makes the offer. */
  constructor(peer: RTCPeerConnection, opens = true) {
    this.#peer = peer;
    if (opens) {
      // The order that the listener expects.
      for (const label of LABELS) this.#add(label, peer.createDataChannel(label));
    } else peer.ondatachannel = ({ channel }) => this.#opened(channel);
    peer.oniceconnectionstatechange = () => this.#changed();
    peer.onconnectionstatechange = () => {
      if (OVER.test(peer.connectionState)) this.#end();
      this.#changed();
    };
  }

  /** All channels, once they are open. */
  get channels(): Readonly<Record<Label, BrowserChannel>> {
    return this.#channels as Record<Label, BrowserChannel>;
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
  async accept(sdp: string, timeout: number, known: Known): Promise<void> {
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
    await this.open(timeout, () => known);
  }

  /**
   * Wait until all channels are open; `known` explains a failure. With `failing`, candidates of the
   * other side may still arrive, so the attempt ends by `giveUp` or by the timeout; `failing` is
   * called each time the browser shows that it has failed.
   */
  async open(timeout: number, known: () => Known, failing?: () => void): Promise<void> {
    const peer = this.#peer;
    await new Promise<void>((resolve, reject) => {
      const began = performance.now();
      let hasTried = false;
      const giveUp = (said = "", isOver = false) => {
        const early = isOver && performance.now() - began < EARLY;
        // Firefox fails without having sent any check where it has no address of the family.
        const ice = hasTried ? peer.iceConnectionState : "new";
        const own = peer.localDescription?.sdp ?? "";
        reject(failure({ ...known(), ice, early, own }, said));
        clearAll();
      };
      const timers = [setTimeout(() => giveUp(), timeout * 1000)];
      const hopeless = async () => {
        if (!hasTried && (await this.#pairs()).length === 0 && !hasTried) giveUp();
      };
      if (failing === undefined) timers.push(setTimeout(hopeless, TRIES * 1000));
      this.giveUp = giveUp;
      const clearAll = () => {
        for (const timer of timers) clearTimeout(timer);
        this.#changed = () => {};
        this.giveUp = () => {};
      };
      this.#changed = () => {
        const states = LABELS.map((label) => this.#channels[label]?.state ?? "connecting");
        const isOpen = states.every((state) => state === "open");
        const isOver = OVER.test(`${peer.iceConnectionState} ${peer.connectionState} ${states}`);
        hasTried ||= TRYING.test(peer.iceConnectionState);
        if (!isOpen && !isOver) return;
        if (!isOpen) return failing === undefined ? giveUp("", true) : failing();
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

  async received(): Promise<number> {
    // Until a check is answered, Firefox 153 sends nothing, whatever arrives.
    if (/disconnected|failed/.test(this.#peer.iceConnectionState)) return 0;
    const counts = (await this.#pairs()).map((pair) => {
      const { bytesReceived = 0, requestsReceived = 0, responsesReceived = 0 } = pair;
      return bytesReceived + requestsReceived + responsesReceived;
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #pairs(): Promise<Stats[]> {
    return [...(await this.#report()).values()].filter(({ type }) => type === "candidate-pair");
  }

  async #report(): Promise<ReadonlyMap<string, Stats>> {
    // If the connection has ended meanwhile, its statistics do not matter.
    const report = await this.#peer.getStats().catch(() => new Map<string, Stats>());
    return report as ReadonlyMap<string, Stats>;
  }

  close(seconds = 0): void {
    const reason = new ConnectionFailed("the connection is closed");
    for (const channel of Object.values(this.#channels)) channel.end(reason);
    // Before the end: Firefox 153 gives no description of a closed connection, but an error.
    this.giveUp();
    if (seconds > 0) setTimeout(() => this.#peer.close(), seconds * 1000);
    else this.#peer.close();
  }

  /** End all channels soon, and `first`, the one whose end was noticed, at once. */
  #end(first?: BrowserChannel): void {
    const isLost = this.#peer.connectionState !== "connected";
    const reason = isLost
      ? new ConnectionLost("the connection was lost")
      : new ConnectionFailed("the other side closed the connection");
    first?.end(reason);
    setTimeout(() => {
      for (const channel of Object.values(this.#channels)) channel.end(reason);
    }, LINGER);
  }

  #add(label: Label, channel: RTCDataChannel): void {
    this.#channels[label] = new BrowserChannel(label, channel, (changed, isOver) => {
      if (isOver) this.#end(changed);
      this.#changed();
    });
  }

  /** Take a channel that the other side has opened: each of the three once, and no other. */
  #opened(channel: RTCDataChannel): void {
    const label = LABELS.find((one) => one === channel.label && !(one in this.#channels));
    const { ordered, maxRetransmits, maxPacketLifeTime } = channel;
    if (label === undefined || !ordered || maxRetransmits !== null || maxPacketLifeTime !== null) {
      channel.close();
      return;
    }
    this.#add(label, channel);
    this.#changed();
  }
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
  readonly port?: number;
  readonly currentRoundTripTime?: number;
  readonly bytesReceived?: number;
  readonly requestsReceived?: number;
  readonly responsesReceived?: number;
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
  // A check from a relay may arrive before its candidate; its source then stays peer-reflexive.
  const isRelay = ({ type, candidateType, address: host, port }: Stats) =>
    type === "remote-candidate" &&
    candidateType === "relay" &&
    host === address &&
    port === remote?.port;
  const relayed = local?.candidateType === "relay" || all.some(isRelay);
  return {
    path: relayed ? "relayed" : "direct",
    family: address.includes(":") ? "IPv6" : /\d$/.test(address) ? "IPv4" : "",
    // Firefox has the other side's random name of mDNS here, if that is what it sent.
    remote: address.endsWith(".local") ? "" : address.replace(/^\[|\]$/g, ""),
    rtt: pair?.currentRoundTripTime ?? null,
  };
}
