/**
 * Read what a person chose, block by block, in the worker: as `dcsend/files/source.py`.
 *
 * The digest of a file is computed while it is read, and the next block is asked for meanwhile. A
 * file that can't be read, or changes, is given up with a reason; the others go on.
 */
import type { NewHasher } from "./hashing.ts";
import type { Block, Chosen } from "./operations.ts";
import { errorName } from "./trouble.ts";

const REASONS: Readonly<Record<string, string>> = {
  NotFoundError: "vanished before it was sent",
  NotReadableError: "changed, vanished or may not be read",
};

/** All files and texts among `chosen` that aren't in `skip`, in order. */
export class FileSource {
  readonly #blocks: AsyncGenerator<Block>;

  constructor(
    chosen: readonly Chosen[],
    skip: ReadonlySet<number>,
    blockSize: number,
    newHasher: NewHasher,
  ) {
    this.#blocks = blocks(chosen, skip, blockSize, newHasher);
  }

  /** The next block; null after the last. Calls queue up. */
  async next(): Promise<Block | null> {
    return (await this.#blocks.next()).value ?? null;
  }
}

async function* blocks(
  chosen: readonly Chosen[],
  skip: ReadonlySet<number>,
  blockSize: number,
  newHasher: NewHasher,
): AsyncGenerator<Block, undefined> {
  for (const [number, { entry, file }] of chosen.entries()) {
    if (file === null || skip.has(number)) continue;
    const block = { number, offset: 0, payload: new Uint8Array(), digest: null, failure: "" };
    if (file.size !== entry.size) {
      yield { ...block, failure: "changed before it was sent" };
      continue;
    }
    const hasher = newHasher();
    let offset = 0;
    try {
      for await (const payload of read(file, blockSize)) {
        hasher.update(payload);
        const next = offset + payload.length;
        const digest = next === file.size ? hasher.digest() : null;
        // Whoever gets the payload may hand it over: it is empty afterwards.
        yield { ...block, offset, payload, digest };
        offset = next;
      }
    } catch (error) {
      yield { ...block, offset, failure: REASONS[errorName(error)] ?? "can't be read" };
    }
  }
}

/** The content of `file`; one empty piece if it is empty. Reads one piece ahead. */
async function* read(file: Blob, blockSize: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const begin = (offset: number) => {
    const piece = file.slice(offset, offset + blockSize).arrayBuffer();
    // It may fail before anybody awaits it; the failure is seen then.
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
