/**
 * The receiver's side of a transfer, sans-I/O.
 *
 *     new --start--> greeting --Hello--> waiting --Manifest--> deciding --accept--> receiving
 *                                                                 |                    |
 *                                                              decline              frames
 *                                                                 v                    v
 *                          done <--Bye-- completed <--verdicts----|---------------- received
 *                            ^------------------Bye---------- declined
 *
 * Pass what arrives to `receive` and `receiveFrame`, send what `messagesToSend` returns, and report
 * with `written` and `verdict`. Imports no peers, no files.
 */
import type { Bytes, Content, End } from "../content.ts";
import { type Entry, NOTHING_LEFT_OUT } from "../entry.ts";
import { RemoteProtocolError } from "../errors.ts";
import { Ranges } from "./again.ts";
import type { Event } from "./events.ts";
import { AGAIN_FRAME, abortReason, decodeFrame, type Frame, holeCost } from "./frames.ts";
import { answerFault, Ledger } from "./ledger.ts";
import * as limits from "./limits.ts";
import {
  AGAIN,
  type Cancel,
  clip,
  type DeclineReason,
  type Hello,
  type Manifest,
  type Message,
  namesOf,
  type Status,
  splitAccept,
  splitVerdict,
} from "./messages.ts";
import { ANY_TIME, check, refuse, Side, type Transitions } from "./side.ts";
import { type Digest, utf8Length } from "./strict.ts";
import { Window } from "./window.ts";

/** The state that follows each input in each state. */
export const TRANSITIONS: Transitions = {
  new: { start: "greeting", cancel: "cancelled" },
  greeting: { Hello: "waiting", ...ANY_TIME },
  waiting: { "Manifest (more follow)": "waiting", "Manifest (last)": "deciding", ...ANY_TIME },
  deciding: { accept: "receiving", decline: "declined", ...ANY_TIME },
  receiving: {
    Frame: "receiving",
    "Frame (AGAIN)": "receiving",
    again: "receiving",
    verdict: "receiving",
    Working: "receiving",
    working: "receiving",
    "all frames passed": "received",
    ...ANY_TIME,
  },
  // The last frames may arrive before a Working, which is on another channel.
  received: {
    "Frame (AGAIN)": "received",
    again: "received",
    verdict: "received",
    Working: "received",
    working: "received",
    "all verdicts given": "completed",
    ...ANY_TIME,
  },
  // Complete is sent: a Cancel that crosses it changes nothing and counts as Bye.
  completed: { Working: "completed", Bye: "done", Cancel: "done", violation: "failed" },
  declined: { Bye: "done", Cancel: "done", violation: "failed" },
  done: {},
  cancelled: {},
  failed: {},
};

/** Receives an offer and its files, and sends the status of each. */
export class Receiver extends Side {
  readonly #window: Window;
  readonly #entries: Entry[] = [];
  #manifestSize = 0;
  /** Bytes that paths and targets may still have. */
  #namesLeft = limits.MAX_NAMES;
  #ledger = new Ledger([], new Map(), new Map());
  readonly #have = new Map<number, number>();
  readonly #ranges = new Ranges(this.#have, () => false);
  /** Whether the sender sends bytes again. */
  #repairs = false;
  #written = 0;
  #verdicts: [number, Status][] = [];

  /**
   * `agent` is name and version of this program, at most 128 code points; `window` the bytes of data
   * messages that may be in flight; `name` that of this device, see DEVICE_NAME, empty for none.
   */
  constructor(agent: string, window: number = limits.WINDOW, name = "") {
    super(TRANSITIONS, "receiver", agent, name);
    this.#window = new Window(window);
  }

  /** Entries of the manifest that have arrived. */
  get offered(): number {
    return this.#entries.length;
  }

  /** Bytes of data messages that have arrived. */
  get received(): number {
    return this.#window.sent;
  }

