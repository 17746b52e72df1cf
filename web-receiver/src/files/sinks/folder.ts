/** A folder that a person chose; replaces nothing unless the person allows it. */
import type { Entry } from "../../entry.ts";
import { DestinationError } from "../../errors.ts";
import type { Existing } from "../contract.ts";
import { folded, numbered, safePath, savedName } from "../names.ts";
import { errorName } from "../trouble.ts";
import type { Output, Place } from "./output.ts";
import { HandleTarget } from "./picker.ts";

/** The last name tried is `NAME (9999)`; more would mean another problem. */
const MAX_NUMBER = 9999;

/** Writes into the folder of the handle `root`. */
export class FolderPlace implements Place {
  readonly withholds = false;
  readonly spoiled = "";
  readonly #root: FileSystemDirectoryHandle;
  readonly #existing: Existing;
  /** Paths written in this run, which no other file of it may replace. */
  readonly #own = new Set<string>();
  readonly #folders = new Map<string, FileSystemDirectoryHandle>();

  constructor(root: FileSystemDirectoryHandle, existing: Existing) {
    this.#root = root;
    this.#existing = existing;
  }

  async open(entry: Entry): Promise<Output> {
    const parents = safePath(entry.path).map(savedName);
    const wanted = parents.pop() ?? "";
    const folder = await this.#folder(parents);
    const path = folded([...parents, wanted].join("/"));
    const old = this.#existing === "overwrite" && !this.#own.has(path);
    const present = old ? await folder.getFileHandle(wanted).catch(() => null) : null;
    const name = present === null ? await freeName(folder, wanted) : wanted;
    this.#own.add(folded([...parents, name].join("/")));
    const handle = present ?? (await folder.getFileHandle(name, { create: true }));
    // A file that was there before stays until the new one is complete.
    const remove = async () => {
      if (present === null) await folder.removeEntry(name);
    };
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

  /** Return no files: all are in the chosen folder. */
  async finish() {
    return [];
  }

  async discard() {
    this.#folders.clear();
    return [];
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

// A page can't create a file exclusively, so another program may create it in between.
async function freeName(folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  for (let number = 0; number <= MAX_NUMBER; number++) {
    const tried = number === 0 ? name : numbered(name, number);
    try {
      await folder.getFileHandle(tried);
    } catch (error) {
      if (errorName(error) === "NotFoundError") return tried;
      if (errorName(error) === "TypeError") {
        // Chromium refuses names that are dangerous on some system, such as `a.lnk`.
        throw new DestinationError("the browser doesn't allow this name");
      }
      if (errorName(error) !== "TypeMismatchError") throw error;
    }
  }
  throw new DestinationError("too many files of that name are there");
}
