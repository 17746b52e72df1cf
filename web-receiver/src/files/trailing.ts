/**
 * SHA-256 of a part that is continued, computed behind its writer. As `dcsend/files/trailing.py`,
 * in steps instead of a thread.
 *
 * A transfer that is continued receives its first new byte at once. What precedes it is read and
 * hashed meanwhile, and then what has followed, until the writer is reached. The lines of the journal
 * are compared on the way.
 */
import type { Bytes } from "../content.ts";
import { type Hasher, hex, type NewHasher } from "./hashing.ts";
import type { Point } from "./journal.ts";

/** Bytes that are read and hashed in one step: some milliseconds. */
const STEP = 1 << 20;

/** Bytes of a part that have been changed. */
export interface Changed {
  /** Offset of the first: the last line before it agrees. */
  readonly start: number;
  /** Offset of the byte after the last. */
  readonly end: number;
}

/** Hashes a file from its start to where it is written. */
export class Trailing {
  /** Bytes that are hashed. */
  position = 0;
  /** What was found, until it is `repaired`. */
  changed: Changed | null = null;
  readonly #newHasher: NewHasher;
  readonly #read: (offset: number, length: number) => Promise<Bytes>;
  readonly #points: readonly Point[];
  /** Place of the next line. */
  #next = 0;
  #whole: Hasher;
  /** Of the bytes after the last line. */
  #since: Hasher;
  /** Of the bytes before the last line. */
  #before: Hasher;

  /** `read` returns bytes of the file, fewer at its end; `points` are the lines to compare. */
  constructor(
    newHasher: NewHasher,
    read: (offset: number, length: number) => Promise<Bytes>,
    points: readonly Point[],
  ) {
    this.#newHasher = newHasher;
    this.#read = read;
    this.#points = points;
    this.#whole = newHasher();
    this.#since = newHasher();
    this.#before = this.#whole.copy();
  }

  /** Bytes up to the last line that agrees. */
  get good(): number {
    return this.#points[this.#next - 1]?.offset ?? 0;
  }

  /** Hash the next bytes, of the first `limit`; return the hasher when it is of all of them. */
  async step(limit: number): Promise<Hasher | null> {
    if (this.changed !== null) return null;
    if (this.position >= limit) return this.#whole;
    const start = this.position;
    const point = this.#points[this.#next];
    const end = Math.min(limit, start + STEP, point?.offset ?? limit);
    const block = await this.#read(start, end - start);
    if (block.length < end - start) {
      this.changed = { start: this.good, end: point?.offset ?? limit };
      return null;
    }
    this.#whole.update(block);
    if (point !== undefined && point.start > 0) this.#since.update(block);
    this.position = end;
    if (point?.offset === end) this.#compare(point);
    return null;
  }

  /** Continue at the last line that agrees, since what has changed was overwritten. */
  repaired(): void {
    this.changed = null;
    this.position = this.good;
    this.#whole = this.#before.copy();
    this.#since = this.#newHasher();
  }

  #compare({ offset, start, sha256 }: Point): void {
    const hasher = start > 0 ? this.#since : this.#whole.copy();
    if (hex(hasher.digest()) !== sha256) {
      this.changed = { start: this.good, end: offset };
      return;
    }
    this.#next++;
    this.#before = this.#whole.copy();
    this.#since = this.#newHasher();
  }
}
