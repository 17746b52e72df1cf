/**
 * A file that a later transfer can continue, or that continues an earlier one: a part with its
 * journal. As `dcsend/files/part.py`.
 *
 * The digest of a part that is continued is known when `verify` has resolved to true; `advance`
 * brings it nearer, between two portions. If the part was changed on the disk, the changed range is
 * received again.
 */
import type { Bytes, Repair } from "../../content.ts";
import { DestinationError } from "../../errors.ts";
import { printable } from "../../printable.ts";
import type { Checked, Damage, Export } from "../contract.ts";
import { type Hasher, hex, type NewHasher } from "../hashing.ts";
import { zeros } from "../intake.ts";
import { headerLine, INTERVAL, type Named, type Point, pointLine } from "../journal.ts";
import type { OpenPart } from "../parts.ts";
import { Trailing } from "../trailing.ts";
import type { Target } from "./output.ts";

/** Bytes after which content and journal are flushed: what a power cut costs at most. */
const FLUSHED = 64 << 20;

/** Steps of the check without a pause. */
const STEPS = 16;

/** One part. */
export class PartTarget implements Target {
  readonly saved: string;
  /** Bytes that were there. */
  readonly start: number;
  /** Of the bytes that are written; for the intake, which counts what is about to be written. */
  readonly hasher: Hasher;
  readonly #file: Named;
  readonly #part: OpenPart;
  readonly #points: readonly Point[];
  readonly #newHasher: NewHasher;
  #state: "open" | "finished" | "gone" = "open";
  #position: number;
  /** Bytes that `hasher` has got, and those before. */
  #counted: number;
  #flushed: number;
  /** Offset of the last line of the journal, and bytes of the journal. */
  #line: number;
  #end: number;
  /** Verifies what was there; null once `#whole` is of all bytes. */
  #check: Trailing | null = null;
  #whole: Hasher;
  /** Of the bytes after the last line, during the check. */
  #since: Hasher;
  #reported: Damage | null = null;
  #content: Blob | null = null;

