/**
 * From what a person picks, drops or pastes to the list of what is sent: as
 * `dcsend/files/manifest.py`. Lists only; reads no file. A folder comes before what is in it.
 */
import type { Entry } from "../entry.ts";
import { numbered, safePath } from "./names.ts";
import type { Chosen } from "./operations.ts";

/** A thing that should have been sent and can't be. */
export interface Problem {
  /** As the manifest would name it; not safe to show. */
  readonly path: string;
  /** Safe to show; does not hold the path. */
  readonly reason: string;
}

/** What was found. */
export interface Choice {
  readonly chosen: readonly Chosen[];
  readonly problems: readonly Problem[];
}

/** A file, or a folder where `file` is null, at a path. */
interface Found {
  readonly path: string;
  readonly file: File | null;
}

/** What the elements of a drop or a paste tell; a part of DataTransferItem. */
export type Item = Pick<DataTransferItem, "kind" | "getAsFile" | "webkitGetAsEntry">;

/** Nothing chosen. */
export const NOTHING: Choice = { chosen: [], problems: [] };

/** List the files of a file input; with folders where the input chooses folders. */
export function fromFiles(files: Iterable<File>): Choice {
  const taken = new Set<string>();
  const found = Array.from(files, (file) => {
    // Two inputs in one may give two files of one name.
    const path = file.webkitRelativePath || claimed(file.name, taken);
    return { path, file };
  });
  return listed(found);
}

/**
 * List what was dropped, or pasted. Call it in the event itself: its items are gone afterwards.
 * `pastedAt`: names pictures, which come without a name of their own when pasted.
 */
export async function fromItems(items: Iterable<Item>, pastedAt?: Date): Promise<Choice> {
  // Everything up to the first await happens in the event.
  const tops = Array.from(items)
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found: Found[] = [];
  const problems: Problem[] = [];
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

/** List a snippet of text, to be shown at the other end and not saved. */
export function fromText(text: string): Choice {
  const file = new Blob([text]);
  const entry = { ...entryOf("text", null), kind: "text" as const, size: file.size, mode: 0o644 };
  return { chosen: [{ entry, file }], problems: [] };
}

/** Join what was chosen one after another; a name at the top that comes again gets a number. */
export function joinedChoices(first: Choice, second: Choice): Choice {
  const taken = new Set(first.chosen.filter(isTop).map(({ entry }) => entry.path));
  const names = new Map<string, string>();
  for (const { entry } of second.chosen.filter(isTop)) {
    names.set(entry.path, claimed(entry.path, taken));
  }
  const renamed = second.chosen.map(({ entry, file }) => {
    if (entry.kind === "text") return { entry, file };
    const [top = "", ...rest] = entry.path.split("/");
    return { entry: { ...entry, path: [names.get(top) ?? top, ...rest].join("/") }, file };
  });
  return {
    chosen: [...first.chosen, ...renamed],
    problems: [...first.problems, ...second.problems],
  };
}

function isTop({ entry }: Chosen): boolean {
  return entry.kind !== "text" && !entry.path.includes("/");
}

/** `name`, or with a number if something from elsewhere has it; taken from now on. */
function claimed(name: string, taken: Set<string>): string {
  let free = name;
  for (let number = 1; taken.has(free); number++) free = numbered(name, number);
  taken.add(free);
  return free;
}

/** Judge what was found, add the folders that only its paths tell of, and sort each tree. */
function listed(found: readonly Found[]): Choice {
  const problems: Problem[] = [];
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

/** Things at the top as they were chosen; below, each folder before what is in it, by name. */
function sorted(chosen: readonly Chosen[]): readonly Chosen[] {
  const tops = new Map<string, Chosen[]>();
  for (const item of chosen) {
    const top = item.entry.path.split("/", 1)[0] ?? "";
    const tree = tops.get(top);
    if (tree === undefined) tops.set(top, [item]);
    else tree.push(item);
  }
  // No name holds a zero, so that what is in `a` comes right after `a` and before `a b`.
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

/** List the folder `top`, which shall be called `name`, with all that is in it. */
async function walk(
  top: FileSystemDirectoryEntry,
  name: string,
  found: Found[],
  problems: Problem[],
): Promise<void> {
  const pending: FileSystemEntry[] = [top];
  // Without recursion: trees may be deep.
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
    // Chromium gives at most 100 at a time; the end is an empty batch.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (batch.length === 0) return all;
    for (const entry of batch) all.push(entry); // Firefox gives all of them at once
  }
}

function readFile(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
}

/** The name of a file; of a pasted picture, which browsers all call `image.png`, the time. */
function pastedName(file: File, pastedAt: Date | undefined): string {
  const extension = /^image(\.\w+)$/.exec(file.name)?.[1];
  if (pastedAt === undefined || extension === undefined) return file.name;
  const two = (number: number) => String(number).padStart(2, "0");
  const date = [pastedAt.getFullYear(), two(pastedAt.getMonth() + 1), two(pastedAt.getDate())];
  const time = [pastedAt.getHours(), pastedAt.getMinutes(), pastedAt.getSeconds()].map(two);
  return `pasted ${date.join("-")} ${time.join(".")}${extension}`;
}
