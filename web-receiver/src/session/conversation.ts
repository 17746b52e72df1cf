/**
 * The text channel of a transfer: keep-alive messages, typed lines, and an orderly end. As
 * `dcsend/session/conversation.py`.
 */

import { ConnectionFailed, type DcsendError } from "../errors.ts";
import type { Channel, Connection } from "../peers/contract.ts";
import { MAX_TEXT } from "../protocol/limits.ts";
import { type Control, sendAll } from "./control.ts";
import {
  Deadline,
  isLine,
  Liveness,
  PROGRESS_SECONDS,
  randomLetters,
  type Sign,
  Wakefulness,
} from "./liveness.ts";
import type { RunOptions } from "./options.ts";
import { asError, suspended, type Tally } from "./outcome.ts";
import { race, within } from "./waiting.ts";

/** Seconds from the Stop button to the end of the run, whatever peer and disk do; at most 1. */
const STOPPING = 0.9;

/**
 * Seconds for Cancel to arrive before the connection is closed. Waited in full only where the peer
 * is gone; on a busy machine 0.5 is too short: the peer then reports a lost connection instead.
 */
export const FAREWELL = 2;

/** Seconds for the last message to arrive when a person stops a complete transfer. */
const LAST_MESSAGE = 0.5;

/** Seconds for the sink to close after Cancel; closing then continues in the worker. */
const CLOSING = 1;

/** Cuts a line into messages: a character has at most four bytes, and the line end needs one. */
const PIECES = new RegExp(`[^]{1,${MAX_TEXT / 4 - 1}}`, "gu");

/** The sending or the receiving half of a transfer. */
export interface TransferHalf {
  /** Carry the transfer out. */
  run(): Promise<void>;
  /**
   * Whether every file has a verdict that both sides have or will have: a lost connection is
   * harmless.
   */
  readonly safe: boolean;
  readonly control: Control;
  /** Release the disk, and collect what is complete; called once, while Cancel is being sent. */
  close(): Promise<void>;
}

/** The text channel of one connection, the peer's deadlines, and how a transfer ends. */
export class Conversation {
  readonly #connection: Connection;
  readonly #text: Channel;
  readonly #tally: Tally;
  readonly #now: () => number;
  readonly #wallClock: () => number;
  readonly #liveness: Liveness;
  readonly #deadline = new Deadline();
  readonly #wakefulness = new Wakefulness();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #linesSent: Promise<void> = Promise.resolve();

  constructor(
    connection: Connection,
    tally: Tally,
    { now, wallClock }: Pick<RunOptions, "now" | "wallClock">,
  ) {
    this.#connection = connection;
    this.#text = connection.channels.text;
    this.#tally = tally;
    this.#now = now;
    this.#wallClock = wallClock;
    this.#liveness = new Liveness(now());
  }

  /** Note that a message has arrived, on any channel. */
  noteArrival(): void {
    this.#liveness.noteArrival(this.#now());
  }

  /**
   * Set the deadline of the peer's next step to 60 s from now; the run ends if it is missed.
   * `missed` completes "the other side …".
   */
  expect(missed: string): void {
    this.#deadline.expect(this.#now(), PROGRESS_SECONDS, missed);
  }

  /** Remove the deadline. */
  lift(): void {
    this.#deadline.lift();
  }

  /** Send a line, after earlier ones. */
  sendLine(line: string): void {
    // `Control.follow` reports a lost connection.
    this.#linesSent = this.#linesSent.then(() => this.#sendPieces(line)).catch(() => undefined);
  }

  /**
   * Carry a transfer out with the text channel beside it; `stopped` rejects when a person ends it.
   * Rejects with the error that ended it early, after Cancel was sent.
   */
  async run(half: TransferHalf, stopped: Promise<never>): Promise<void> {
    const silent = new Promise<never>((_, reject) => this.#beat(reject));
    const running = half.run();
    let until = Number.POSITIVE_INFINITY;
    const left = (seconds: number) => Math.min(seconds, Math.max(0, until - this.#now()));
    let closing: Promise<void> | null = null;
    try {
      await race(running, this.#receive(), silent, stopped);
    } catch (thrown) {
      const error = asError(thrown);
      const interrupted = error.kind === "interrupted";
      if (interrupted) until = this.#now() + STOPPING;
      if (interrupted && half.control.isComplete) await within(LAST_MESSAGE, running);
      if (half.safe && (interrupted || error.kind === "connection")) return;
      this.#tally.seal();
      const slept = this.#wakefulness.slept(this.#now(), this.#wallClock());
      const sent = half.control.cancel(error);
      // At the same time as Cancel: a peer that does not close would use up the time, and the
      // complete files would be lost.
      closing = half.close();
      closing.catch(() => undefined);
      await within(left(FAREWELL), sent);
      throw slept ? suspended(error) : error;
    } finally {
      clearTimeout(this.#timer);
      await within(left(CLOSING), closing ?? half.close());
    }
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#text.receive();
        this.noteArrival();
        if (typeof message !== "string") continue;
        const kind = isLine(message) ? "line" : "random";
        const text = message.slice(0, MAX_TEXT).replace(/\n$/, "");
        this.#tally.emit({ type: "text", text, sent: false, kind });
      }
    } catch (error) {
      // The control channel has the better error.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  /** Set a timer for what is due next; `fail` is called when the peer is gone. */
  #beat(fail: (error: DcsendError) => void): void {
    const due = Math.min(this.#liveness.nextDue(), this.#deadline.due);
    const delay = Math.max(0, due - this.#now());
    this.#wakefulness.expect(this.#now(), this.#wallClock(), delay);
    this.#timer = setTimeout(() => {
      const now = this.#now();
      // Messages that arrived during the sleep have not been read yet.
      const slept = this.#wakefulness.tick(now, this.#wallClock());
      if (slept || this.#connection.isInterrupted) {
        this.noteArrival();
        this.#deadline.putOff(now);
      }
      const silence = Math.round(this.#liveness.silence(now));
      const signs = this.#liveness.due(now);
      for (const sign of signs) this.#act(sign, silence, fail);
      const missed = this.#deadline.missed(now);
      if (missed !== "") fail(new ConnectionFailed(`the other side ${missed}`));
      else if (!signs.includes("give-up")) this.#beat(fail);
    }, delay * 1000);
  }

  #act(sign: Sign, silence: number, fail: (error: DcsendError) => void): void {
    if (sign === "give-up") {
      fail(new ConnectionFailed(`the other side has been silent for ${silence} s`));
    } else if (sign === "report") {
      const message = `nothing from the other side for ${silence} s`;
      this.#tally.emit({ type: "warning", kind: "silent", message, hint: "" });
    } else {
      this.#sign();
    }
  }

  /**
   * Send a keep-alive message; not with a full buffer, whose content keeps the connection alive.
   */
  #sign(): void {
    const text = randomLetters();
    try {
      if (!this.#text.send(text)) return;
    } catch {
      return; // `Control.follow` reports it
    }
    this.#tally.emit({ type: "text", text, sent: true, kind: "random" });
  }

  async #sendPieces(line: string): Promise<void> {
    for (const text of line.match(PIECES) ?? [""]) {
      await sendAll(this.#text, [`${text}\n`]);
      this.#tally.emit({ type: "text", text, sent: true, kind: "line" });
    }
  }
}
