/**
 * ICE with one peer whose candidates arrive one by one (RFC 8838), for short codes. As
 * `dcsend/peers/trickle.py`.
 *
 *     joiner:     describe: the offer ─► outgoing ─► establish with the answer
 *     allocator:  describe with the offer: the answer ─► outgoing ─► establish
 *     both:       add, end: what arrives from the peer, also before `establish`
 *
 * The caller carries descriptions and candidates, both in the form of SDP (RFC 8839).
 */
import { ConnectionFailed, DcsendError } from "../errors.ts";
import { BrowserConnection, type NewPeer, ownPeerConnection, TRIES } from "./connection.ts";
import type { Link } from "./contract.ts";
import { isApart, isConnected, type Network, type RemoteAddress, UNKNOWN } from "./reasons.ts";
import { hasRelay, type ServerError, serverProblems } from "./servers.ts";
import { survey } from "./survey.ts";

/** Seconds without a pair, after the candidates of both sides are complete, until the end. */
export const PATIENCE = 15;
/** Seconds until an attempt ends, also if the end of the peer's candidates never arrives. */
export const LONGEST = 30;
/** Seconds until our candidates count as complete; a dead server delays the browser longer. */
export const GATHERING = 6;

/**
 * Seconds after which the surveys of both sides are over: they begin after TRIES and take up to 4.
 * If it is settled before that there is no path, both are waited for.
 */
const SURVEYS = 9;

const PLACE = /^(?:a=)?candidate:(?:\S+ ){4}(\S+) (\d+) typ (\S+)/i;

/** One attempt to connect with one peer. */
export class Trickle {
  readonly #peer: RTCPeerConnection;
  readonly #connection: BrowserConnection;
  readonly #offers: boolean;
  #iceServers: readonly RTCIceServer[];
  readonly #tcp: boolean;
  readonly #certificate: RTCCertificate | undefined;
  readonly #newPeer: NewPeer;
  readonly #errors: ServerError[] = [];
  /** Our candidates that `outgoing` has not returned. */
  #found: string[] = [];
  #isGathered = false;
  #gathering: ReturnType<typeof setTimeout> | undefined;
  #wake = () => {};
  /** Candidates of the peer that arrived before its description; "" is their end. */
  #early: string[] | null = [];
  #isEnded = false;
  /** Why the peer has given up. */
  #said: string | undefined;
  #prepared: RTCSessionDescriptionInit | undefined;
  #timers: ReturnType<typeof setTimeout>[] = [];
  #isSurveying = false;
  #surveyed = (_: Network) => {};
  #here: Network | undefined;
  #there: Network | undefined;
  /** Whether it is settled that there is no path. */
  #isHopeless = false;
  /** Whether the survey of the other side is not waited for. */
  #isLate = false;
  /**
   * How the network of this side behaves, for the error of the other one: once no pair has been found
   * for TRIES seconds, and STUN servers have been queried.
   */
  readonly network = new Promise<Network>((resolve) => {
    this.#surveyed = resolve;
  });
  readonly #theirs: RemoteAddress[] = [];
  #mid = "0";
  #isOver = false;

  /**
   * `offers`: whether this side makes the offer, and opens the channels; `tcp`: whether it reaches the
   * internet over TCP; `certificate`: of this side, a new one by default. Throws ConnectionFailed if
   * the browser has no WebRTC.
   */
  constructor(
    offers: boolean,
    iceServers: readonly RTCIceServer[] = [],
    tcp = false,
    newPeer: NewPeer = ownPeerConnection,
    certificate?: RTCCertificate,
  ) {
    this.#offers = offers;
    this.#iceServers = iceServers;
    this.#tcp = tcp;
    this.#newPeer = newPeer;
    this.#certificate = certificate;
    const certificates = certificate && [certificate];
    const peer = newPeer({ iceServers: [...iceServers], ...(certificates && { certificates }) });
    this.#peer = peer;
    this.#connection = new BrowserConnection(peer, offers);
    peer.onicecandidateerror = (error) => this.#errors.push(error);
    peer.onicecandidate = ({ candidate }) => {
      // Firefox also has an empty one, at the end of each generation (W3C WebRTC, 4.8.2).
      if (candidate === null) this.#gathered();
      else if (candidate.candidate !== "") this.#keep(candidate.candidate);
    };
  }

