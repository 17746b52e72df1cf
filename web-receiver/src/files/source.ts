/**
 * Reads what a person chose, block by block, in the worker. As `dcsend/files/source.py`.
 *
 * Computes the digest of a file while reading, and reads one block ahead. A file that can't be
 * read, or changes, is given up with a reason; the others go on.
 */

import type { Block, Chosen } from "./contract.ts";
import type { NewHasher } from "./hashing.ts";
import { errorName } from "./trouble.ts";

const REASONS: Readonly<Record<string, string>> = {
  NotFoundError: "vanished before it was sent",
  NotReadableError: "changed, vanished or may not be read",
};

const EMPTY = { offset: 0, payload: new Uint8Array(), digest: null, failure: "" };

/** All files and texts of `chosen` that aren't in `skip`, in order. */
export class FileSource {
  readonly #blocks: AsyncGenerator<Block>;
  #due = 0;

  constructor(
    chosen: readonly Chosen[],
    skip: ReadonlySet<number>,
    blockSize: number,
    newHasher: NewHasher,
  ) {
    this.#blocks = blocks(chosen, skip, blockSize, newHasher, () => this.#due);
  }

  /** Resolve to the next block; null after the last. Calls are queued. See `Source.next`. */
  async next(due: number): Promise<Block | null> {
    this.#due = due;
    return (await this.#blocks.next()).value ?? null;
  }
}

async function* blocks(
  chosen: readonly Chosen[],
  skip: ReadonlySet<number>,
  blockSize: number,
  newHasher: NewHasher,
  due: () => number,
): AsyncGenerator<Block, undefined> {
  for (const [number, { entry, file }] of chosen.entries()) {
    if (file === null || skip.has(number)) continue;
    if (file.size === entry.size) {
      for await (const block of blocksOf(number, file, blockSize, newHasher)) {
        yield block;
        if (number < due()) break;
      }
    } else yield { ...EMPTY, number, failure: "changed before it was sent" };
  }
}

/** Yield the blocks of one file; its failure is the last of them. */
async function* blocksOf(
  number: number,
  file: Blob,
  blockSize: number,
  newHasher: NewHasher,
): AsyncGenerator<Block, undefined> {
  const hasher = newHasher();
  let offset = 0;
  try {
    for await (const payload of read(file, blockSize)) {
      hasher.update(payload);
      const next = offset + payload.length;
      const digest = next === file.size ? hasher.digest() : null;
      // The caller may transfer the payload: it is empty afterwards.
      yield { ...EMPTY, number, offset, payload, digest };
      offset = next;
    }
  } catch (error) {
    const failure = REASONS[errorName(error)] ?? "can't be read";
    yield { ...EMPTY, number, offset, failure };
  }
}

/** Yield the content of `file`; one empty piece if it is empty. Reads one piece ahead. */
async function* read(file: Blob, blockSize: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const begin = (offset: number) => {
    const piece = file.slice(offset, offset + blockSize).arrayBuffer();
    // It may fail before it is awaited; the failure is raised then.
    piece.catch(() => undefined);
    return piece;
  };
  let ahead = begin(0);
  for (let offset = 0; ; offset += blockSize) {
    const piece = new Uint8Array(await ahead);
    if (piece.length !== Math.min(blockSize, file.size - offset)) {
      // Firefox reads on in a file that has become shorter.
      throw new DOMException("shorter", "NotReadableError");
    }
    const last = offset + blockSize >= file.size;
    if (!last) ahead = begin(offset + blockSize);
    yield piece;
    if (last) return;
  }
}
