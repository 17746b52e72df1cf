/**
 * What has arrived of one file: how far, and its running digest. As `dcsend/files/intake.py`.
 *
 * Checks the order and the size again although the protocol did: a wrong offset here would be a
 * corrupt file. Must import nothing else of `files` but operations.ts and hashing.ts.
 */
import type { Entry } from "../entry.ts";
import { IntegrityError } from "../errors.ts";
import { printable } from "../printable.ts";
import { type Hasher, hex } from "./hashing.ts";
import type { End } from "./operations.ts";

/** Bytes of a text entry, which is kept in memory. */
export const MAX_TEXT = 1 << 20;

const ZEROS = new Uint8Array(1 << 20);

/** `length` zero bytes in blocks of at most 1 MiB, all of them views of the same zeros. */
export function* zeros(length: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
  }
}

/** The position and the digest of one file that is arriving. */
export class Intake {
  /** Bytes that have arrived: the offset that must come next. */
  position = 0;
  readonly #entry: Entry;
  readonly #hasher: Hasher;
  #digest: Uint8Array | null = null;

  constructor(entry: Entry, hasher: Hasher) {
    this.#entry = entry;
    this.#hasher = hasher;
  }

  /** Refuse bytes that are out of order or more than were promised, with IntegrityError. */
  check(offset: number, length: number): void {
    const { path, size } = this.#entry;
    if (offset !== this.position) {
      throw new IntegrityError(
        `${printable(path)}: byte ${this.position} was due, byte ${offset} came`,
      );
    }
    if (size !== null && offset + length > size) {
      throw new IntegrityError(`${printable(path)}: more came than the ${size} bytes announced`);
    }
  }

  /** Note bytes that came. */
  count(payload: Uint8Array): void {
    this.#hasher.update(payload);
    this.position += payload.length;
  }

  /** Note a run of zeros. */
  countZeros(length: number): void {
    for (const block of zeros(length)) this.#hasher.update(block);
    this.position += length;
  }

  /** Why what came is not what was sent; empty if it is. */
  mismatch(end: End): string {
    const name = printable(this.#entry.path);
    const announced = this.#entry.size;
    if (end.size !== this.position || (announced !== null && announced !== this.position)) {
      return `${name}: ${this.position} bytes came, not ${end.size}`;
    }
    if (hex(end.digest) !== this.sha256()) {
      return `${name}: the digest of what came is not that of what was sent`;
    }
    return "";
  }

  /** The digest of what came, in hex; nothing can be counted after it. */
  sha256(): string {
    this.#digest ??= this.#hasher.digest();
    return hex(this.#digest);
  }
}
