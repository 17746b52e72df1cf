/**
 * The connection of a dialer or joiner that goes on after its path is lost, over one after the other.
 * As `dcsend/session/lasting.py`, for the side that makes connections.
 *
 *     connected ─ silent, or lost ─► interrupted ─┬─► the path answers again ──────► connected
 *                                                 ├─► another connection takes over ► connected
 *                                                 └─► the time is over ─────────────► the error
 *
 *     this side: dials, sends Resume ─► reads Resume, takes over
 *
 * While it is interrupted, calls wait in place of an error. What the peer has not received is sent
 * again. Neither happens before the transfer is accepted, nor if one side has closed it. From its
 * Resume on, this side takes nothing more from the former connection.
 *
 * A page that is loaded again has lost all of that. It connects with the certificate that it has kept,
 * and sends Hello: then a listener with the feature `anew` begins the transfer again.
 */
import {
  ConnectionFailed,
  ConnectionLost,
  type DcsendError,
  RemoteProtocolError,
} from "../errors.ts";
import type { Connection, Label, Link, Route } from "../peers/contract.ts";
import type { Message } from "../peers/receive_queue.ts";
import { ANEW, helloFeatures, RECONNECT } from "../protocol/messages.ts";
import { AWAY, encodeReceipt, isReceipt, type Receipt, readReceipt } from "../protocol/receipts.ts";
import type { Server } from "../rendezvous/servers.ts";
import type { Emit } from "./events.ts";
import { LastingChannel } from "./lasting_channel.ts";
import { asError } from "./outcome.ts";

/** Seconds for which this side tries to connect again. */
export const LIMIT = 600;

/** Seconds of one attempt: the path may come back while it lasts. */
const ATTEMPT = 5;

/** Seconds between the beginnings of two attempts, at least. */
const OFTEN = 2;

/** Seconds for the Resume of the peer on a new connection. */
const TAKE_OVER = 10;

/** Bytes, and messages, received after which that is confirmed (PROTOCOL.md, K-3). */
const RECEIPT_BYTES = 1024 * 1024;
const RECEIPT_MESSAGES = 64;

const LABELS = ["control", "data", "text"] as const;

/** Dials once more, with the same certificate, for at most so many seconds. */
export type Redial = (seconds: number, signal: AbortSignal) => Promise<Link>;

/** With what a page connects again after it was loaded again. */
export interface Ticket {
  /** The dial code; empty after a short one. */
  readonly code: string;
  readonly certificate: RTCCertificate;
  /** Where the sides of a short code meet. */
  readonly reunion?: Reunion;
}

/** What the side that has entered a short code keeps to meet the other one again. */
export interface Reunion {
  /** As `Joiner.again` in rendezvous/handshake.ts. */
  readonly key: Uint8Array<ArrayBuffer>;
  readonly server: Server;
  /** Of the certificate of the other side. */
  readonly fingerprint: Uint8Array<ArrayBuffer>;
}

/** The connections with one peer, as one. */
export class LastingConnection implements Connection {
  readonly channels: Readonly<Record<Label, LastingChannel>>;
  /** For Hello. */
  readonly features = [RECONNECT];
  link: Link;
  /** Whether the peer can connect again, as far as is known. */
  keeps = true;
  /** Whether it goes on when the link is lost. */
  lasts = false;
  readonly #redial: Redial;
  #emit: Emit = () => {};
  /** Whether the peer can connect again; null before its Hello. */
  #peerLasts: boolean | null = null;
  /** How the link was lost. */
  #dead: DcsendError | null = null;
  /** Whether another connection is about to take over: nothing is taken from this one. */
  #frozen = false;
  #end: DcsendError | null = null;
  #waiting: (() => void)[] = [];
  /** Ends the attempts while it is interrupted. */
  #renewal: AbortController | null = null;
  #messages = 0;
  #bytes = 0;
  readonly #ticket: Ticket | null;
  readonly #isAnew: boolean;
  /** Whether the peer begins anew with a page that has lost its state. */
  #peerBegins = false;

