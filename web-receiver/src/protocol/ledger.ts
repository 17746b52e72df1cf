/**
 * The ledger: which byte of which file comes next, and what became of each file.
 *
 * Both sides keep one, from the same manifest and the same Accept, so that they agree on every
 * number in it: the sender not to break a rule, the receiver to notice who does. One byte of memory
 * per entry. Methods that judge return what is wrong, or "".
 */
import type { Entry } from "../entry.ts";
import * as limits from "./limits.ts";
import type { Complete, Status } from "./messages.ts";

/** Expected, and not yet ended. */
const COMING = 1;
/** Its last frame has passed. */
const ENDED = 2;
/** Given up by the sender. */
const ABORTED = 4;
/** Has a verdict. */
const JUDGED = 8;
/** A folder or a link: no frames; a verdict only if it could not be made. */
const PLAIN = 16;

/** Say whether an entry has content that travels as frames. */
export function hasFrames(entry: Entry): boolean {
  return entry.kind === "file" || entry.kind === "text";
}

/** The state of all files of a transfer. */
export class Ledger {
  /** The file whose frames pass now; the number of entries when all have passed. */
  number = -1;
  /** Where its next frame begins, in bytes. */
  position = 0;
  readonly #entries: readonly Entry[];
  readonly #have: ReadonlyMap<number, number>;
  readonly #marks: Uint8Array;
  #coming: number;
  #unjudged: number;
  #goodFiles = 0;
  #goodBytes = 0;
  #allGood = true;
  /** Only of streams that ended and are not yet judged: the manifest knows the others. */
  readonly #sizes = new Map<number, number>();
  #limit = 0;
  #known = true;
  /** Zeros that the current file has had as holes. */
  #holes = 0;

  /** `skip` are numbers that are not sent, `have` offsets at which files begin that are there. */
  constructor(
    entries: readonly Entry[],
    skip: ReadonlyMap<number, string>,
    have: ReadonlyMap<number, number>,
  ) {
    this.#entries = entries;
    this.#have = have;
    this.#marks = Uint8Array.from(entries, (entry, number) =>
      skip.has(number) ? 0 : hasFrames(entry) ? COMING : PLAIN,
    );
    this.#coming = this.#unjudged = this.#marks.filter((mark) => mark === COMING).length;
    this.#openNext();
  }

  /** Whether each expected file has ended or was aborted. */
  get allPassed(): boolean {
    return this.#coming === 0;
  }

  /** Whether each expected file has ended or was aborted, and has its verdict. */
  get allJudged(): boolean {
    return this.#coming === 0 && this.#unjudged === 0;
  }

  /** Say what is wrong with DATA or HOLE of `length` bytes as the next frame. */
  frameFault(number: number, offset: number, length: number, ends: boolean): string {
    const end = offset + length;
    const fits = end < this.#limit ? !(ends && this.#known) : end === this.#limit;
    return this.placeFault(number, offset) || (fits ? "" : this.#sizeFault(end));
  }

  /** Say what is wrong with `length` more zeros as a hole, beside `frameFault`. */
  holeFault(length: number): string {
    const content = this.position - this.#holes;
    if (this.#known || this.#holes + length <= content + limits.MAX_HOLE) return "";
    return `file ${this.number}, of unknown size, has more holes than content`;
  }

  /**
   * Number and size of the next `count` files, as far as each can come whole: one can't that has
   * begun, is there in part, or has a size that nobody knows.
   */
  nextWhole(count: number): [number, number][] {
    const files: [number, number][] = [];
    if (this.position > 0) return files;
    for (let number = this.number; number < this.#marks.length; number++) {
      if (!(this.#mark(number) & COMING)) continue;
      const size = this.#entries[number]?.size ?? null;
      if (files.length === count || size === null || this.#have.has(number)) break;
      files.push([number, size]);
    }
    return files;
  }

  /** Say what is wrong with `number` and `offset` in the next frame. */
  placeFault(number: number, offset: number): string {
    if (number === this.number && offset === this.position) return "";
    return `frame of ${number} at ${offset}, while ${this.number} at ${this.position} is due`;
  }

  /** Count DATA of the current file. */
  passContent(length: number): void {
    this.position += length;
  }

  /** Count a HOLE of the current file. */
  passHole(length: number): void {
    this.position += length;
    this.#holes += length;
  }

  /** The current file has ended; turn to the next. */
  passEnd(): void {
    if (!this.#known && !(this.#mark(this.number) & JUDGED)) {
      this.#sizes.set(this.number, this.position);
    }
    this.#pass(ENDED);
  }

  /** Count files of `nextWhole`, each with all that it has. */
  passWhole(files: readonly [number, number][]): void {
    for (const _ of files) this.#pass(ENDED);
  }

  /** The current file was aborted; turn to the next. */
  passAbort(): void {
    this.#pass(ABORTED);
  }

  /** Say what is wrong with a verdict. */
  verdictFault(number: number, status: Status): string {
    const mark = this.#mark(number);
    let rule = "";
    if (mark === 0) rule = "is not to be sent";
    else if (mark & JUDGED) rule = "has one";
    else if (status === "failed") return "";
    else if (mark & PLAIN) rule = "is no file";
    else if (!(mark & ENDED)) rule = "has not ended";
    return rule && `verdict ${status} on ${number}, which ${rule}`;
  }

  /** Note a verdict that has no fault. */
  judge(number: number, status: Status): void {
    const mark = this.#mark(number);
    this.#marks[number] = mark | JUDGED;
    if (status !== "ok") this.#allGood = false;
    if (mark & PLAIN) return;
    this.#unjudged--;
    if (status === "ok") {
      this.#goodFiles++;
      this.#goodBytes += this.#entries[number]?.size ?? this.#sizes.get(number) ?? 0;
    }
    this.#sizes.delete(number);
  }

  /** The last word that follows from all verdicts. */
  totals(): Complete {
    return {
      type: "complete",
      ok: this.#allGood,
      files: this.#goodFiles,
      bytes: this.#goodBytes,
    };
  }

  #mark(number: number): number {
    return this.#marks[number] ?? 0;
  }

  #sizeFault(end: number): string {
    const moreOrLess = end > this.#limit ? "more" : "less";
    return `file ${this.number} has ${moreOrLess} than its ${this.#limit} bytes`;
  }

  #pass(mark: number): void {
    this.#marks[this.number] = this.#mark(this.number) | mark;
    this.#coming--;
    this.#openNext();
  }

  #openNext(): void {
    // Of files ahead, none has any other mark than COMING or JUDGED (failed early) with it.
    do this.number++;
    while (this.number < this.#marks.length && !(this.#mark(this.number) & COMING));
    const entry = this.#entries[this.number];
    if (entry === undefined) return;
    this.#known = entry.size !== null;
    this.#limit = entry.size ?? limits.MAX_SAFE;
    this.position = this.#have.get(this.number) ?? 0;
    this.#holes = 0;
  }
}

/** Say what is wrong with the `skip` and `have` of an Accept for these entries. */
export function answerFault(
  entries: readonly Entry[],
  skip: ReadonlyMap<number, string>,
  have: ReadonlyMap<number, number>,
): string {
  for (const number of skip.keys()) {
    if (entries[number] === undefined) return `skips ${number}, which is not offered`;
  }
  for (const [number, offset] of have) {
    const entry = entries[number];
    if (entry === undefined || !hasFrames(entry) || skip.has(number)) {
      return `has a part of ${number}, which is no file to be sent`;
    }
    if (offset < 1 || (entry.size !== null && offset > entry.size)) {
      return `has ${offset} bytes of file ${number}, more than there are`;
    }
  }
  return "";
}
