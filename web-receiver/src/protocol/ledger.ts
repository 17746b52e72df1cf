/**
 * The ledger: the file and the offset that are due next, and the status of each file.
 *
 * Both sides keep one, from the same manifest and the same Accept: the sender so as to keep the
 * rules, the receiver to detect violations. It takes one byte for each entry. Methods whose name
 * ends in `Fault` return what is wrong, or "".
 */
import type { Entry } from "../entry.ts";
import * as limits from "./limits.ts";
import type { Complete, Status } from "./messages.ts";

/** Expected, and not ended yet. */
const COMING = 1;
/** Its last frame has been sent or received. */
const ENDED = 2;
/** Given up by the sender. */
const ABORTED = 4;
/** It has a status. */
const HAS_VERDICT = 8;
/** A directory or a link: no frames; a status only if it could not be made. */
const PLAIN = 16;

/** Return whether an entry has content, which is sent in frames. */
export function hasFrames(entry: Entry): boolean {
  return entry.kind === "file" || entry.kind === "text";
}

/** The state of all files of a transfer. */
export class Ledger {
  /** The file whose frames are due; the number of entries when all have ended. */
  number = -1;
  /** Offset of its next frame, in bytes. */
  position = 0;
  readonly #entries: readonly Entry[];
  readonly #have: ReadonlyMap<number, number>;
  readonly #marks: Uint8Array;
  #coming: number;
  #withoutVerdict: number;
  #goodFiles = 0;
  #goodBytes = 0;
  #allGood = true;
  /** Of streams that have ended and have no status yet; other sizes are in the manifest. */
  readonly #sizes = new Map<number, number>();
  #limit = 0;
  #known = true;
  /** Zeros of the current file that were holes. */
  #holes = 0;
  /** Whether the current file has begun again. */
  #restarted = false;

  /** `skip` are numbers that are not sent, `have` the first offset of files that exist in part. */
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
    this.#coming = this.#withoutVerdict = this.#marks.filter((mark) => mark === COMING).length;
    this.#openNext();
  }

  /** Whether each expected file has ended or was aborted. */
  get allPassed(): boolean {
    return this.#coming === 0;
  }

  /** Whether each expected file has ended or was aborted, and has its status. */
  get allVerdictsGiven(): boolean {
    return this.#coming === 0 && this.#withoutVerdict === 0;
  }

  /** Return whether an entry has its status or was aborted: no more content of it is of use. */
  isOver(number: number): boolean {
    return (this.#mark(number) & (ABORTED | HAS_VERDICT)) > 0;
  }

  /** Return whether an entry has its status. */
  hasVerdict(number: number): boolean {
    return (this.#mark(number) & HAS_VERDICT) > 0;
  }

  /** Return whether a file has its status before its last frame: no more content is needed. */
  isRefused(number: number): boolean {
    // A directory has no frames, although it may have a status.
    return this.#mark(number) === (COMING | HAS_VERDICT);
  }

  /** Return what is wrong with DATA or HOLE of `length` bytes as the next frame. */
  frameFault(number: number, offset: number, length: number, ends: boolean): string {
    const end = offset + length;
    const fits = end < this.#limit ? !(ends && this.#known) : end === this.#limit;
    return this.placeFault(number, offset) || (fits ? "" : this.#sizeFault(end));
  }

  /** Return what is wrong with `length` more zeros as a hole, in addition to `frameFault`. */
  holeFault(length: number): string {
    const content = this.position - this.#holes;
    if (this.#known || this.#holes + length <= content + limits.MAX_HOLE) return "";
    return `file ${this.number}, of unknown size, has more holes than content`;
  }

  /**
   * Return number and size of the next `count` files; fewer if one can't be in a BATCH, since it has
   * begun, the receiver has a part, or its size is unknown.
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

  /** Return what is wrong with `number` and `offset` of the next frame. */
  placeFault(number: number, offset: number): string {
    if (number === this.number && offset === this.position) return "";
    return `frame of ${number} at ${offset}, while ${this.number} at ${this.position} is due`;
  }

  /** Return what is wrong with RESTART as the next frame. */
  restartFault(number: number, offset: number): string {
    if (number === this.number && (this.#restarted || !this.#have.has(number))) {
      return `restart of ${number}, of which there is no part`;
    }
    return this.placeFault(number, offset);
  }

  /** Begin the current file again. */
  passRestart(): void {
    this.position = this.#holes = 0;
    this.#restarted = true;
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

  /** End the current file; the next one is due. */
  passEnd(): void {
    if (!this.#known && !(this.#mark(this.number) & HAS_VERDICT)) {
      this.#sizes.set(this.number, this.position);
    }
    this.#pass(ENDED);
  }

  /** End files of `nextWhole`. */
  passWhole(files: readonly [number, number][]): void {
    for (const _ of files) this.#pass(ENDED);
  }

  /** Abort the current file; the next one is due. */
  passAbort(): void {
    this.#pass(ABORTED);
  }

  /** Return what is wrong with a status. */
  verdictFault(number: number, status: Status): string {
    const mark = this.#mark(number);
    let rule = "";
    if (mark === 0) rule = "is not to be sent";
    else if (mark & HAS_VERDICT) rule = "has one";
    else if (status === "failed") return "";
    else if (mark & PLAIN) rule = "is no file";
    else if (!(mark & ENDED)) rule = "has not ended";
    return rule && `verdict ${status} on ${number}, which ${rule}`;
  }

  /** Record a status that has no fault. */
  recordVerdict(number: number, status: Status): void {
    const mark = this.#mark(number);
    this.#marks[number] = mark | HAS_VERDICT;
    if (status !== "ok") this.#allGood = false;
    if (mark & PLAIN) return;
    this.#withoutVerdict--;
    if (status === "ok") {
      this.#goodFiles++;
      this.#goodBytes += this.#entries[number]?.size ?? this.#sizes.get(number) ?? 0;
    }
    this.#sizes.delete(number);
  }

  /** Return the Complete that follows from all statuses. */
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
    // Files that are not due yet have no mark but COMING, or HAS_VERDICT too (failed early).
    do this.number++;
    while (this.number < this.#marks.length && !(this.#mark(this.number) & COMING));
    const entry = this.#entries[this.number];
    if (entry === undefined) return;
    this.#known = entry.size !== null;
    this.#limit = entry.size ?? limits.MAX_SAFE;
    this.position = this.#have.get(this.number) ?? 0;
    this.#holes = 0;
    this.#restarted = false;
  }
}

/** Return what is wrong with the `skip` and `have` of an Accept for these entries. */
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