  /**
   * Queue Accept; Complete follows at once if there is nothing to receive.
   *
   * `skip` are the entries that are not wanted, each with one of SKIP_REASONS; `have` the verified
   * bytes that exist of a file, at least 1; `digests` those of some beginnings of them, in the order
   * of files and offsets.
   *
   * Throws LocalProtocolError: there is no manifest to accept, or a number or reason is wrong.
   */
  accept(
    skip: ReadonlyMap<number, string>,
    have: ReadonlyMap<number, number> = new Map(),
    digests: readonly Digest[] = [],
  ): void {
    check(answerFault(this.#entries, skip, have));
    this.step("accept");
    for (const part of splitAccept(this.#window.size, skip, have, digests)) this.send(part);
    for (const [number, offset] of have) this.#have.set(number, offset);
    this.#ledger = new Ledger(this.#entries, skip, have);
    this.#afterFile();
    this.#conclude();
  }

  /**
   * Queue Decline: nothing of the offer is wanted. `message` is for people, cut at 500 code points.
   *
   * Throws LocalProtocolError: there is no manifest to decline.
   */
  decline(reason: DeclineReason, message = ""): void {
    this.step("decline");
    this.send({ type: "decline", reason, message: clip(message) });
  }

  /**
   * Receive a message of the data channel; return its content in order, none if the transfer has
   * ended. Payloads may be views into `message`: don't change it afterwards.
   *
   * Throws RemoteProtocolError: it is a violation. IntegrityError: the frame is damaged. A Cancel is
   * queued for both.
   */
  receiveFrame(message: Bytes | string): Content[] {
    if (this.isOver()) return [];
    const isAgain = typeof message !== "string" && message[0] === AGAIN_FRAME;
    try {
      this.stepByPeer(isAgain ? "Frame (AGAIN)" : "Frame");
      if (typeof message === "string") {
        throw new RemoteProtocolError("text message on the data channel");
      }
      const frame = decodeFrame(message);
      const isHole = frame.kind === "hole" || (isAgain && frame.payload.length === 0);
      const cost = isHole ? holeCost(frame.length) : message.length;
      if (!this.#window.allows(cost)) {
        throw new RemoteProtocolError(`frame of ${cost} bytes doesn't fit the window`);
      }
      const content = this.#onFrame(frame, cost);
      this.#window.send(cost);
      return content;
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Whether not all that was asked for again has arrived. */
  get awaitsAgain(): boolean {
    return !this.#ranges.isEmpty;
  }

  /**
   * Queue Again for the bytes [start, end) of a file of `have`, if the sender can send them again;
   * return whether they will arrive.
   */
  again(number: number, start: number, end: number): boolean {
    if (this.isOver() || !this.#repairs || this.#ledger.hasVerdict(number)) return false;
    if (this.#ranges.ask(number, start, end) !== "") return false;
    this.step("again");
    this.send({ type: "again", file: number, from: start, to: end });
    return true;
  }

  /**
   * Count data messages whose content is written: the sum of the `cost` of their content, in bytes. An Ack
   * goes with the next messages.
   *
   * Throws LocalProtocolError: more is written than was received.
   */
  written(cost: number): void {
    check(this.#written + cost <= this.received ? "" : "wrote more than received");
    this.#written += cost;
    this.#conclude();
  }

  /**
   * Queue the status of a file for the next messages; Complete follows the last one when all frames
   * are written. `failed` is possible before the file has ended, and is the status of an aborted one.
   * It has no effect when the transfer has ended.
   *
   * Throws LocalProtocolError: this file can have no status now.
   */
  verdict(number: number, status: Status): void {
    if (this.isOver()) return;
    this.step("verdict");
    check(this.#ledger.verdictFault(number, status));
    this.#ledger.recordVerdict(number, status);
    this.#verdicts.push([number, status]);
    this.#conclude();
  }

  override messagesToSend(): string[] {
    this.#flush();
    return super.messagesToSend();
  }

  // --- messages of the peer

  protected override onHello(hello: Hello): void {
    this.#repairs = hello.features.includes(AGAIN);
  }

  protected override onMessage(message: Message, text: string): Event[] {
    if (message.type === "manifest") return this.#onManifest(message, utf8Length(text));
    if (message.type === "bye") return [{ type: "peer-said-bye" }];
    throw new RemoteProtocolError("unexpected message"); // the table allows no other message
  }

  protected override onCancel(cancel: Cancel): Event[] {
    return this.state === "done" ? [{ type: "peer-said-bye" }] : super.onCancel(cancel);
  }

  #onManifest({ entries, last, leftOut }: Manifest, size: number): Event[] {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#namesLeft += limits.NAMES_PER_ENTRY - namesOf(entry);
      if (this.#namesLeft < 0) {
        throw new RemoteProtocolError(
          `manifest has names of more than ${limits.MAX_NAMES} bytes ` +
            `and ${limits.NAMES_PER_ENTRY} for each entry`,
        );
      }
    }
    this.#manifestSize += size;
    if (this.#entries.length > limits.MAX_ENTRIES) {
      throw new RemoteProtocolError(`manifest has more than ${limits.MAX_ENTRIES} entries`);
    }
    if (this.#manifestSize > limits.MAX_MANIFEST) {
      throw new RemoteProtocolError(`manifest is longer than ${limits.MAX_MANIFEST} bytes`);
    }
    if (!last) return [];
    const offered = { entries: this.#entries, leftOut: leftOut ?? NOTHING_LEFT_OUT };
    return [{ type: "manifest-received", ...offered }];
  }

  #onFrame(frame: Frame, cost: number): Content[] {
    const ledger = this.#ledger;
    const { kind, number, offset, length, payload, digest } = frame;
    if (kind === "abort") {
      refuse(ledger.placeFault(number, offset));
      ledger.passAbort();
      this.#afterFile();
      return [{ type: "abort", number, reason: abortReason(payload), cost }];
    }
    if (kind === "batch") return this.#onBatch(frame);
    if (kind === "again") {
      refuse(this.#ranges.frameFault(number, offset, length));
      this.#ranges.pass(length);
      return [{ type: "repair", number, offset, length, payload, cost }];
    }
    if (kind === "restart") {
      refuse(ledger.restartFault(number, offset));
      ledger.passRestart();
      return [{ type: "restart", number, offset, cost }];
    }
    refuse(ledger.frameFault(number, offset, length, digest !== null));
    if (kind === "hole") {
      refuse(ledger.holeFault(length));
      ledger.passHole(length);
      return [{ type: "hole", number, offset, length, cost }];
    }
    ledger.passContent(length);
    if (digest !== null) {
      const size = ledger.position;
      ledger.passEnd();
      this.#afterFile();
      return [{ type: "end", number, size, digest, payload, cost }];
    }
    return [{ type: "data", number, offset, payload, cost }];
  }

  #onBatch({ number: first, offset: count, length, payload, digest }: Frame): Content[] {
    const files = this.#ledger.nextWhole(count);
    const sizes = files.reduce((sum, [, size]) => sum + size, 0);
    if (files.length !== count || files[0]?.[0] !== first || sizes !== length) {
      throw new RemoteProtocolError(`batch of ${count} files from ${first} that is not due`);
    }
    this.#ledger.passWhole(files);
    let at = 0;
    const ends = files.map(([number, size], place): End => {
      // Each in a buffer of its own: a buffer is transferred to a worker as a whole.
      const content = payload.slice(at, at + size);
      const from = place * limits.DIGEST;
      const sha256 = digest?.slice(from, from + limits.DIGEST) ?? new Uint8Array();
      const cost = (place === 0 ? limits.FRAME_HEADER : 0) + size + limits.DIGEST;
      at += size;
      return { type: "end", number, size, digest: sha256, payload: content, cost };
    });
    this.#afterFile();
    return ends;
  }

  // --- private

  #afterFile(): void {
    if (this.#ledger.allPassed) this.step("all frames passed");
  }

  #conclude(): void {
    // A file that fails early has its status before its last frame, and before the status of
    // directories is known: so it is complete only when that frame is written, too.
    if (this.state !== "received" || !this.#ledger.allVerdictsGiven) return;
    if (this.#written !== this.received || this.awaitsAgain) return;
    this.#flush();
    this.step("all verdicts given");
    this.send(this.#ledger.totals());
  }

  /** Queue one Ack, then the statuses that are not sent yet, unless the transfer has ended. */
  #flush(): void {
    if (this.state !== "receiving" && this.state !== "received") return;
    if (this.#written > this.#window.acknowledged) {
      this.#window.acknowledge(this.#written);
      this.send({ type: "ack", bytes: this.#written });
    }
    for (const verdict of splitVerdict(this.#verdicts)) this.send(verdict);
    this.#verdicts = [];
  }
}
