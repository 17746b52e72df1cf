/**
 * What goes on beside the files: signs of life, typed lines, and an orderly end. As
 * `dcsend/session/conversation.py`. Imports engine types, protocol/limits.ts, leaves, session.
 */
import type { Channel, Connection } from "../engines/base.ts";
import { ConnectionFailed, type DcsendError } from "../errors.ts";
import { MAX_TEXT, PROGRESS_SECONDS } from "../protocol/limits.ts";
import { type Control, sendAll } from "./control.ts";
import { Deadline, isLine, Liveness, randomLetters, type Sign, Wakefulness } from "./liveness.ts";
import type { RunOptions } from "./options.ts";
import { asError, suspended, type Tally } from "./outcome.ts";
import { race, within } from "./waiting.ts";

/** Seconds from Stop to the end of the run, whatever peer and disk do; a second is promised. */
const STOPPING = 0.9;

/**
 * Seconds for the last message to arrive before the connection is torn down. Waited in full only where
 * the peer is gone; half a second is too short on a busy machine: the peer then reports a lost
 * connection in place of the error.
 */
const FAREWELL = 2;

/** Seconds for the last word to arrive when somebody stops what is complete. */
const LAST_WORD = 0.5;

/** Seconds for the disk to let go; a slow one goes on by itself. */
const CLOSING = 1;

/** Of these, seconds that a stop leaves it at least. */
const CLOSING_AT_LEAST = 0.1;

/** Cuts a line into messages: a character has four bytes at most, and the line end needs room. */
const PIECES = new RegExp(`[^]{1,${MAX_TEXT / 4 - 1}}`, "gu");

/** The sending or the receiving half of a transfer. */
export interface Party {
  /** Carry the transfer through. */
  run(): Promise<void>;
  /** Whether all files are judged and both sides know it, or will: a lost connection is harmless. */
  readonly safe: boolean;
  readonly control: Control;
  /** Let go of the disk, once the peer knows how it ended. */
  putAway(): Promise<void>;
}

/** Keeps the text channel of one connection. */
export class Conversation {
  readonly #text: Channel;
  readonly #tally: Tally;
  readonly #now: () => number;
  readonly #wallClock: () => number;
  readonly #liveness: Liveness;
  readonly #deadline = new Deadline();
  readonly #wakefulness = new Wakefulness();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #said: Promise<void> = Promise.resolve();

  constructor(
    connection: Connection,
    tally: Tally,
    { now, wallClock }: Pick<RunOptions, "now" | "wallClock">,
  ) {
    this.#text = connection.channels.text;
    this.#tally = tally;
    this.#now = now;
    this.#wallClock = wallClock;
    this.#liveness = new Liveness(now());
  }

  /** Note that something has come from the peer, on whatever channel. */
  heard(): void {
    this.#liveness.heard(this.#now());
  }

  /**
   * Give the peer a minute for its next step, or the run ends; `missed` completes "the other side …".
   * Looked at with each sign of life of ours, so that it may take one interval longer.
   */
  expect(missed: string): void {
    this.#deadline.expect(this.#now(), PROGRESS_SECONDS, missed);
  }

  /** Give the peer as much time for its next step as it takes. */
  lift(): void {
    this.#deadline.lift();
  }

  /** Send a line, after those before it. */
  say(line: string): void {
    // A lost connection is told by the control channel.
    this.#said = this.#said.then(() => this.#say(line)).catch(() => undefined);
  }

  /**
   * Carry a transfer through with the text channel beside it; `stopped` rejects when it shall end.
   * Rejects with what ended it early, after the peer was told.
   */
  async run(party: Party, stopped: Promise<never>): Promise<void> {
    const silent = new Promise<never>((_, reject) => this.#beat(reject));
    const running = party.run();
    let until = Number.POSITIVE_INFINITY;
    const left = (seconds: number) => Math.min(seconds, Math.max(0, until - this.#now()));
    try {
      await race(running, this.#receive(), silent, stopped);
    } catch (thrown) {
      const error = asError(thrown);
      const interrupted = error.kind === "interrupted";
      if (interrupted) until = this.#now() + STOPPING;
      if (interrupted && party.control.lastWordSaid) await within(LAST_WORD, running);
      if (party.safe && (interrupted || error.kind === "connection")) return;
      this.#tally.seal();
      const slept = this.#wakefulness.slept(this.#now(), this.#wallClock());
      await within(
        left(FAREWELL + CLOSING_AT_LEAST) - CLOSING_AT_LEAST,
        party.control.farewell(error),
      );
      throw slept ? suspended(error) : error;
    } finally {
      clearTimeout(this.#timer);
      await within(left(CLOSING), party.putAway());
    }
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const message = await this.#text.receive();
        this.heard();
        if (typeof message !== "string") continue;
        const kind = isLine(message) ? "line" : "random";
        const text = message.slice(0, MAX_TEXT).replace(/\n$/, "");
        this.#tally.emit({ type: "text", text, sent: false, kind });
      }
    } catch (error) {
      // The control channel says it better.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  /** Do what is due, and come again; `fail` is called when the peer is gone. */
  #beat(fail: (error: DcsendError) => void): void {
    const due = Math.min(this.#liveness.nextDue(), this.#deadline.due);
    const delay = Math.max(0, due - this.#now());
    this.#wakefulness.expect(this.#now(), this.#wallClock(), delay);
    this.#timer = setTimeout(() => {
      const now = this.#now();
      // What the peer said meanwhile is still to be read.
      const awake = !this.#wakefulness.tick(now, this.#wallClock());
      if (!awake) this.heard();
      const silence = Math.round(this.#liveness.silence(now));
      const signs = this.#liveness.due(now);
      for (const sign of signs) this.#act(sign, silence, fail);
      const missed = this.#deadline.missed(now);
      if (missed !== "" && awake) fail(new ConnectionFailed(`the other side ${missed}`));
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

  /** Send a sign of life; a full buffer means that something is on its way already. */
  #sign(): void {
    const text = randomLetters();
    try {
      if (!this.#text.send(text)) return;
    } catch {
      return; // the control channel tells
    }
    this.#tally.emit({ type: "text", text, sent: true, kind: "random" });
  }

  async #say(line: string): Promise<void> {
    for (const text of line.match(PIECES) ?? [""]) {
      await sendAll(this.#text, [`${text}\n`]);
      this.#tally.emit({ type: "text", text, sent: true, kind: "line" });
    }
  }
}
