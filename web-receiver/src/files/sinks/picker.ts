/**
 * A file that a person chose in the save picker; also each file in a chosen folder.
 *
 * The browser writes into a swap file beside it, which takes its place at finish(). A page can't
 * set the time of a file.
 */
import type { Export } from "../operations.ts";
import { type Bytes, joined, type Target } from "./output.ts";

/** What Chromium has and the standard doesn't yet. */
interface Removable {
  remove?(): Promise<void>;
}

/** Writes through a handle that the browser gave. */
export class HandleTarget implements Target {
  readonly saved: string;
  readonly #writable: FileSystemWritableFileStream;
  readonly #remove: () => Promise<unknown>;
  #position = 0;
  #done = false;

  /** `remove` takes the file away, if this run has made it. */
  constructor(
    saved: string,
    writable: FileSystemWritableFileStream,
    remove: () => Promise<unknown>,
  ) {
    this.saved = saved;
    this.#writable = writable;
    this.#remove = remove;
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    // Each call is a message to another process: one for all pieces.
    const data = joined(pieces);
    await this.#writable.write({ type: "write", position: this.#position, data });
    this.#position += data.length;
  }

  async skip(length: number): Promise<void> {
    this.#position += length;
    await this.#writable.truncate(this.#position);
  }

  async finish(): Promise<void> {
    await this.#writable.close();
    this.#done = true;
  }

  async discard(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    await this.#writable.abort().catch(() => undefined);
    await this.#remove().catch(() => undefined);
  }

  /** Nothing: it is where the person wants it. */
  async exports(): Promise<readonly Export[]> {
    return [];
  }
}

/** Open the file of a save picker. */
export async function openPicked(handle: FileSystemFileHandle): Promise<Target> {
  // The picker makes an empty file; one that held something was there before, and stays.
  const { size } = await handle.getFile();
  const remove = async () => {
    if (size === 0) await (handle as Removable).remove?.();
  };
  return new HandleTarget(handle.name, await handle.createWritable(), remove);
}