  /** The errors of TURN servers, once our candidates are complete. */
  get problems(): readonly ConnectionFailed[] {
    const sdp = this.#peer.localDescription?.sdp ?? "";
    const relays = this.#iceServers.filter((server) => hasRelay([server]));
    return serverProblems(relays, this.#errors, sdp);
  }

  /** Make the offer; nothing is gathered before `describe`. Rejects as the browser does. */
  async prepare(): Promise<void> {
    this.#prepared = await this.#peer.createOffer();
  }

  /** Use more servers; before `describe`. */
  addServers(servers: readonly RTCIceServer[]): void {
    if (servers.length === 0) return;
    this.#iceServers = [...this.#iceServers, ...servers];
    const iceServers = [...this.#iceServers];
    const configuration = { ...this.#peer.getConfiguration(), iceServers };
    // Browsers refuse one with another list of certificates.
    const certificates = this.#certificate && [this.#certificate];
    this.#peer.setConfiguration({ ...configuration, ...(certificates && { certificates }) });
  }

  /**
   * Return our description: the offer, or the answer to `offer`, the SDP of the peer. Called once.
   * Rejects with ConnectionFailed.
   */
  async describe(offer = ""): Promise<string> {
    const peer = this.#peer;
    try {
      if (!this.#offers) await this.#apply("offer", offer);
      await peer.setLocalDescription(
        this.#prepared ?? (await (this.#offers ? peer.createOffer() : peer.createAnswer())),
      );
    } catch (error) {
      throw new ConnectionFailed(`the browser refused to make a description: ${error}`);
    }
    const sdp = peer.localDescription?.sdp ?? "";
    this.#mid = /^a=mid:(\S+)/im.exec(sdp)?.[1] ?? "0";
    this.#gathering = setTimeout(() => this.#gathered(), GATHERING * 1000);
    return sdp;
  }

  /**
   * Yield our candidates as they are found, at least one at a time. The end is that of our
   * candidates, or of the attempt.
   */
  async *outgoing(): AsyncGenerator<readonly string[]> {
    for (;;) {
      const found = this.#found;
      this.#found = [];
      if (found.length > 0) yield found;
      else if (this.#isGathered) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Use a candidate of the peer, also before its description is known. */
  add(candidate: string): void {
    const [, host = "", port, type] = PLACE.exec(candidate) ?? [];
    this.#theirs.push({ host, port: Number(port), relayed: type === "relay" });
    this.#pass(candidate);
  }

  /** Note that the peer has no more candidates (RFC 8838, 14). */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#pass("");
    this.#wait();
  }

  /** Note how the network of the other side behaves, for the error. */
  setNetwork(there: Network): void {
    this.#there = there;
    this.#conclude();
  }

  /** End `establish`, since the other side has given up, and has `said` why. */
  refused(said: string): void {
    this.#said = said;
    this.#despair();
  }

  /**
   * Connect; called once, after `describe`. `answer` is the SDP of the peer, if it answers. Rejects
   * with ConnectionFailed, which has what is known about the reason.
   */
  async establish(answer = ""): Promise<Link> {
    const asked = this.#iceServers.length > 0;
    const known = () => {
      const [theirs, isPartial] = [this.#theirs, !this.#isEnded];
      const [here, there] = [this.#here, this.#there];
      const role = "short code";
      return { role, theirs, isPartial, asked, server: "", here, there } as const;
    };
    try {
      if (this.#offers) await this.#apply("answer", answer);
      const opening = this.#connection.open(LONGEST, known, () => this.#despair());
      this.#wait();
      this.#conclude();
      await opening;
      this.#end();
      return this.#connection;
    } catch (error) {
      this.close();
      if (error instanceof DcsendError) throw error;
      throw new ConnectionFailed(`the browser refused the description of the other side: ${error}`);
    }
  }

  /** End the attempt; idempotent. A connection that `establish` has returned is not affected. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#connection.close();
  }

  #end(): void {
    this.#isOver = true;
    this.#clear();
    this.#gathered();
  }

  async #apply(type: "offer" | "answer", sdp: string): Promise<void> {
    await this.#peer.setRemoteDescription({ type, sdp });
    const early = this.#early ?? [];
    this.#early = null;
    for (const candidate of early) this.#pass(candidate);
  }

  /** Give a candidate, or their end, to the browser, once it has the description. */
  #pass(candidate: string): void {
    if (this.#early !== null) this.#early.push(candidate);
    // One that the browser can't use does not end the attempt.
    else this.#peer.addIceCandidate({ candidate, sdpMid: this.#mid }).catch(() => undefined);
  }

  #keep(candidate: string): void {
    if (this.#isGathered) return;
    this.#found.push(candidate);
    this.#wake();
  }

  #gathered(): void {
    clearTimeout(this.#gathering);
    if (this.#isGathered) return;
    this.#isGathered = true;
    this.#wake();
    this.#wait();
  }

  /** Give up later if the candidates of both sides are complete. */
  #wait(): void {
    if (!this.#isGathered || !this.#isEnded || this.#isOver) return;
    this.#clear();
    this.#later(PATIENCE, () => this.#giveUp());
    this.#later(TRIES, () => {
      if (this.#peer.iceConnectionState === "new") this.#despair();
      void this.#survey();
    });
    this.#limit();
  }

  #limit(): void {
    this.#later(SURVEYS, () => {
      this.#isLate = true;
      this.#conclude();
    });
  }

  #giveUp(): void {
    this.#connection.giveUp(this.#said);
  }

  #later(seconds: number, call: () => void): void {
    this.#timers.push(setTimeout(call, seconds * 1000));
  }

  #clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  get #isConnected(): boolean {
    return isConnected({ ice: this.#peer.iceConnectionState });
  }

  /** Give up once it is known how both networks behave: there is no path. */
  #despair(): void {
    if (this.#isConnected) this.#giveUp();
    if (this.#isOver) return;
    this.#isHopeless = true;
    this.#limit();
    void this.#survey();
    this.#conclude();
  }

  #conclude(): void {
    const { localDescription, iceConnectionState: ice } = this.#peer;
    const facts = { own: localDescription?.sdp ?? "", theirs: this.#theirs, ice };
    const isKnown = this.#here && (this.#there ?? this.#said) !== undefined;
    if (this.#isHopeless && (isKnown || this.#isLate || isApart(facts))) this.#giveUp();
  }

  async #survey(): Promise<void> {
    if (this.#isConnected || this.#isSurveying) return;
    this.#isSurveying = true;
    // Without it, the error has less.
    const found = await survey(this.#iceServers, this.#newPeer, this.#tcp).catch(() => UNKNOWN);
    this.#here = found;
    this.#surveyed(found);
    this.#conclude();
  }
}
