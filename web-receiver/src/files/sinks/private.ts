/**
 * The origin's private file system, which the browser keeps on disk: written through a synchronous
 * handle, which only workers have, then passed to the downloads.
 *
 * Each transfer has a folder, `dcsend/ID`, and each part another one (private-part.ts). The page
 * holds a Web Lock for it; see files/leftovers.ts.
 */
import type { Bytes } from "../../content.ts";
import { DestinationError } from "../../errors.ts";
import type { Export } from "../contract.ts";
import { DestinationLost } from "../trouble.ts";
import type { Target } from "./output.ts";

const TOP = "dcsend";
/** Files in a folder: a content, the journal of a part, a marker beside contents if one is complete. */
export const CONTENT = "content";
export const JOURNAL = "journal";
export const COMPLETE = "complete";

/** Return the folder that has all others. Rejects with NotFoundError if it is not to be created. */
export async function privateTop(create = false): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(TOP, { create });
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
    const top = await privateTop(true);
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
