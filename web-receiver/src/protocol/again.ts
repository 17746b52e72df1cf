/**
 * Ranges of a part that were changed on the receiver's disk, and are sent again.
 *
 * Both sides keep the same queue: the receiver adds what it asks for, the sender what it is asked
 * for. Frames of kind AGAIN answer one range after the other. As `dcsend/protocol/again.py`.
 */
import { MAX_AGAIN } from "./limits.ts";

/** Bytes of a file; none if `start` is `end`. */
export interface Range {
  readonly number: number;
  readonly start: number;
  readonly end: number;
}

/** The ranges of a transfer that are asked for and not answered. */
export class Ranges {
  readonly #have: ReadonlyMap<number, number>;
  readonly #isUseless: (number: number) => boolean;
  /** How many ranges of a file were asked for, and the end of the last one. */
  readonly #asked = new Map<number, readonly [number, number]>();
  readonly #waiting: Range[] = [];

  /**
   * `have` are the bytes of each file that the receiver had at the beginning; `isUseless` returns
   * whether a file has its status or was aborted.
   */
  constructor(have: ReadonlyMap<number, number>, isUseless: (number: number) => boolean) {
    this.#have = have;
    this.#isUseless = isUseless;
  }

  /** What the next frame has; no bytes if none are of use, null if nothing is asked for. */
  get due(): Range | null {
    const due = this.#waiting[0];
    if (due === undefined) return null;
    return this.#isUseless(due.number) ? { ...due, end: due.start } : due;
  }

  /** Add the bytes [start, end) of a file; return what is wrong with asking for them, or "". */
  ask(number: number, start: number, end: number): string {
    const [count, last] = this.#asked.get(number) ?? [0, 0];
    if (
      start < last ||
      end > (this.#have.get(number) ?? 0) ||
      Math.max(count, this.#waiting.length) >= MAX_AGAIN
    ) {
      return `asks again for bytes ${start} to ${end} of file ${number}, which it can't`;
    }
    this.#asked.set(number, [count + 1, end]);
    this.#waiting.push({ number, start, end });
    return "";
  }

  /** Whether all ranges are answered. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Return what is wrong with a frame of kind AGAIN; `length` 0 ends the range. */
  frameFault(number: number, offset: number, length: number): string {
    const due = this.#waiting[0];
    const isDue = due?.number === number && due.start === offset && offset + length <= due.end;
    return isDue ? "" : `bytes ${offset} to ${offset + length} of file ${number} are not due again`;
  }

  /** Count a frame of the range that is due; an empty one ends the range. */
  pass(length: number): void {
    const due = this.#waiting[0];
    if (due === undefined) return;
    const start = due.start + length;
    if (length > 0 && start < due.end) this.#waiting[0] = { ...due, start };
    else this.#waiting.shift();
  }
}
