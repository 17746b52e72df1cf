/**
 * The origin's private file system, which the browser keeps on disk: written through a synchronous
 * handle, which only workers have, then passed to the downloads.
 *
 * Each transfer has a folder, `dcsend/ID`, and its page holds the Web Lock `lockName(ID)` until it
 * is closed. A folder whose lock is free is deleted, unless a file in it was completed recently:
 * then the browser's downloads may still be copying it.
 */
import type { Bytes } from "../../content.ts";
import { DestinationError } from "../../errors.ts";
import type { Export } from "../contract.ts";
import { DestinationLost } from "../trouble.ts";
import type { Target } from "./output.ts";

const TOP = "dcsend";
const CONTENT = "content";
/** A marker beside contents of which one is complete. */
const COMPLETE = "complete";
/** Milliseconds for the downloads to copy a complete file after its page was closed. */
const COPYING = 600_000;

/** Return the name of the Web Lock for the folder `id`. */
export function lockName(id: string): string {
  return `dcsend-private-${id}`;
}

/** Operations of a file on its folder. */
interface Folder {
  /** Remove the file, and the folder if the file is alone in it. */
  remove(): Promise<unknown>;
  /** Add the marker. */
  mark(): Promise<unknown>;
}

/** One file in the private file system. */
export class PrivateTarget implements Target {
  readonly saved: string;
  readonly #file: FileSystemFileHandle;
  readonly #access: FileSystemSyncAccessHandle;
  readonly #folder: Folder;
  #position = 0;
  #state: "open" | "finished" | "discarded" = "open";
  /** The complete file. */
  #content: Blob | null = null;

  private constructor(
    saved: string,
    file: FileSystemFileHandle,
    access: FileSystemSyncAccessHandle,
    folder: Folder,
  ) {
    this.saved = saved;
    this.#file = file;
    this.#access = access;
    this.#folder = folder;
  }

  /**
   * Create the folder `id` and open the file in it that will be saved as `name`; with `content`, a
   * file of that name beside others.
   */
  static async open(id: string, name: string, content?: string): Promise<PrivateTarget> {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP, { create: true });
    const folder = await top.getDirectoryHandle(id, { create: true });
    const file = await folder.getFileHandle(content ?? CONTENT, { create: true });
    const access = await file.createSyncAccessHandle();
    const remove = () =>
      content === undefined
        ? top.removeEntry(id, { recursive: true })
        : folder.removeEntry(content);
    const mark = () => folder.getFileHandle(COMPLETE, { create: true });
    return new PrivateTarget(name, file, access, { remove, mark });
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#state !== "open") throw new DestinationError("it was given up");
      // A full disk may cause a smaller number instead of an error.
      if (this.#access.write(piece, { at: this.#position }) !== piece.length) {
        throw new DestinationLost("no room on the disk", "make room, then try again");
      }
      this.#position += piece.length;
    }
  }

  async skip(length: number): Promise<void> {
    this.#position += length;
    // In Chromium 103 to 107 this method, and the two in finish(), return a promise.
    await this.#access.truncate(this.#position);
  }

  async finish(): Promise<void> {
    await this.#access.flush();
    await this.#access.close();
    // Here and not in exports(): a file that can't be read has not been received.
    this.#content = await this.#file.getFile();
    this.#state = "finished";
    // Without the marker, the file would only be deleted too early.
    await this.#folder.mark().catch(() => undefined);
  }

  /** A finished file stays: the downloads may be copying it. */
  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "discarded";
    try {
      this.#access.close();
    } catch {
      // It is gone already.
    }
    await this.#folder.remove().catch(() => undefined);
  }

  async exports(): Promise<readonly Export[]> {
    return this.#content === null ? [] : [{ name: this.saved, blob: this.#content }];
  }
}

/** Delete the folders of closed pages; never rejects. `now`: milliseconds since 1970. */
export async function cleanPrivate(now = Date.now()): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP);
    for await (const id of top.keys()) {
      await navigator.locks.request(lockName(id), { ifAvailable: true }, async (lock) => {
        if (lock === null || (await inUse(top, id, now))) return;
        // A folder that can't be deleted must not prevent the deletion of the others.
        await top.removeEntry(id, { recursive: true }).catch(() => undefined);
      });
    }
  } catch {
    // There is no such folder, or no private file system: private windows and file pages may lack
    // it.
  }
}

/** Return whether the downloads may still be copying the content of the folder `id`. */
async function inUse(top: FileSystemDirectoryHandle, id: string, now: number): Promise<boolean> {
  try {
    const folder = await top.getDirectoryHandle(id);
    await folder.getFileHandle(COMPLETE);
    for await (const name of folder.keys()) {
      const { lastModified } = await (await folder.getFileHandle(name)).getFile();
      if (Math.abs(now - lastModified) < COPYING) return true;
    }
    return false;
  } catch {
    return false;
  }
}
