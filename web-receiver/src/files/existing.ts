/**
 * Find the wanted files that exist in a chosen folder, before anything is accepted, so that a
 * person can decide what to do about them.
 */
import type { Entry } from "../entry.ts";
import { folded, safePath, savedName } from "./names.ts";

/**
 * Return the numbers of the wanted files for which a file of that name is below `root`.
 *
 * Each folder is listed once: a query for each of a hundred thousand files would take minutes.
 */
export async function findExisting(
  root: FileSystemDirectoryHandle,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
): Promise<readonly number[]> {
  const folders = new Map([["", listing(root)]]);
  const open = (path: readonly string[]): Promise<Listing | null> => {
    const key = path.join("/");
    let found = folders.get(key);
    if (found === undefined) {
      found = open(path.slice(0, -1)).then((parent) => below(parent, path.at(-1) ?? ""));
      folders.set(key, found);
    }
    return found;
  };
  const found: number[] = [];
  for (const number of wanted) {
    const entry = entries[number];
    if (entry?.kind !== "file") continue;
    const path = components(entry.path);
    const name = path.pop();
    if (name === undefined) continue;
    const folder = await open(path);
    if (folder?.names.has(folded(name)) && (await isFile(folder.handle, name))) found.push(number);
  }
  return found;
}

/** A folder, and its names as a file system without case and normalization has them. */
interface Listing {
  readonly handle: FileSystemDirectoryHandle;
  readonly names: ReadonlySet<string>;
}

async function listing(handle: FileSystemDirectoryHandle): Promise<Listing | null> {
  const names = new Set<string>();
  for await (const name of handle.keys()) names.add(folded(name));
  return { handle, names };
}

async function below(parent: Listing | null, name: string): Promise<Listing | null> {
  if (parent === null || !parent.names.has(folded(name))) return null;
  const handle = await parent.handle.getDirectoryHandle(name).catch(() => null);
  return handle === null ? null : listing(handle);
}

/**
 * Return whether the system finds the file: names that differ only in case are two files on some.
 */
function isFile(folder: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  return folder.getFileHandle(name).then(
    () => true,
    () => false,
  );
}

/** Return the path under which it is saved; empty for a refused one. */
function components(path: string): string[] {
  try {
    return safePath(path).map(savedName);
  } catch {
    return [];
  }
}
