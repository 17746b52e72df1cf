/**
 * The sender's side of a transfer, sans-I/O.
 *
 *     new --start--> greeting --Hello--> offering --Accept--> sending --frames--> sent
 *                                           |                                      |
 *                                        Decline                               Complete
 *                                           v                                      v
 *                                       declined                   done <--end-- completed
 *
 * Pass what arrives to `receive`, what a person chooses to `offer`, at any time; send what
 * `messagesToSend` returns, and while `sendable` has room make frames with `data` and `abort`. There
 * are no holes, since a browser does not show where a file has them. Imports no peers, no files.
 */
import type { Bytes } from "../content.ts";
import type { Entry } from "../entry.ts";
import { RemoteProtocolError, UsageError } from "../errors.ts";
import { type Range, Ranges } from "./again.ts";
import type { Event } from "./events.ts";
import { encodeAbort, encodeAgain, encodeData } from "./frames.ts";
import { answerFault, Ledger } from "./ledger.ts";
import * as limits from "./limits.ts";
import {
  type Accept,
  type Complete,
  type Hello,
  type Message,
  namesOf,
  splitManifest,
} from "./messages.ts";
import { ANY_TIME, check, refuse, Side, type TransferInput, type Transitions } from "./side.ts";
import { Window } from "./window.ts";

/** The state that follows each input in each state. */
export const TRANSITIONS: Transitions = {
  new: { start: "greeting", cancel: "cancelled" },
  greeting: { Hello: "offering", ...ANY_TIME },
  offering: {
    "Accept (more follow)": "offering",
    "Accept (last)": "sending",
    Decline: "declined",
    ...ANY_TIME,
  },
  sending: {
    "send frame": "sending",
    "send frame (AGAIN)": "sending",
    "all frames passed": "sent",
    Ack: "sending",
    Verdict: "sending",
    Again: "sending",
    Working: "sending",
    working: "sending",
    ...ANY_TIME,
  },
  // What the receiver had may be verified, and asked for again, after the last frame.
  sent: {
    "send frame (AGAIN)": "sent",
    Ack: "sent",
    Verdict: "sent",
    Again: "sent",
    Working: "sent",
    working: "sent",
    Complete: "completed",
    ...ANY_TIME,
  },
  completed: { end: "done", violation: "failed" },
  declined: {},
  done: {},
  cancelled: {},
  failed: {},
};

/** Offers entries and sends the files that the receiver accepts, in their order. */
export class Sender extends Side {
  /** The manifest; null until the person has chosen. */
  #entries: readonly Entry[] | null = null;
  readonly #window: Window;
  readonly #ownWindow: number;
  #maxFrame = limits.MAX_FRAME;
  readonly #skip = new Map<number, string>();
  readonly #have = new Map<number, number>();
  /** Empty until Accept is complete. */
  #ledger = new Ledger([], this.#skip, this.#have);
  readonly #ranges = new Ranges(this.#have, (number) => this.#ledger.isOver(number));

  /**
   * `agent` is name and version of this program, at most 128 code points; `window` the bytes of data
   * messages that may be in flight, unless the receiver's is smaller; `name` that of this device, see
   * DEVICE_NAME, empty for none.
   */
  constructor(agent: string, window: number = limits.WINDOW, name = "") {
    super(TRANSITIONS, "sender", agent, name);
    this.#window = new Window(window);
    this.#ownWindow = window;
  }

  /** Whether a part of Accept has arrived, and another must follow. */
  get answering(): boolean {
    return this.state === "offering" && this.#skip.size + this.#have.size > 0;
  }

  /** Bytes of data messages whose content the receiver has written. */
  get acknowledged(): number {
    return this.#window.acknowledged;
  }

