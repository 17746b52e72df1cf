/** A folder that a person chose: files arrive as files, folders as folders. Replaces nothing. */
import type { Entry } from "../../entry.ts";
import { DestinationError } from "../../errors.ts";
import { numbered, safePath, savedName } from "../names.ts";
import { errorName } from "../trouble.ts";
import type { Output, Place } from "./output.ts";
import { HandleTarget } from "./picker.ts";

/** Of `NAME (1)` … `NAME (9999)`; beyond, something else is wrong. */
const MAX_NUMBER = 9999;

/** Writes into the folder behind `root`. */
export class FolderPlace implements Place {
  readonly withholds = false;
  readonly spoiled = "";
  readonly #root: FileSystemDirectoryHandle;
  readonly #folders = new Map<string, FileSystemDirectoryHandle>();

  constructor(root: FileSystemDirectoryHandle) {
    this.#root = root;
  }

  async open(entry: Entry): Promise<Output> {
    const parents = safePath(entry.path).map(savedName);
    const wanted = parents.pop() ?? "";
    const folder = await this.#folder(parents);
    const name = await freeName(folder, wanted);
    const handle = await folder.getFileHandle(name, { create: true });
    const remove = () => folder.removeEntry(name);
    try {
      const saved = [this.#root.name, ...parents, name].filter(Boolean).join("/");
      return new HandleTarget(saved, await handle.createWritable(), remove);
    } catch (error) {
      await remove().catch(() => undefined);
      throw error;
    }
  }

  async makeFolder(entry: Entry): Promise<void> {
    await this.#folder(safePath(entry.path).map(savedName));
  }

  /** Nothing is left: all of it is where the person wants it. */
  async finish() {
    return [];
  }

  async discard(): Promise<void> {
    this.#folders.clear();
  }

  async #folder(components: readonly string[]): Promise<FileSystemDirectoryHandle> {
    const path = components.join("/");
    const name = components.at(-1);
    if (name === undefined) return this.#root;
    let folder = this.#folders.get(path);
    if (folder === undefined) {
      const parent = await this.#folder(components.slice(0, -1));
      folder = await parent.getDirectoryHandle(name, { create: true });
      this.#folders.set(path, folder);
    }
    return folder;
  }
}

// A page can't ask for a file that must be new, so another program may still come in between.
async function freeName(folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  for (let number = 0; number <= MAX_NUMBER; number++) {
    const tried = number === 0 ? name : numbered(name, number);
    try {
      await folder.getFileHandle(tried);
    } catch (error) {
      if (errorName(error) === "NotFoundError") return tried;
      if (errorName(error) === "TypeError") {
        // Chromium refuses some that are dangerous on some system, such as `a.lnk`.
        throw new DestinationError("the browser doesn't allow this name");
      }
      if (errorName(error) !== "TypeMismatchError") throw error;
    }
  }
  throw new DestinationError("too many files of that name are there");
}
