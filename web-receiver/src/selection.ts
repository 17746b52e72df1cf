/**
 * The selection of entries from an offer, in the form that the session needs; pure, no DOM.
 *
 * Imports only leaves and types.
 */
import type { Entry } from "./entry.ts";
import type { Chosen } from "./files/contract.ts";

/** The wanted entries of an offer; at first all. */
export class Selection {
  /** Numbers of the entries that can be selected; folders are included with their content. */
  readonly listed: readonly number[];
  readonly #entries: readonly Entry[];
  readonly #unwanted = new Set<number>();

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    const every = [...entries.keys()];
    const files = every.filter((number) => entries[number]?.kind !== "directory");
    this.listed = files.length > 0 ? files : every;
  }

  /** Select or deselect entries. */
  set(numbers: readonly number[], wanted: boolean): void {
    for (const number of numbers) {
      if (wanted) this.#unwanted.delete(number);
      else this.#unwanted.add(number);
    }
  }

  /** Return the numbers of the wanted entries. */
  wanted(): ReadonlySet<number> {
    const skip = this.skip();
    return new Set([...this.#entries.keys()].filter((number) => !skip.has(number)));
  }

  /** Return the numbers of the other entries, with reasons. */
  skip(): Map<number, string> {
    return skipped(this.#entries, this.#unwanted);
  }
}

/**
 * Return the numbers of the entries to skip, with reasons. A folder with files is skipped if all of
 * them are unwanted; an empty folder is skipped only if everything is.
 */
function skipped(entries: readonly Entry[], unwanted: ReadonlySet<number>): Map<number, string> {
  // The first call, with up to 100 000 entries.
  if (unwanted.size === 0) return new Map();
  const all = entries.map(({ path, kind }, number) => ({
    number,
    path,
    isFolder: kind === "directory",
    wanted: !unwanted.has(number),
  }));
  const files = all.filter(({ isFolder }) => !isFolder);
  const full = foldersAbove(files);
  const kept = all.filter(({ isFolder, path, wanted }) => wanted && !(isFolder && full.has(path)));
  const nothing = files.length > 0 && !files.some(({ wanted }) => wanted);
  const needed = foldersAbove(kept);
  const gone = all.filter(
    ({ path, wanted }) => nothing || !wanted || (full.has(path) && !needed.has(path)),
  );
  return new Map(gone.map(({ number }) => [number, "declined"]));
}

/** Return the paths of all folders that contain these entries. */
function foldersAbove(things: readonly { readonly path: string }[]): Set<string> {
  const folders = new Set<string>();
  for (const thing of things) {
    // The folders above a known folder are known as well.
    for (let path = above(thing.path); path !== "" && !folders.has(path); path = above(path)) {
      folders.add(path);
    }
  }
  return folders;
}

function above(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Group the chosen files by their first path component, since a folder is one row in the list. */
export function byTop(chosen: readonly Chosen[]): Map<string, Chosen[]> {
  const tops = new Map<string, Chosen[]>();
  for (const one of chosen) {
    const group = tops.get(top(one));
    if (group === undefined) tops.set(top(one), [one]);
    else group.push(one);
  }
  return tops;
}

function top(chosen: Chosen): string {
  return chosen.entry.path.split("/")[0] ?? "";
}
