/**
 * List what a person picks, drops or pastes, in the order of sending. As
 * `dcsend/files/manifest.py`.
 *
 * Reads no file. A folder comes before its content.
 */
import type { Entry } from "../entry.ts";
import type { Chosen } from "./contract.ts";
import { numbered, safePath } from "./names.ts";

/** A file or folder that can't be sent. */
export interface Unsendable {
  /** As in a manifest; not safe to show. */
  readonly path: string;
  /** Safe to show; does not contain the path. */
  readonly reason: string;
}

/** The files and folders that were chosen. */
export interface Choice {
  readonly chosen: readonly Chosen[];
  readonly problems: readonly Unsendable[];
}

/** A file, or a folder where `file` is null, at a path. */
interface Found {
  readonly path: string;
  readonly file: File | null;
}

/** The used part of a DataTransferItem of a drop or a paste. */
export type Item = Pick<DataTransferItem, "kind" | "getAsFile" | "webkitGetAsEntry">;

/** Nothing chosen. */
export const NOTHING: Choice = { chosen: [], problems: [] };

/** List the files of a dialog, a drop or a paste. Call it in the handler of that event. */
export async function gather(from: FileList | DataTransfer, pasted: boolean): Promise<Choice> {
  if (from instanceof FileList) return fromFiles(from);
  return fromItems(from.items, pasted ? new Date() : undefined);
}

/** List the files of a file input, with folders where the input chooses folders. */
export function fromFiles(files: Iterable<File>): Choice {
  const taken = new Set<string>();
  const found = Array.from(files, (file) => {
    // Two selections in one input may contain two files of one name.
    const path = file.webkitRelativePath || claimed(file.name, taken);
    return { path, file };
  });
  return listed(found);
}

/**
 * List what was dropped, or pasted. Call it in the event handler: the items are gone afterwards.
 * `pastedAt` gives names to pasted pictures, which have none of their own.
 */
export async function fromItems(items: Iterable<Item>, pastedAt?: Date): Promise<Choice> {
  // Everything up to the first `await` runs in the event handler.
  const tops = Array.from(items)
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found: Found[] = [];
  const problems: Unsendable[] = [];
  const taken = new Set<string>();
  for (const { entry, file } of tops) {
    if (entry?.isDirectory) {
      const name = claimed(entry.name, taken);
      await walk(entry as FileSystemDirectoryEntry, name, found, problems);
    } else if (file !== null) {
      found.push({ path: claimed(pastedName(file, pastedAt), taken), file });
    }
  }
  const choice = listed(found);
  return { ...choice, problems: [...problems, ...choice.problems] };
}

/** Join two choices; a name at the top that occurs again gets a number. */
export function joinedChoices(first: Choice, second: Choice): Choice {
  const taken = new Set(first.chosen.filter(isTop).map(({ entry }) => entry.path));
  const names = new Map<string, string>();
  for (const { entry } of second.chosen.filter(isTop)) {
    names.set(entry.path, claimed(entry.path, taken));
  }
  const renamed = second.chosen.map(({ entry, file }) => {
    const [top = "", ...rest] = entry.path.split("/");
    return { entry: { ...entry, path: [names.get(top) ?? top, ...rest].join("/") }, file };
  });
  return {
    chosen: [...first.chosen, ...renamed],
    problems: [...first.problems, ...second.problems],
  };
}

function isTop({ entry }: Chosen): boolean {
  return !entry.path.includes("/");
}

/** Return `name`, with a number if it is taken, and add it to `taken`. */
function claimed(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 1; taken.has(free); number++) free = numbered(name, number);
  taken.add(free);
  return free;
}

/** Validate the paths of `found`, add the folders that occur only in paths, and sort each tree. */
function listed(found: readonly Found[]): Choice {
  const problems: Unsendable[] = [];
  const tree = new Map<string, Chosen>();
  for (const { path, file } of found) {
    try {
      const parents = safePath(path).slice(0, -1);
      for (const [depth] of parents.entries()) {
        const parent = parents.slice(0, depth + 1).join("/");
        if (!tree.has(parent)) tree.set(parent, { entry: entryOf(parent, null), file: null });
      }
      tree.set(path, { entry: entryOf(path, file), file });
    } catch (error) {
      problems.push({ path, reason: error instanceof Error ? error.message : "not a name" });
    }
  }
  return { chosen: sorted([...tree.values()]), problems };
}

/**
 * Sort the content of each tree by name, folders before their content; keep the order of the trees.
 */
function sorted(chosen: readonly Chosen[]): readonly Chosen[] {
  const tops = new Map<string, Chosen[]>();
  for (const item of chosen) {
    const top = item.entry.path.split("/", 1)[0] ?? "";
    const tree = tops.get(top);
    if (tree === undefined) tops.set(top, [item]);
    else tree.push(item);
  }
  // No name contains NUL, so the content of `a` sorts right after `a`, before `a b`.
  const key = ({ entry }: Chosen) => entry.path.replaceAll("/", "\0");
  return [...tops.values()].flatMap((tree) =>
    tree
      .map((item) => ({ item, key: key(item) }))
      .sort((one, other) => (one.key < other.key ? -1 : 1))
      .map(({ item }) => item),
  );
}

function entryOf(path: string, file: File | null): Entry {
  const mtime = file === null ? null : file.lastModified * 1000;
  return {
    path,
    kind: file === null ? "directory" : "file",
    size: file?.size ?? 0,
    mode: file === null ? 0o755 : 0o644,
    mtime: mtime !== null && Number.isSafeInteger(mtime) ? mtime : null,
    target: "",
    stored: null,
  };
}

/** Add the folder `top`, under the name `name`, with its whole content. */
async function walk(
  top: FileSystemDirectoryEntry,
  name: string,
  found: Found[],
  problems: Unsendable[],
): Promise<void> {
  const pending: FileSystemEntry[] = [top];
  // No recursion: trees may be deep.
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const path = name + entry.fullPath.slice(top.fullPath.length);
    try {
      if (entry.isDirectory) {
        found.push({ path, file: null });
        for (const inner of await readFolder(entry as FileSystemDirectoryEntry)) {
          pending.push(inner);
        }
      } else {
        found.push({ path, file: await readFile(entry as FileSystemFileEntry) });
      }
    } catch {
      problems.push({ path, reason: "can't be read" });
    }
  }
}

async function readFolder(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // Chromium returns at most 100 at a time; an empty list is the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0) return all;
    for (const entry of some) all.push(entry); // Firefox returns all of them at once
  }
}

function readFile(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
}

/** Return the name of a file; of a pasted picture, which browsers call `image.png`, the time. */
function pastedName(file: File, pastedAt: Date | undefined): string {
  const extension = /^image(\.\w+)$/.exec(file.name)?.[1];
  if (pastedAt === undefined || extension === undefined) return file.name;
  const two = (number: number) => String(number).padStart(2, "0");
  const date = [pastedAt.getFullYear(), two(pastedAt.getMonth() + 1), two(pastedAt.getDate())];
  const time = [pastedAt.getHours(), pastedAt.getMinutes(), pastedAt.getSeconds()].map(two);
  return `pasted ${date.join("-")} ${time.join(".")}${extension}`;
}
