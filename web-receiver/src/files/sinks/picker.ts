/**
 * A file that a person chose in the save picker; also each file in a chosen folder.
 *
 * The browser writes a swap file beside it, and replaces the file in finish(). A page can't set the
 * modification time.
 */
import type { Bytes } from "../../content.ts";
import type { Export } from "../contract.ts";
import { joined, type Target } from "./output.ts";

/** A method that Chromium has and the standard does not. */
interface Removable {
  remove?(): Promise<void>;
}

/** Writes through a handle of the browser. */
export class HandleTarget implements Target {
  readonly saved: string;
  readonly #writable: FileSystemWritableFileStream;
  readonly #remove: () => Promise<unknown>;
  #position = 0;
  #done = false;

  /** `remove` deletes the file if this run has created it. */
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

  /** Return no file: it is at the chosen place. */
  async exports(): Promise<readonly Export[]> {
    return [];
  }
}

/** Open the file of a save picker. */
export async function openPicked(handle: FileSystemFileHandle): Promise<Target> {
  // The picker creates an empty file; a file with content existed before, and stays.
  const { size } = await handle.getFile();
  const remove = async () => {
    if (size === 0) await (handle as Removable).remove?.();
  };
  return new HandleTarget(handle.name, await handle.createWritable(), remove);
}
