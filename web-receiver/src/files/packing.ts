/**
 * What a set of wanted entries comes to where a browser saves one thing at a time: a file, a zip,
 * or nothing. Pure. Imports leaves and names.ts only.
 */
import type { Entry } from "../entry.ts";
import { safePath, savedName } from "./names.ts";

/** What is saved, for every destination that saves one thing. */
export interface Packing {
  readonly form: "nothing" | "file" | "zip";
  /** Of the file or the zip; safe. */
  readonly name: string;
  /** Bytes of all wanted files; null if not known. */
  readonly bytes: number | null;
  readonly files: number;
  readonly folders: number;
}

/** Judge the entries whose numbers are in `wanted`. Names that aren't safe count as `dcsend`. */
export function pack(entries: readonly Entry[], wanted: ReadonlySet<number>): Packing {
  const all = entries.filter((entry, number) => wanted.has(number) && entry.kind !== "text");
  const files = all.filter(({ kind }) => kind === "file");
  const folders = all.filter(({ kind }) => kind === "directory").length;
  const bytes = files.reduce<number | null>(
    (sum, { size }) => (sum === null || size === null ? null : sum + size),
    0,
  );
  const counts = { bytes, files: files.length, folders };
  const [only] = files;
  if (only === undefined && folders === 0) return { form: "nothing", name: "", ...counts };
  if (only !== undefined && files.length === 1) {
    return { form: "file", name: lastName(only.path), ...counts };
  }
  // Of a hundred thousand entries only what they share is judged here.
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
