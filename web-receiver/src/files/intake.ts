/**
 * The position and the running digest of one file that is being received. As
 * `dcsend/files/intake.py`.
 *
 * It checks order and size again although the protocol did, because a wrong offset here would
 * corrupt the file.
 */
import type { End } from "../content.ts";
import type { Entry } from "../entry.ts";
import { IntegrityError } from "../errors.ts";
import { printable } from "../printable.ts";
import { type Hasher, hex } from "./hashing.ts";

/** Bytes of a text entry, which is kept in memory. */
export const MAX_TEXT = 1 << 20;

const ZEROS = new Uint8Array(1 << 20);

/** Yield `length` zero bytes as views of one block of 1 MiB. */
export function* zeros(length: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
  }
}

/** The position and the digest of one file. */
export class Intake {
  /** Bytes received: the offset that must come next. */
  position: number;
  readonly #entry: Entry;
  readonly #hasher: Hasher;
  #digest: Uint8Array | null = null;

  /** `hasher` has got the bytes before `position`, or will. */
  constructor(entry: Entry, hasher: Hasher, position = 0) {
    this.position = position;
    this.#entry = entry;
    this.#hasher = hasher;
  }

  /** Refuse bytes that are out of order or exceed the announced size, with IntegrityError. */
  check(offset: number, length: number): void {
    const { path, size } = this.#entry;
    if (offset !== this.position) {
      throw new IntegrityError(
        `${printable(path)}: received offset ${offset}, expected ${this.position}`,
      );
    }
    if (size !== null && offset + length > size) {
      throw new IntegrityError(
        `${printable(path)}: received more than the ${size} bytes announced`,
      );
    }
  }

  /** Add received bytes. */
  count(payload: Uint8Array): void {
    this.#hasher.update(payload);
    this.position += payload.length;
  }

  /** Add `length` zero bytes. */
  countZeros(length: number): void {
    for (const block of zeros(length)) this.#hasher.update(block);
    this.position += length;
  }

  /** Compare the received content with `end`; return how they differ, or an empty string. */
  mismatch(end: End): string {
    const name = printable(this.#entry.path);
    const announced = this.#entry.size;
    if (end.size !== this.position || (announced !== null && announced !== this.position)) {
      return `${name}: received ${this.position} bytes, the sender sent ${end.size}`;
    }
    if (hex(end.digest) !== this.sha256()) {
      return `${name}: the SHA-256 of the received bytes differs from the sender's`;
    }
    return "";
  }

  /** Return the digest of the received bytes, in hex; nothing can be counted afterwards. */
  sha256(): string {
    this.#digest ??= this.#hasher.digest();
    return hex(this.#digest);
  }
}