  private constructor(
    saved: string,
    file: Named,
    part: OpenPart,
    points: readonly Point[],
    newHasher: NewHasher,
  ) {
    this.saved = saved;
    this.#file = file;
    this.#part = part;
    this.#points = points;
    this.#newHasher = newHasher;
    this.#whole = newHasher();
    this.#since = newHasher();
    const last = points.at(-1);
    this.start = last?.offset ?? 0;
    this.#position = this.#counted = this.#flushed = this.#line = this.start;
    this.#end = last?.end ?? 0;
    if (last !== undefined) {
      this.#check = new Trailing(newHasher, (at, length) => part.read(at, length), points);
    }
    this.hasher = {
      update: (bytes) => {
        this.#counted += bytes.length;
        (this.#check === null ? this.#whole : this.#since).update(bytes);
      },
      digest: () => (this.#check === null ? this.#whole : newHasher()).digest(),
      copy: () => this.#whole.copy(),
    };
  }

  /** Continue the open `part` of `file` at the last of its lines `points`, or begin it anew. */
  static async open(
    saved: string,
    file: Named,
    part: OpenPart,
    points: readonly Point[],
    newHasher: NewHasher,
  ): Promise<PartTarget> {
    const target = new PartTarget(saved, file, part, points, newHasher);
    if (points.length === 0) await target.restart();
    else {
      await part.truncate(target.start);
      await part.note(target.#end, "");
    }
    return target;
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#state !== "open") throw new DestinationError("it was given up");
      await this.#part.write(this.#position, piece);
      this.#position += piece.length;
    }
    await this.#note();
  }

  async skip(length: number): Promise<void> {
    this.#position += length;
    await this.#part.truncate(this.#position);
    await this.#note();
  }

  /** Bytes that are written. */
  get position(): number {
    return this.#position;
  }

  /** How much of what was there is verified; null if that is done. */
  get checked(): Checked | null {
    if (this.#check === null) return null;
    const done = Math.min(this.#check.position, this.start);
    return { path: this.#file.path, done, total: this.start };
  }

  /** Verify a little more; return whether that can go on. Nothing may wait to be written. */
  async advance(): Promise<boolean> {
    if (this.#check === null || this.#state !== "open") return false;
    const hasher = await this.#check.step(this.#position);
    if (hasher !== null) {
      this.#whole = hasher;
      this.#check = null;
    }
    return this.#check !== null && this.#check.changed === null;
  }

  /** Verify all; return whether the digest is known. If not, a changed range is to be received. */
  async verify(): Promise<boolean> {
    for (let step = 1; await this.advance(); step++) {
      // Lets the page close the sink meanwhile.
      if (step % STEPS === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    return this.#check === null;
  }

  /** Return, once, a range that was changed on the disk. */
  takeDamage(): Damage | null {
    const changed = this.#check?.changed ?? null;
    if (changed === this.#reported) return null;
    this.#reported = changed;
    return changed;
  }

  /**
   * Write bytes of the changed range; after the last, it is verified again. Rejects with
   * DestinationError if the sender does not send them.
   */
  async repair({ offset, length, payload }: Repair): Promise<void> {
    const changed = this.#check?.changed ?? null;
    // After RESTART nothing is of use.
    if (changed === null) return;
    const end = offset + length;
    if (length === 0 || offset < changed.start || end > changed.end) throw this.#damaged(changed);
    let at = offset;
    for (const piece of payload.length > 0 ? [payload] : zeros(length)) {
      await this.#part.write(at, piece);
      at += piece.length;
    }
    if (end === changed.end) this.#check?.repaired();
  }

  /** Begin again: the sender has another file. */
  async restart(): Promise<void> {
    this.#check = this.#reported = null;
    this.#whole = this.#newHasher();
    this.#position = this.#counted = this.#flushed = this.#line = this.#end = 0;
    await this.#part.truncate(0);
    await this.#append(headerLine(this.#file));
  }

  async finish(): Promise<void> {
    this.#content = await this.#part.complete();
    this.#state = "finished";
  }

  /** End it, since it failed; it stays as a part, without what was changed on the disk. Never rejects. */
  async fail(): Promise<void> {
    const changed = this.#check?.changed ?? null;
    if (changed === null) return this.discard();
    const point = this.#points.findLast(({ offset }) => offset <= changed.start);
    if (point === undefined) return this.remove();
    await this.#keep(async () => {
      await this.#part.truncate(point.offset);
      await this.#part.note(point.end, "");
    });
  }

  /** End it; it stays as a part if it has content. A later transfer detects what was changed. */
  async discard(): Promise<void> {
    if (this.#position === 0) return this.remove();
    await this.#keep(async () => {
      if (this.#position > this.#line && this.#counted === this.#position) await this.#point();
    });
  }

  /** End and delete it, since its content is not the sender's. Never rejects. */
  async remove(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "gone";
    await this.#part.remove();
  }

  async #keep(prepare: () => Promise<void>): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "gone";
    try {
      await prepare();
      await this.#part.flush();
    } catch {
      // Lines of the journal are compared with the content.
    }
    await this.#part.close();
  }

  async exports(): Promise<readonly Export[]> {
    return this.#content === null ? [] : [{ name: this.saved, blob: this.#content }];
  }

  /** Write a line of the journal, and flush, if it is time for that. */
  async #note(): Promise<void> {
    if (Math.floor(this.#position / INTERVAL) > Math.floor(this.#line / INTERVAL)) {
      await this.#point();
    }
    if (this.#position - this.#flushed >= FLUSHED) {
      this.#flushed = this.#position;
      await this.#part.flush();
    }
  }

  async #point(): Promise<void> {
    const isWhole = this.#check === null;
    const digest = hex((isWhole ? this.#whole.copy() : this.#since).digest());
    await this.#append(pointLine(this.#position, isWhole ? 0 : this.#line, digest));
    if (!isWhole) this.#since = this.#newHasher();
    this.#line = this.#position;
  }

  async #append(text: string): Promise<void> {
    await this.#part.note(this.#end, text);
    this.#end += text.length;
  }

  #damaged({ start, end }: Damage): DestinationError {
    const [first, last] = [start, end].map((offset) => Math.round(offset / 1e6));
    return new DestinationError(
      `${printable(this.#file.path)}: bytes ${first} to ${last} MB of its part were changed on the ` +
        "disk; try again",
    );
  }
}
