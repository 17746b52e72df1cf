/**
 * What a page keeps in IndexedDB for a reload: transfers that were accepted (returning.ts), and the
 * content of their files (sinks/kept-part.ts), in the page and in its worker.
 *
 * The key of a file is its transfer and its number: that of its journal, followed by a number that
 * of a piece of its content.
 */
import type { Entry } from "../entry.ts";
import { readJournal, wantsJournal, within } from "./journal.ts";
import type { PartSpot } from "./serving.ts";

/** Bytes of files of one transfer of which content is kept. */
export const MOST_KEPT = 200_000_000;
/** Bytes of a piece. */
export const PIECE = 4 << 20;

/** Milliseconds for a request: a browser may never answer one. */
const ANSWERING = 10_000;

/** Send a request to a store; resolve to its result, or reject if there is none in time. */
export function inStore<T>(
  name: "runs" | "content",
  ask: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer from IndexedDB")), ANSWERING);
    answered(name, ask)
      .finally(() => clearTimeout(timer))
      .then(resolve, reject);
  });
}

async function answered<T>(
  name: "runs" | "content",
  ask: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = indexedDB.open("dcsend", 2);
  opening.onupgradeneeded = () => {
    const { result } = opening;
    for (const one of ["runs", "content"]) {
      if (!result.objectStoreNames.contains(one)) result.createObjectStore(one);
    }
  };
  const database = await settled(opening);
  try {
    return await settled(ask(database.transaction(name, "readwrite").objectStore(name)));
  } finally {
    database.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Return the range of all keys that begin with `key`, and have more. */
export function behind(...key: (string | number)[]): IDBKeyRange {
  return IDBKeyRange.bound(key, [...key, []], true);
}

/** Return the file of each wanted entry whose content is kept, and what is there of it. */
export async function keptParts(
  run: string,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
): Promise<ReadonlyMap<number, PartSpot>> {
  const parts = new Map<number, PartSpot>();
  for (const number of wanted) {
    const entry = entries[number];
    if (entry === undefined || !wantsJournal(entry)) continue;
    const journal: unknown = await inStore("content", (store) => store.get([run, number]));
    const count = await inStore("content", (store) => store.count(behind(run, number)));
    const points = readJournal(String(journal))?.points ?? [];
    parts.set(number, { id: run, points: within(points, count * PIECE) });
  }
  return parts;
}
