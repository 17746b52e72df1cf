/**
 * What a page keeps in IndexedDB while it receives, so that the transfer goes on after a reload: the
 * page connects again with the same certificate, whose private key no script can read.
 */
import type { Entry } from "./entry.ts";
import type { Ticket } from "./session/lasting.ts";
import type { Decision } from "./session/options.ts";

/** Milliseconds after the last progress until it is deleted: the other side waits as long. */
const EXPIRES = 600_000;
/** Milliseconds between two notes that there is progress. */
const OFTEN = 60_000;
/** Beginning of a key, which is in the storage of the tab in place of the code. */
const KEY = "again ";
const RUNS = "runs";

/** A transfer that was accepted. */
export interface Accepted extends Ticket {
  readonly entries: readonly Entry[];
  readonly decision: Decision;
}

interface Kept extends Accepted {
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Whether the text in the storage of the tab is a key. */
export function isKey(text: string): boolean {
  return text.startsWith(KEY);
}

/** A transfer that is kept for a reload. */
export class Returning {
  readonly key: string;
  readonly accepted: Accepted;
  /** Whether it is kept; false where the browser keeps nothing. */
  isKept: boolean;
  #isOver = false;
  #noted = 0;

  /** Keep nothing yet; `key` is that of a transfer which is kept. */
  constructor(accepted: Accepted, key = "") {
    this.key = key || `${KEY}${Date.now()} ${Math.random()}`;
    this.accepted = accepted;
    this.isKept = key !== "";
  }

  /** Return the transfer of a key, and delete those that have expired; null if there is none. */
  static async find(key: string): Promise<Returning | null> {
    try {
      const now = Date.now();
      const kept: Kept | undefined = await inRuns((runs) => {
        runs.openCursor().onsuccess = ({ target }) => {
          const cursor = (target as IDBRequest<IDBCursorWithValue | null>).result;
          if (cursor === null) return;
          if (cursor.value.until < now) cursor.delete();
          cursor.continue();
        };
        return runs.get(key);
      });
      return kept === undefined || kept.until < now ? null : new Returning(kept, key);
    } catch {
      return null;
    }
  }

  /** Keep it from now on, if the browser can. */
  async keep(): Promise<void> {
    this.#noted = Date.now();
    const { code, certificate, entries, decision } = this.accepted;
    const kept: Kept = { code, certificate, entries, decision, until: this.#noted + EXPIRES };
    this.isKept = await inRuns((runs) => runs.put(kept, this.key)).then(
      () => !this.#isOver,
      () => false,
    );
    if (this.#isOver) this.forget();
  }

  /** Note that there is progress. */
  progress(): void {
    if (this.isKept && Date.now() - this.#noted > OFTEN) void this.keep();
  }

  /** Note that the downloads have a file, which is not received again. */
  async saved(number: number): Promise<void> {
    (this.accepted.decision.skip as Map<number, string>).set(number, "same");
    await this.keep();
  }

  /** Whether an offer is the same. */
  fits(entries: readonly Entry[]): boolean {
    return JSON.stringify(entries) === JSON.stringify(this.accepted.entries);
  }

  /** Keep it no longer. */
  forget(): void {
    this.#isOver = true;
    inRuns((runs) => runs.delete(this.key)).catch(() => undefined);
  }
}

async function inRuns<T>(ask: (runs: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open("dcsend");
  opening.onupgradeneeded = () => opening.result.createObjectStore(RUNS);
  const database = await settled(opening);
  try {
    return await settled(ask(database.transaction(RUNS, "readwrite").objectStore(RUNS)));
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
