/**
 * Whether the peer is alive and makes progress, by the messages that arrive, and whether this page
 * was suspended; time is passed in. As `dcsend/session/liveness.py`.
 */
import { KEEP_ALIVE_INTERVAL, KEEP_ALIVE_LETTERS } from "../protocol/limits.ts";

/**
 * What is due now.
 *
 * send     a keep-alive message
 * report   a warning that the peer is silent
 * give-up  the end: the peer is gone
 */
export type Sign = "send" | "report" | "give-up";

/** Seconds from open channels to the peer's Hello (PROTOCOL.md, Timers). */
export const HELLO_SECONDS = 15;

/** Seconds to the peer's next step that does not depend on a person. */
export const PROGRESS_SECONDS = 60;

/** Seconds between two Working of this side while it reads or writes. */
export const WORKING_SECONDS = 20;

/** Seconds of silence before the warning. */
export const REPORT = 12;

/** Seconds of silence after which the peer counts as gone. */
export const LIMIT = 30;

/** Seconds that a timer may be late on a busy device; more means that the page was suspended. */
const LATE = 10;

/** Seconds for which a suspension may explain a lost connection: ICE takes half of it. */
const REMEMBERED = 60;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Return a keep-alive message: fifteen letters, without a line end. */
export function randomLetters(): string {
  let letters = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(KEEP_ALIVE_LETTERS))) {
    letters += LETTERS.charAt(byte % LETTERS.length);
  }
  return letters;
}

/** Return whether a message is a typed line: a keep-alive message has no line end. */
export function isLine(message: string): boolean {
  return message.endsWith("\n");
}

/** Three timers: next keep-alive message, report, end. Times in seconds, any origin. */
export class Liveness {
  #nextSend: number;
  #lastArrival: number;
  #reported = false;

  constructor(now: number) {
    this.#nextSend = now + KEEP_ALIVE_INTERVAL;
    this.#lastArrival = now;
  }

  /** Note that a message has arrived, on any channel. */
  noteArrival(now: number): void {
    this.#lastArrival = now;
    this.#reported = false;
  }

  /** Return the seconds since the last message. */
  silence(now: number): number {
    return now - this.#lastArrival;
  }

  /** Return what is due, each once. */
  due(now: number): Sign[] {
    const signs: Sign[] = [];
    if (this.silence(now) >= LIMIT) return ["give-up"];
    if (this.silence(now) >= REPORT && !this.#reported) {
      this.#reported = true;
      signs.push("report");
    }
    if (now >= this.#nextSend) {
      // From now, not from when it was due: one message after a suspended minute, not twelve.
      this.#nextSend = now + KEEP_ALIVE_INTERVAL;
      signs.push("send");
    }
    return signs;
  }

  /** Return when `due` should be called again. */
  nextDue(): number {
    return Math.min(this.#nextSend, this.#lastArrival + (this.#reported ? LIMIT : REPORT));
  }
}

/** The deadline of the peer's next step, if there is one. Times in seconds, any origin. */
export class Deadline {
  #due = Number.POSITIVE_INFINITY;
  #missed = "";
  #seconds = 0;

  /** Set it to `seconds` from now; `missed` completes "the other side …". */
  expect(now: number, seconds: number, missed: string): void {
    this.#due = now + seconds;
    this.#missed = missed;
    this.#seconds = seconds;
  }

  /** Begin it anew, if there is one: nothing could arrive from the peer. */
  putOff(now: number): void {
    if (this.#due !== Number.POSITIVE_INFINITY) this.#due = now + this.#seconds;
  }

  /** Remove it. */
  lift(): void {
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** Return what the peer has missed; empty if the deadline has not passed. */
  missed(now: number): string {
    return now >= this.#due ? this.#missed : "";
  }

  /** When `missed` should be called again. */
  get due(): number {
    return this.#due;
  }
}

/**
 * Detects that the browser has suspended the page. Two clocks, in seconds: on some systems the
 * monotonic one stops while the device sleeps, the wall clock does not.
 */
export class Wakefulness {
  #now = Number.POSITIVE_INFINITY;
  #wall = Number.POSITIVE_INFINITY;
  #woke = Number.NEGATIVE_INFINITY;

  /** Note that a timer was set to fire in `delay` seconds. */
  expect(now: number, wall: number, delay: number): void {
    this.#now = now + delay;
    this.#wall = wall + delay;
  }

  /** Note that the timer has fired; return whether it is so late that the page was suspended. */
  tick(now: number, wall: number): boolean {
    const late = this.#late(now, wall);
    if (late) this.#woke = now;
    return late;
  }

  /** Return whether the page was suspended recently, even if the late timer has not fired yet. */
  slept(now: number, wall: number): boolean {
    return this.#late(now, wall) || now - this.#woke < REMEMBERED;
  }

  #late(now: number, wall: number): boolean {
    return now - this.#now > LATE || wall - this.#wall > LATE;
  }
}
