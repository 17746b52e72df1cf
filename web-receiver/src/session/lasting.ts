/**
 * The connection of a dialer, or of a side of a short code, that goes on after its path is lost, over
 * one after the other. As `dcsend/session/lasting.py`.
 *
 *     in use ─ 2 s of silence ─► in doubt ─ 5 s of silence, or lost ─► interrupted
 *
 *     in doubt or interrupted: this side dials ─┬─► the path answers again ──────► in use
 *                                               ├─► another connection takes over ► in use
 *                                               └─► the time is over ─────────────► the error
 *
 *     another connection, dialer or joiner: sends Resume ─► reads Resume, takes over
 *                         allocator: reads Resume, sends Resume, takes over
 *
 * An allocator waits for the joiner in place of dialing, also for a while after the path has answered.
 *
 * A connection in doubt is used as before, and nothing is reported. While it is interrupted, calls
 * wait in place of an error. What the peer has not received is sent again. Neither happens before the
 * transfer is accepted, nor if one side has closed it. From its Resume on, this side takes nothing
 * more from the former connection.
 *
 * A page that is loaded again has lost all of that. It connects with the certificate that it has kept,
 * and sends Hello: then a peer with the feature `anew` begins the transfer again.
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
import type { Emit } from "./events.ts";
import { Needless, Renewal, Silence } from "./interruption.ts";
import { LastingChannel } from "./lasting_channel.ts";
import { asError } from "./outcome.ts";
import { before } from "./trickling.ts";
import { later } from "./waiting.ts";
import type { Redial, Ticket } from "./ways_back.ts";

/**
 * Attempts without an answer at the same time: a browser sends the checks of one more and more
 * rarely (Firefox), and has no other addresses than at its beginning.
 */
const AT_ONCE = 2;

/** Seconds between two looks at what has arrived. */
const POLL = 0.25;

/** Seconds for the Resume of the peer on a new connection. */
export const TAKE_OVER = 10;

/** Bytes, and messages, received after which that is confirmed (PROTOCOL.md, K-3). */
const RECEIPT_BYTES = 1024 * 1024;
const RECEIPT_MESSAGES = 64;

const LABELS = ["control", "data", "text"] as const;

/** The connections with one peer, as one. */
export class LastingConnection implements Connection {
  readonly channels: Readonly<Record<Label, LastingChannel>>;
  /** For Hello. */
  readonly features = [RECONNECT];
  link: Link;
  /** Whether the peer can connect again, as far as is known. */
  keeps = true;
  /** Whether the transfer goes on when the link is lost. */
  lasts = false;
  readonly #redial: Redial;
  /** Whether this side makes the next connection; otherwise it waits for one. */
  readonly #dials: boolean;
  #emit: Emit = () => {};
  /** Whether the peer can connect again; null before its Hello. */
  #peerLasts: boolean | null = null;
  /** How the link was lost. */
  #dead: DcsendError | null = null;
  /** Whether another connection is about to take over: nothing is taken from this one. */
  #frozen = false;
  #end: DcsendError | null = null;
  #waiting: (() => void)[] = [];
  /** Whether it is interrupted, which the user sees. */
  #isLost = false;
  /** Messages of the peer that had arrived when the transfer was accepted. */
  #before = Number.POSITIVE_INFINITY;
  readonly #needless = new Needless();
  #silence = new Silence(0);
  /** The present series of attempts to connect again; null for none. */
  #renewal: Renewal | null = null;
  /** Whether the peer uses the link: it may give up while this side takes over. */
  #isAnswered = true;
  /** The attempts without a connection. */
  readonly #dialing = new Set<AbortController>();
  /** The connection that is about to take over. */
  #next: Link | null = null;
  #messages = 0;
  #bytes = 0;
  readonly #ticket: Ticket | null;
  readonly #isAnew: boolean;
  /** Whether the peer begins anew with a page that has lost its state. */
  #peerBegins = false;

