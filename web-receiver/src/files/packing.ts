/**
 * What a browser that saves one file at a time saves for a set of wanted entries: a file, a zip, or
 * nothing. Pure.
 */
import type { Entry } from "../entry.ts";
import { safePath, savedName } from "./names.ts";

/** Files that are saved one by one at most: the page has a row and a button for each. */
export const MAX_LOOSE = 200;

/** The one thing that is saved. */
export interface Packing {
  readonly form: "nothing" | "file" | "zip";
  /** Whether there are folders, or files in folders. */
  readonly nested: boolean;
  /** Whether they are several files without folders, few enough to be saved one by one. */
  readonly loose: boolean;
  /** Of the file or the zip; safe. */
  readonly name: string;
  /** Bytes of all wanted files; null if not known. */
  readonly bytes: number | null;
  /** Bytes of the largest wanted file; null if not known. */
  readonly largest: number | null;
  readonly files: number;
  readonly folders: number;
}

/**
 * Return the packing of the entries whose numbers are in `wanted`. An unsafe name is replaced by
 * `dcsend`.
 */
export function pack(entries: readonly Entry[], wanted: ReadonlySet<number>): Packing {
  const all = entries.filter((entry, number) => wanted.has(number) && entry.kind !== "text");
  const files = all.filter(({ kind }) => kind === "file");
  const folders = all.filter(({ kind }) => kind === "directory").length;
  let bytes: number | null = 0;
  let largest: number | null = 0;
  for (const { size } of files) {
    bytes = bytes === null || size === null ? null : bytes + size;
    largest = largest === null || size === null ? null : Math.max(largest, size);
  }
  const nested = folders > 0 || files.some(({ path }) => path.includes("/"));
  const loose = !nested && files.length > 1 && files.length <= MAX_LOOSE;
  const counts = { bytes, largest, files: files.length, folders, nested, loose };
  const [only] = files;
  if (only === undefined && folders === 0) return { form: "nothing", name: "", ...counts };
  if (only !== undefined && files.length === 1) {
    return { form: "file", name: lastName(only.path), ...counts };
  }
  // Of a hundred thousand entries, only the names at the top are validated here.
  const tops = new Set(all.map(({ path }) => path.split("/", 1)[0] ?? ""));
  const [top] = [...tops].map(lastName);
  // A common top is a folder: two files can't have one name.
  const name = tops.size === 1 && top !== undefined ? top : "dcsend";
  return { form: "zip", name: `${name}.zip`, ...counts };
}

function lastName(path: string): string {
  try {
    return savedName(safePath(path).at(-1) ?? "");
  } catch {
    return "dcsend";
  }
}
