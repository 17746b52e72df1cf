/**
 * The contract of stores of parts: unfinished files that a later transfer continues, each with a
 * journal (journal.ts). The page lists, finds and deletes them, the worker writes them.
 *
 * A part belongs to a file of the same path, size and time. Whether its content is that of the
 * sender's file is decided by digests, while the rest is received.
 */
import type { Bytes } from "../content.ts";
import type { Entry } from "../entry.ts";
import { type Named, type Point, wantsJournal } from "./journal.ts";

/** A part of an earlier transfer. */
export interface FoundPart {
  /** Names it in its store. */
  readonly id: string;
  readonly file: Named;
  /** The lines of its journal that its content has; at least one. */
  readonly points: readonly Point[];
  /** When it was written last; milliseconds since 1970. */
  readonly time: number;
  /** Whether a transfer is writing it, as a rule one of another tab. */
  readonly busy: boolean;
}

/** The page's side of a store. */
export interface PartStore {
  /** Return all parts; never rejects. */
  list(): Promise<readonly FoundPart[]>;
  /** Delete a part, unless it is busy; never rejects. */
  remove(id: string): Promise<void>;
}

/** The worker's side: content and journal of one file. A second one of it can't be opened. */
export interface OpenPart {
  /** Return `length` bytes from `offset`, fewer at the end of the content. */
  read(offset: number, length: number): Promise<Bytes>;
  /** Write at `offset`, also behind the end. Rejects with DestinationLost if there is no room. */
  write(offset: number, piece: Bytes): Promise<void>;
  /** Make the content `size` bytes long. */
  truncate(size: number): Promise<void>;
  /** Make the journal `end` bytes long, then append a text of ASCII characters. */
  note(end: number, text: string): Promise<void>;
  /** Let content and journal reach the disk. */
  flush(): Promise<void>;
  /** Close it. It can be opened again; never rejects. */
  close(): Promise<void>;
  /** Close and delete it; never rejects. */
  remove(): Promise<void>;
  /** End it, since the content is complete: there is no part any more. Return the content. */
  complete(): Promise<Blob>;
}

/** Where a part is continued. */
export function startOf(part: FoundPart): number {
  return part.points.at(-1)?.offset ?? 0;
}

/**
 * Return the part of each entry whose number is in `wanted`: the longest that is not busy, or a busy
 * one.
 */
export function matching(
  parts: readonly FoundPart[],
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
): ReadonlyMap<number, FoundPart> {
  const found = new Map<number, FoundPart>();
  const rank = (part: FoundPart) => (part.busy ? 0 : startOf(part));
  const best = new Map<string, FoundPart>();
  for (const part of parts) {
    const key = keyOf(part.file);
    const other = best.get(key);
    if (other === undefined || rank(part) > rank(other)) best.set(key, part);
  }
  if (best.size === 0) return found;
  for (const number of wanted) {
    const entry = entries[number];
    const part = entry && wantsJournal(entry) ? best.get(keyOf(entry)) : undefined;
    if (part === undefined) continue;
    found.set(number, part);
    // Two entries of one manifest can't continue one part.
    best.delete(keyOf(part.file));
  }
  return found;
}

function keyOf({ path, size, mtime }: Named): string {
  return JSON.stringify([path, size, mtime]);
}