  /**
   * Take over the first connection; `redial` makes the others. `ticket` is what this page would use
   * after a reload; `isAnew`: it has used it.
   */
  constructor(link: Link, redial: Redial, ticket: Ticket | null = null, isAnew = false) {
    this.link = link;
    this.#redial = redial;
    this.#ticket = ticket;
    this.#isAnew = isAnew;
    const [control, data, text] = LABELS.map(
      (label) => new LastingChannel(this, link.channels[label]),
    ) as [LastingChannel, LastingChannel, LastingChannel];
    this.channels = { control, data, text };
  }

  /** Emit a warning when it is interrupted. */
  report(emit: Emit): void {
    this.#emit = emit;
  }

  route(): Promise<Route> {
    return this.link.route();
  }

  /** Whether the peer can't be heard at the moment, and may be again. */
  get isInterrupted(): boolean {
    return this.#renewal !== null;
  }

  /** Let it go on when the link is lost, from now on, if the peer can do that, too. */
  accepted(): void {
    if (!this.#peerLasts || this.lasts) return;
    this.lasts = true;
    this.#watch();
  }

  /** With what this page can begin anew; null if the peer does not. */
  get ticket(): Ticket | null {
    return this.#peerBegins ? this.#ticket : null;
  }

  /** Announce that this page loses its state, and may begin anew; return false if it may not. */
  away(): boolean {
    if (!this.#isAnew && (this.ticket === null || !this.lasts)) return false;
    try {
      this.link.channels.control.send(AWAY);
    } catch {
      // Interrupted: the peer waits in any case.
    }
    return true;
  }

  close(): void {
    this.end(new ConnectionFailed("the connection is closed"));
  }

  // --- for the channels

  /** Whether messages can be exchanged over the link. */
  get isUsable(): boolean {
    return this.#dead === null && !this.#frozen && this.#end === null;
  }

  /** Throw the error by which it has ended, if it has. */
  check(): void {
    if (this.#end !== null) throw this.#end;
  }

  /** Wait until messages can be exchanged. */
  async usable(): Promise<void> {
    for (; !this.isUsable; await this.changed()) this.check();
  }

  /** Whether it is undecided whether another connection takes over. */
  get isUndecided(): boolean {
    return this.#frozen && this.#end === null;
  }

  /** Wait for the next change of the link. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Handle the end of a link: throw `error`, unless another connection can take over. */
  ended(link: Link, thrown: unknown): void {
    const error = asError(thrown);
    if (link !== this.link) return;
    this.check();
    if (!this.#frozen && !(this.lasts && error instanceof ConnectionLost)) {
      // The other channels of the link may have messages still.
      this.lasts = false;
      this.#regain();
      throw error;
    }
    this.#dead ??= error;
    this.#lose();
    this.notify();
  }

  /** Let all calls fail with `error` from now on; only the first call has an effect. */
  end(error: DcsendError): void {
    if (this.#end !== null) return;
    this.#end = error;
    this.#regain();
    this.notify();
    this.link.close();
  }

  /** End the calls of `changed`. */
  notify(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Take a message that is for the connection; return false if it is one of the transfer. */
  takes(label: Label, message: Message): boolean {
    if (label !== "control") return false;
    if (this.#peerLasts === null) {
      const features = helloFeatures(message);
      this.#peerLasts = features.includes(RECONNECT);
      this.#peerBegins = features.includes(ANEW);
      if (!this.#peerLasts) {
        this.keeps = false;
        for (const one of LABELS) this.channels[one].forget();
      }
      if (this.#isAnew) this.accepted();
    } else if (this.#peerLasts && isReceipt(message)) {
      this.#confirm(readReceipt("received", message));
      return true;
    }
    return false;
  }

  /** Count a message of the transfer, and confirm it now and then. */
  arrived(message: Message): void {
    this.#messages += 1;
    this.#bytes += message.length;
    const isDue = this.#messages >= RECEIPT_MESSAGES || this.#bytes >= RECEIPT_BYTES;
    if (!isDue || !this.#peerLasts || !this.isUsable) return;
    try {
      const receipt = encodeReceipt("received", this.#receipt());
      if (this.link.channels.control.send(receipt)) this.#messages = this.#bytes = 0;
    } catch {
      // The next call of `receive` handles it.
    }
  }

  // --- interruptions

  /** Notice silence, and its end. */
  #watch(): void {
    const { link } = this;
    const look = () => {
      if (link !== this.link || this.#end !== null || !this.lasts) return;
      if (link.isSilent) this.#lose();
      else if (this.isUsable) this.#regain();
    };
    link.watch(look);
    look();
  }

  /** Begin to connect again, and say so. */
  #lose(): void {
    if (this.#renewal !== null) return;
    this.#renewal = new AbortController();
    this.#emit({ type: "warning", kind: "interrupted", message: "", hint: "" });
    void this.#renew(this.#renewal.signal);
  }

  #regain(): void {
    this.#renewal?.abort();
    this.#renewal = null;
  }

  /** Make another connection, and let it take over. */
  async #renew(signal: AbortSignal): Promise<void> {
    const begin = performance.now();
    let refusals = 0;
    while (!signal.aborted) {
      const started = performance.now();
      // A browser does not always show the difference.
      refusals = (await this.#attempt(signal)) ? refusals + 1 : 0;
      if (signal.aborted) return;
      if (performance.now() - begin >= LIMIT * 1000 || refusals > 2) {
        this.end(this.#dead ?? new ConnectionFailed("the connection was lost"));
      }
      const pause = started + OFTEN * 1000 - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, pause)));
    }
  }

  /** Dial once; return whether the listener seems to refuse this side. */
  async #attempt(signal: AbortSignal): Promise<boolean> {
    let link: Link | null = null;
    let isRefused = false;
    try {
      link = await this.#redial(ATTEMPT, signal);
      if (!signal.aborted) this.#takeOver(link, await this.#exchange(link));
    } catch (thrown) {
      const error = asError(thrown);
      if (error.kind === "protocol") this.end(error);
      isRefused = error.kind === "code-used";
    }
    if (link !== this.link) {
      link?.close();
      this.#unfreeze();
    }
    return isRefused;
  }

  /** Exchange Resume over a new connection; return that of the peer. */
  async #exchange(link: Link): Promise<Receipt> {
    const { control } = link.channels;
    this.#frozen = true;
    control.send(encodeReceipt("resume", this.#receipt()));
    const late = new Promise<never>((_, reject) => {
      const error = new ConnectionFailed("the other side does not go on");
      setTimeout(() => reject(error), TAKE_OVER * 1000);
    });
    const message = await Promise.race([control.receive(), late]);
    if (helloFeatures(message).length > 0) {
      // Accept was lost: the other side has given its code back, and begins anew.
      throw new RemoteProtocolError("the connection was lost before your answer had arrived");
    }
    return readReceipt("resume", message);
  }

  #takeOver(link: Link, receipt: Receipt): void {
    if (this.#end !== null) return;
    this.#confirm(receipt);
    const former = this.link;
    this.link = link;
    this.#dead = null;
    this.#frozen = false;
    for (const label of LABELS) {
      const channel = this.channels[label];
      channel.rewind();
      channel.sendAgain(link).then(
        () => this.notify(),
        () => this.notify(),
      );
    }
    // The listener has replaced it, so that the end of it has no effect there.
    former.close();
    this.#regain();
    this.#watch();
    this.notify();
  }

  /** Go on with the present link, if it lives. */
  #unfreeze(): void {
    this.#frozen = false;
    if (this.#dead !== null && !(this.#dead instanceof ConnectionLost)) this.end(this.#dead);
    this.notify();
  }

  // --- receipts

  #receipt(): Receipt {
    const { control, data, text } = this.channels;
    return { control: control.received, data: data.received, text: text.received };
  }

  #confirm(receipt: Receipt): void {
    for (const label of LABELS) this.channels[label].confirm(receipt[label]);
  }
}
