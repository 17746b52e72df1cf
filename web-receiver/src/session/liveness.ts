/**
 * Is the other side still there, and was this page awake? Decided from what arrives and when timers
 * come, with the time passed in: as `dcsend/session/liveness.py`. Imports only protocol/limits.ts.
 */
import { LIVENESS_INTERVAL, LIVENESS_LETTERS } from "../protocol/limits.ts";

/**
 * What is due now.
 *
 * send     send a random message
 * report   tell the person that the peer is silent
 * give-up  the peer is gone
 */
export type Sign = "send" | "report" | "give-up";

/** Seconds of silence after which the person is told. */
const REPORT = 12;

/** Seconds of silence after which the peer is taken for gone. */
const LIMIT = 30;

/** Seconds a timer may be late on a busy device; more, and the browser had stopped the page. */
const LATE = 10;

/** Seconds for which a sleep may explain that the connection is lost: ICE takes half of it. */
const REMEMBERED = 60;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Return a sign of life: fifteen letters, without a line end. */
export function randomLetters(): string {
  let letters = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(LIVENESS_LETTERS))) {
    letters += LETTERS.charAt(byte % LETTERS.length);
  }
  return letters;
}

/** Tell a line that somebody typed from a sign of life: only the former has a line end. */
export function isLine(message: string): boolean {
  return message.endsWith("\n");
}

/** Keeps the three clocks: next sign of ours, report, end. Times in seconds, any origin. */
export class Liveness {
  #nextSend: number;
  #heard: number;
  #reported = false;

  constructor(now: number) {
    this.#nextSend = now + LIVENESS_INTERVAL;
    this.#heard = now;
  }

  /** Note that something has arrived, on whatever channel. */
  heard(now: number): void {
    this.#heard = now;
    this.#reported = false;
  }

  /** For how many seconds nothing has arrived. */
  silence(now: number): number {
    return now - this.#heard;
  }

  /** What is due, each thing once. */
  due(now: number): Sign[] {
    const signs: Sign[] = [];
    if (this.silence(now) >= LIMIT) return ["give-up"];
    if (this.silence(now) >= REPORT && !this.#reported) {
      this.#reported = true;
      signs.push("report");
    }
    if (now >= this.#nextSend) {
      // From now, not from when it was due: after a suspended minute, not twelve at once.
      this.#nextSend = now + LIVENESS_INTERVAL;
      signs.push("send");
    }
    return signs;
  }

  /** When `due` should be asked again. */
  nextDue(): number {
    return Math.min(this.#nextSend, this.#heard + (this.#reported ? LIMIT : REPORT));
  }
}

/** When the peer's next step is due, if it is due at all. Times in seconds, any origin. */
export class Deadline {
  #due = Number.POSITIVE_INFINITY;
  #missed = "";

  /** Give the peer `seconds` from now; `missed` completes "the other side …". */
  expect(now: number, seconds: number, missed: string): void {
    this.#due = now + seconds;
    this.#missed = missed;
  }

  /** Give the peer as much time as it takes. */
  lift(): void {
    this.#due = Number.POSITIVE_INFINITY;
  }

  /** What the peer has not done in time; empty if nothing is overdue. */
  missed(now: number): string {
    return now >= this.#due ? this.#missed : "";
  }

  /** When `missed` should be asked again. */
  get due(): number {
    return this.#due;
  }
}

/**
 * Notices that the browser had stopped the page. Two clocks, in seconds: in some systems the
 * monotonic one stands still while the device sleeps, the other one doesn't.
 */
export class Wakefulness {
  #now = Number.POSITIVE_INFINITY;
  #wall = Number.POSITIVE_INFINITY;
  #woke = Number.NEGATIVE_INFINITY;

  /** Note that a timer was set that comes in `delay` seconds. */
  expect(now: number, wall: number, delay: number): void {
    this.#now = now + delay;
    this.#wall = wall + delay;
  }

  /** Note that the timer came; true if it is so late that the page was asleep. */
  tick(now: number, wall: number): boolean {
    const late = this.#late(now, wall);
    if (late) this.#woke = now;
    return late;
  }

  /** Whether the page was asleep a moment ago; also right before the late timer comes. */
  slept(now: number, wall: number): boolean {
    return this.#late(now, wall) || now - this.#woke < REMEMBERED;
  }

  #late(now: number, wall: number): boolean {
    return now - this.#now > LATE || wall - this.#wall > LATE;
  }
}
