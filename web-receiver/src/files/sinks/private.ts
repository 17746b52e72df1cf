/**
 * The origin's private file system, which the browser keeps on disk: written through a synchronous
 * handle, which only workers have, and handed to the downloads when complete.
 *
 * Each transfer has a folder of its own, `dcsend/ID`, and its page holds the Web Lock `lockName(ID)`
 * until it goes away; a folder whose lock is free is rubbish.
 */
import { DestinationError } from "../../errors.ts";
import type { Export } from "../operations.ts";
import { DestinationLost } from "../trouble.ts";
import type { Bytes, Target } from "./output.ts";

const TOP = "dcsend";
const CONTENT = "content";

/** The Web Lock of the page that owns the folder `id`. */
export function lockName(id: string): string {
  return `dcsend-private-${id}`;
}

/** One file in the private file system. */
export class PrivateTarget implements Target {
  readonly saved: string;
  readonly #file: FileSystemFileHandle;
  readonly #access: FileSystemSyncAccessHandle;
  readonly #remove: () => Promise<unknown>;
  #position = 0;
  #state: "open" | "finished" | "discarded" = "open";

  private constructor(
    saved: string,
    file: FileSystemFileHandle,
    access: FileSystemSyncAccessHandle,
    remove: () => Promise<unknown>,
  ) {
    this.saved = saved;
    this.#file = file;
    this.#access = access;
    this.#remove = remove;
  }

  /** Make the folder `id` and open the file in it that shall be saved as `name`. */
  static async open(id: string, name: string): Promise<PrivateTarget> {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP, { create: true });
    const folder = await top.getDirectoryHandle(id, { create: true });
    const file = await folder.getFileHandle(CONTENT, { create: true });
    const access = await file.createSyncAccessHandle();
    const remove = () => top.removeEntry(id, { recursive: true });
    return new PrivateTarget(name, file, access, remove);
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#state !== "open") throw new DestinationError("it was given up");
      // A full disk may be told by a smaller number instead of an error.
      if (this.#access.write(piece, { at: this.#position }) !== piece.length) {
        throw new DestinationLost("no room on the disk", "make room, then try again");
      }
      this.#position += piece.length;
    }
  }

  async skip(length: number): Promise<void> {
    this.#position += length;
    this.#access.truncate(this.#position);
  }

  async finish(): Promise<void> {
    this.#access.flush();
    this.#access.close();
    this.#state = "finished";
  }

  /** Once finished it stays: the downloads may be copying it. */
  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "discarded";
    this.#access.close();
    await this.#remove().catch(() => undefined);
  }

  async exports(): Promise<readonly Export[]> {
    if (this.#state !== "finished") return [];
    return [{ name: this.saved, blob: await this.#file.getFile() }];
  }
}

/** Delete the folders of pages that are gone; never rejects. */
export async function cleanPrivate(): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP);
    for await (const id of top.keys()) {
      await navigator.locks.request(lockName(id), { ifAvailable: true }, async (lock) => {
        if (lock !== null) await top.removeEntry(id, { recursive: true });
      });
    }
  } catch {
    // None there, or none here: private windows and file pages may have no such file system.
  }
}
