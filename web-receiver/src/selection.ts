/**
 * What a person picks from a list, as the session wants to hear it: pure, no DOM.
 *
 * Imports only leaves and types.
 */
import type { Entry } from "./entry.ts";
import type { Chosen } from "./files/operations.ts";

/** Which entries of an offer are wanted; all of them at first. */
export class Selection {
  /** Numbers of the entries that a person picks from; folders come with what is in them. */
  readonly listed: readonly number[];
  readonly #entries: readonly Entry[];
  readonly #unwanted = new Set<number>();

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    const every = [...entries.keys()];
    const files = every.filter((number) => entries[number]?.kind !== "directory");
    this.listed = files.length > 0 ? files : every;
  }

  /** Want these, or don't. */
  set(numbers: readonly number[], wanted: boolean): void {
    for (const number of numbers) {
      if (wanted) this.#unwanted.delete(number);
      else this.#unwanted.add(number);
    }
  }

  /** Return the numbers of the entries that are wanted. */
  wanted(): ReadonlySet<number> {
    const skip = this.skip();
    return new Set([...this.#entries.keys()].filter((number) => !skip.has(number)));
  }

  /** Return the others, and why. */
  skip(): Map<number, string> {
    return skipped(this.#entries, this.#unwanted);
  }
}

/**
 * Return what to skip of a manifest, and why, when the entries in `unwanted` aren't wanted.
 * A folder of files goes with the last of them; one without files goes only with everything.
 */
function skipped(entries: readonly Entry[], unwanted: ReadonlySet<number>): Map<number, string> {
  // What is asked first, and of lists with 100 000 entries.
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

/** Return the paths of all folders that these are in. */
function foldersAbove(things: readonly { readonly path: string }[]): Set<string> {
  const folders = new Set<string>();
  for (const thing of things) {
    // Once a folder is known, those above it are, too.
    for (let path = above(thing.path); path !== "" && !folders.has(path); path = above(path)) {
      folders.add(path);
    }
  }
  return folders;
}

function above(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** Return what was chosen by its first path component: a folder is one thing to a person. */
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