  /**
   * Longest payload of a frame, in bytes; 32 less with the digest. A small window is divided into
   * twenty frames: a receiver with a limit of its rate grants half a second of it, and few long
   * frames would come unevenly.
   */
  get maxPayload(): number {
    const even = Math.max(limits.MIN_FRAME, this.#window.size / 20);
    return Math.floor(Math.min(this.#maxFrame, even)) - limits.FRAME_HEADER;
  }

  /**
   * Offer these entries, once; the number of an entry is its place here. The manifest is queued as
   * soon as Hello has arrived. It has no effect when the transfer has ended.
   *
   * Throws UsageError: more entries than a transfer may have. LocalProtocolError: an offer has been
   * made.
   */
  offer(entries: readonly Entry[]): void {
    if (this.state !== "new" && this.isOver()) return;
    check(this.#entries === null ? "" : "offered twice");
    if (entries.length > limits.MAX_ENTRIES) {
      throw new UsageError(
        `${entries.length} entries are more than the ${limits.MAX_ENTRIES} of one transfer`,
        "send it in parts, or as one archive",
      );
    }
    let left = limits.MAX_NAMES;
    for (const entry of entries) {
      left += limits.NAMES_PER_ENTRY - namesOf(entry);
      if (left < 0) {
        throw new UsageError(
          `the paths of ${entries.length} entries are longer together than one transfer takes`,
          "send it in parts, or as one archive",
        );
      }
    }
    this.#entries = entries;
    if (this.state === "offering") this.#sendManifest(entries);
  }

  /** Number of the file whose frame is due; that of no entry when all have ended. */
  get due(): number {
    return this.#ledger.number;
  }

  /**
   * Return whether the receiver has given up a file that has not ended: `abort` it when it is due.
   */
  isRefused(number: number): boolean {
    return this.state === "sending" && this.#ledger.isRefused(number);
  }

  /**
   * Return the longest frame that may be sent now, in bytes. 0: wait for Acknowledged, or there is
   * nothing to send in this state.
   */
  sendable(): number {
    const sends = this.state === "sending" || (this.state === "sent" && this.asked);
    return sends ? this.#window.room(this.#maxFrame) : 0;
  }

  /**
   * Make the next frame: content, and with `digest` (SHA-256) the end of the file.
   *
   * Throws LocalProtocolError: the frame is not due, or the window is full.
   */
  data(
    number: number,
    offset: number,
    payload: Uint8Array,
    digest: Uint8Array | null = null,
  ): Bytes {
    this.step("send frame");
    check(this.#ledger.frameFault(number, offset, payload.length, digest !== null));
    const frame = this.#count(encodeData(number, offset, payload, digest));
    this.#ledger.passContent(payload.length);
    if (digest !== null) {
      this.#ledger.passEnd();
      this.#afterFile();
    }
    return frame;
  }

  /**
   * Make the next frame: the current file is given up; the others continue. `reason` is for people.
   *
   * Throws LocalProtocolError: as `data`.
   */
  abort(number: number, reason: string): Bytes {
    this.step("send frame");
    const { position } = this.#ledger;
    check(this.#ledger.placeFault(number, position));
    const frame = this.#count(encodeAbort(number, position, reason));
    this.#ledger.passAbort();
    this.#afterFile();
    return frame;
  }

  /** The range of which `again` makes the next frame; null if nothing is asked for. */
  get asked(): Range | null {
    return this.#ranges.due;
  }

  /**
   * Make the next frame of the range `asked`; an empty one ends it, if it can't be read or is of no
   * use.
   *
   * Throws LocalProtocolError: nothing is asked for, or it is longer, or the window is full.
   */
  again(payload: Uint8Array): Bytes {
    this.step("send frame (AGAIN)");
    const due = this.asked;
    const length = payload.length;
    if (due === null || due.start + length > due.end) check("not asked for again");
    const frame = this.#count(encodeAgain(due?.number ?? 0, due?.start ?? 0, payload));
    this.#ranges.pass(length);
    return frame;
  }

  /**
   * Queue Bye, after Completed.
   *
   * Throws LocalProtocolError: Complete has not arrived.
   */
  end(): void {
    this.step("end");
    this.send({ type: "bye" });
  }

  // --- messages of the peer

  protected override onHello(hello: Hello): void {
    this.#maxFrame = Math.min(limits.MAX_FRAME, hello.maxFrame);
    if (this.#entries !== null) this.#sendManifest(this.#entries);
  }

  protected override stepByPeer(input: TransferInput): void {
    // An answer to a manifest that has not been sent is a violation.
    if (this.state === "offering" && this.#entries === null && input !== "Cancel") {
      throw new RemoteProtocolError(`${input} is not allowed before the manifest`);
    }
    super.stepByPeer(input);
  }

  protected override onMessage(message: Message): Event[] {
    switch (message.type) {
      case "accept":
        return this.#onAccept(message);
      case "decline":
        // After it the receiver may close.
        this.send({ type: "bye" });
        return [{ type: "declined", reason: message.reason, message: message.message }];
      case "ack":
        refuse(this.#window.fault(message.bytes));
        this.#window.acknowledge(message.bytes);
        if (message.window) this.#window.resize(Math.min(message.window, this.#ownWindow));
        return [{ type: "acknowledged", bytes: message.bytes }];
      case "verdict":
        return message.files.map(([number, status]) => {
          refuse(this.#ledger.verdictFault(number, status));
          this.#ledger.recordVerdict(number, status);
          return { type: "verdict-received", number, status };
        });
      case "again": {
        const { file, from, to } = message;
        refuse(this.#ledger.hasVerdict(file) ? `${file} has a verdict` : "");
        refuse(this.#ranges.ask(file, from, to));
        return [{ type: "asked-again" }];
      }
      case "complete":
        return [this.#onComplete(message)];
      default: // the table allows no other message
        throw new RemoteProtocolError("unexpected message");
    }
  }

  #onAccept(accept: Accept): Event[] {
    const entries = this.#entries ?? [];
    const before = this.#skip.size + this.#have.size;
    for (const [number, reason] of accept.skip) this.#skip.set(number, reason);
    for (const [number, offset] of accept.have) this.#have.set(number, offset);
    const after = this.#skip.size + this.#have.size;
    if (after !== before + accept.skip.length + accept.have.length) {
      throw new RemoteProtocolError("accept names an entry twice");
    }
    if (after > entries.length) {
      throw new RemoteProtocolError("accept names more entries than there are");
    }
    this.#window.shrink(accept.window);
    if (!accept.last) return [];
    refuse(answerFault(entries, this.#skip, this.#have));
    this.#ledger = new Ledger(entries, this.#skip, this.#have);
    this.#afterFile();
    return [{ type: "accepted", skip: this.#skip, have: this.#have }];
  }

  #onComplete(complete: Complete): Event {
    refuse(this.#ledger.allVerdictsGiven && !this.asked ? "" : "complete before all verdicts");
    const { ok, files, bytes } = this.#ledger.totals();
    if (complete.ok !== ok || complete.files !== files || complete.bytes !== bytes) {
      throw new RemoteProtocolError("complete doesn't match the verdicts");
    }
    return { type: "completed", ok, files, bytes };
  }

  // --- private

  #sendManifest(entries: readonly Entry[]): void {
    for (const manifest of splitManifest(entries)) this.send(manifest);
  }

  #afterFile(): void {
    if (this.#ledger.allPassed) this.step("all frames passed");
  }

  #count(frame: Bytes): Bytes {
    const cost = frame.length;
    check(cost > this.#maxFrame ? `frame of ${cost} bytes, the peer takes ${this.#maxFrame}` : "");
    check(this.#window.allows(cost) ? "" : `frame of ${cost} bytes doesn't fit the window`);
    this.#window.send(cost);
    return frame;
  }
}
