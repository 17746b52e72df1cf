/**
 * The origin's private file system, which the browser keeps on disk: written through a synchronous
 * handle, which only workers have, and handed to the downloads when complete.
 *
 * Each transfer has a folder of its own, `dcsend/ID`, and its page holds the Web Lock `lockName(ID)`
 * until it goes away; a folder whose lock is free is rubbish, unless its file has just become
 * complete: then the browser's downloads may still be copying it.
 */
import { DestinationError } from "../../errors.ts";
import type { Export } from "../operations.ts";
import { DestinationLost } from "../trouble.ts";
import type { Bytes, Target } from "./output.ts";

const TOP = "dcsend";
const CONTENT = "content";
/** Stands beside content that is complete. */
const COMPLETE = "complete";
/** Milliseconds for the downloads to copy what is complete after its page has gone. */
const COPYING = 600_000;

/** The Web Lock of the page that owns the folder `id`. */
export function lockName(id: string): string {
  return `dcsend-private-${id}`;
}

/** What a file does with the folder that it has for itself. */
interface Folder {
  remove(): Promise<unknown>;
  /** Note that it is complete. */
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

  /** Make the folder `id` and open the file in it that shall be saved as `name`. */
  static async open(id: string, name: string): Promise<PrivateTarget> {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP, { create: true });
    const folder = await top.getDirectoryHandle(id, { create: true });
    const file = await folder.getFileHandle(CONTENT, { create: true });
    const access = await file.createSyncAccessHandle();
    const remove = () => top.removeEntry(id, { recursive: true });
    const mark = () => folder.getFileHandle(COMPLETE, { create: true });
    return new PrivateTarget(name, file, access, { remove, mark });
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
    // Chromium 103 to 107 answers this, and the two in finish(), with a promise.
    await this.#access.truncate(this.#position);
  }

  async finish(): Promise<void> {
    await this.#access.flush();
    await this.#access.close();
    this.#state = "finished";
    // Without it, it would only be tidied up too early.
    await this.#folder.mark().catch(() => undefined);
  }

  /** Once finished it stays: the downloads may be copying it. */
  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "discarded";
    this.#access.close();
    await this.#folder.remove().catch(() => undefined);
  }

  async exports(): Promise<readonly Export[]> {
    if (this.#state !== "finished") return [];
    return [{ name: this.saved, blob: await this.#file.getFile() }];
  }
}

/** Delete the folders of pages that are gone; never rejects. `now`: milliseconds since 1970. */
export async function cleanPrivate(now = Date.now()): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const top = await root.getDirectoryHandle(TOP);
    for await (const id of top.keys()) {
      await navigator.locks.request(lockName(id), { ifAvailable: true }, async (lock) => {
        if (lock === null || (await inUse(top, id, now))) return;
        // One that the system holds on to must not keep the others.
        await top.removeEntry(id, { recursive: true }).catch(() => undefined);
      });
    }
  } catch {
    // None there, or none here: private windows and file pages may have no such file system.
  }
}

/** Whether the downloads may still be copying what is in the folder `id`. */
async function inUse(top: FileSystemDirectoryHandle, id: string, now: number): Promise<boolean> {
  try {
    const folder = await top.getDirectoryHandle(id);
    await folder.getFileHandle(COMPLETE);
    const { lastModified } = await (await folder.getFileHandle(CONTENT)).getFile();
    return Math.abs(now - lastModified) < COPYING;
  } catch {
    return false;
  }
}