  /**
   * Take over the first connection; `redial` makes the others. `ticket` is what this page would use
   * after a reload; `isAnew`: it has used it; `dials`: whether it is no allocator.
   */
  constructor(
    link: Link,
    redial: Redial,
    ticket: Ticket | null = null,
    isAnew = false,
    dials = true,
  ) {
    this.link = link;
    this.#redial = redial;
    this.#dials = dials;
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

  /** Whether nothing arrives from the peer at the moment, and another link may be made. */
  get isInterrupted(): boolean {
    return this.#isLost || this.#frozen;
  }

  /** Let the transfer go on when a link is lost, from now on, if the peer has the feature. */
  accepted(): void {
    if (!this.#peerLasts || this.lasts) return;
    this.lasts = true;
    this.#before = this.#arrived;
    void this.#watch();
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
    let error = asError(thrown);
    if (link !== this.link) return;
    this.check();
    if (!this.#isAnswered) error = new ConnectionLost(error.message, error.hint);
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
    this.#next?.close();
  }

  /** End the calls of `changed`. */
  notify(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Take a message that is for the connection; return false if it is one of the transfer. */
  takes(label: Label, message: Message): boolean {
    this.#isAnswered = true;
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
    if (isDue && this.#peerLasts) this.#sendReceipt();
  }

  // --- interruptions

  /** Notice silence, and its end. */
  async #watch(): Promise<void> {
    const { link } = this;
    this.#silence = new Silence(seconds());
    for (; link === this.link && this.lasts && this.#end === null; await later(POLL)) {
      await this.#look();
    }
  }

  /** Look once at what has arrived over the link. */
  async #look(): Promise<void> {
    const { link } = this;
    const received = await link.received();
    if (link !== this.link || !this.lasts || this.#end !== null) return;
    const sign = this.#silence.look(seconds(), received);
    if (sign === "arriving") {
      if (!this.isUsable || this.#renewal === null || this.#renewal.stays) return;
      if (!this.#isLost) this.#needless.add(seconds());
      if (this.#dials) this.#regain();
      else this.#renewal.stay(seconds());
      this.#isLost = false;
    } else if (sign === "probe") this.#sendReceipt();
    else if (sign === "silent" && this.#mayPrepare) this.#begin();
    else if (sign === "lost") this.#lose();
  }

  get #arrived(): number {
    return this.channels.control.received + this.channels.data.received;
  }

  /** Whether the peer is sure to have this side's Accept, and the path does not answer too often. */
  get #mayPrepare(): boolean {
    return this.#arrived > this.#before && !this.#needless.isOften(seconds());
  }

  /** Begin to connect again. */
  #begin(): void {
    if (this.#renewal?.stays) this.#renewal.begin(seconds());
    if (this.#renewal !== null) return;
    this.#renewal = new Renewal(seconds());
    void this.#renew(this.#renewal);
  }

  /** Begin to connect again, and report the interruption. */
  #lose(): void {
    this.#begin();
    if (this.#isLost) return;
    this.#isLost = true;
    this.#emit({ type: "warning", kind: "interrupted", message: "", hint: "" });
  }

  #regain(): void {
    this.#renewal = null;
    this.#isLost = false;
    this.#endDials();
  }

  #endDials(): void {
    for (const one of this.#dialing) one.abort();
    this.#dialing.clear();
  }

  /** Make other connections, one of which takes over. */
  async #renew(renewal: Renewal): Promise<void> {
    let refusals = 0;
    while (this.#renewal === renewal) {
      const pause = renewal.pause(seconds());
      void this.#attempt(renewal, AT_ONCE * pause).then((isRefused) => {
        // A browser does not always show the difference.
        refusals = isRefused && this.#isLost ? refusals + 1 : 0;
        if (refusals > 2) this.#giveUp(renewal);
      });
      await later(pause);
      const isUnsure = !this.#dials && this.#arrived === this.#before;
      if (renewal.isOver(seconds(), isUnsure)) this.#giveUp(renewal);
    }
  }

  #giveUp(renewal: Renewal): void {
    if (this.#renewal !== renewal) return;
    if (renewal.stays) this.#regain();
    else this.end(this.#dead ?? new ConnectionFailed("the connection was lost"));
  }

  /** Dial once; return whether the listener seems to refuse this side. */
  async #attempt(renewal: Renewal, patience: number): Promise<boolean> {
    const dialing = new AbortController();
    this.#dialing.add(dialing);
    let link: Link | null = null;
    let isRefused = false;
    try {
      link = await this.#redial(patience, dialing.signal);
      if (this.#dials && !dialing.signal.aborted) await this.#look();
      // The path has not answered by now, nor has another attempt connected.
      if (!dialing.signal.aborted && this.#renewal === renewal) {
        this.#dialing.delete(dialing);
        this.#endDials();
        this.#next?.close();
        this.#next = link;
        this.#takeOver(link, await this.#exchange(link));
      }
    } catch (thrown) {
      const error = asError(thrown);
      if (error.kind === "protocol") this.end(error);
      isRefused = error.kind === "code-used";
    }
    this.#dialing.delete(dialing);
    if (link !== this.link) link?.close();
    if (this.#next !== null && this.#next === link) {
      this.#next = null;
      if (link !== this.link) this.#unfreeze();
    }
    return isRefused;
  }

  /** Exchange Resume over a new connection; return that of the peer. */
  async #exchange(link: Link): Promise<Receipt> {
    const { control } = link.channels;
    const resume = () => {
      this.#frozen = true;
      control.send(encodeReceipt("resume", this.#receipt()));
    };
    if (this.#dials) resume();
    const late = new ConnectionFailed("the other side does not go on");
    const message = await before(TAKE_OVER, control.receive(), late);
    if (helloFeatures(message).length > 0) {
      // Accept was lost: the other side has given its code back, and begins anew.
      throw new RemoteProtocolError("the connection was lost before your answer had arrived");
    }
    const receipt = readReceipt("resume", message);
    if (!this.#dials) resume();
    return receipt;
  }

  #takeOver(link: Link, receipt: Receipt): void {
    if (this.#end !== null) return;
    this.#confirm(receipt);
    const former = this.link;
    this.link = link;
    this.#dead = null;
    this.#frozen = false;
    this.#isAnswered = this.#dials;
    for (const label of LABELS) {
      const channel = this.channels[label];
      channel.rewind();
      channel.sendAgain(link).then(
        () => this.notify(),
        () => this.notify(),
      );
    }
    // The listener has replaced it, so that the end of it has no effect there. A joiner does so soon.
    former.close(this.#dials ? 0 : TAKE_OVER);
    this.#regain();
    void this.#watch();
    this.notify();
  }

  /** Go on with the present link, if it lives. */
  #unfreeze(): void {
    this.#frozen = false;
    if (this.#dead !== null && !(this.#dead instanceof ConnectionLost)) this.end(this.#dead);
    this.notify();
  }

  // --- receipts

  /** Confirm what has arrived, if that is possible now. */
  #sendReceipt(): void {
    if (!this.isUsable) return;
    try {
      const receipt = encodeReceipt("received", this.#receipt());
      if (this.link.channels.control.send(receipt)) this.#messages = this.#bytes = 0;
    } catch {
      // The next call of `receive` handles it.
    }
  }

  #receipt(): Receipt {
    const { control, data, text } = this.channels;
    return { control: control.received, data: data.received, text: text.received };
  }

  #confirm(receipt: Receipt): void {
    for (const label of LABELS) this.channels[label].confirm(receipt[label]);
  }
}

const seconds = () => performance.now() / 1000;
