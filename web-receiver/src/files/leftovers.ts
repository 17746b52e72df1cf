/**
 * What is in the origin's private file system, as the page sees it: parts of earlier transfers, and
 * what is of no use any more.
 *
 * The page holds the Web Lock of a folder while it writes the folder, and until it is closed if a
 * complete file is in it. A folder whose lock is free is deleted when a page starts, unless it is a
 * part, or a file in it was completed recently: then the browser's downloads may still be copying it.
 */
import type { Entry } from "../entry.ts";
import { readJournal, within } from "./journal.ts";
import { type FoundPart, matching, type PartStore } from "./parts.ts";
import { COMPLETE, CONTENT, JOURNAL, privateTop } from "./sinks/private.ts";

/** Milliseconds for the downloads to copy a complete file after its page was closed. */
const COPYING = 600_000;

/** Milliseconds between two looks at a part that another tab writes. */
const LOOKING = 500;

/** Milliseconds for which an offer waits for the list of parts: the browser may never return it. */
const SOON = 5000;

/** Ends the locks that this page holds, by name. */
const held = new Map<string, () => void>();

/** Return the name of the Web Lock for the folder `id`. */
export function lockName(id: string): string {
  return `dcsend-private-${id}`;
}

/** Hold the lock of a folder until `release` or the end of the page; return whether it was free. */
export function claim(id: string): Promise<boolean> {
  const name = lockName(id);
  return new Promise((resolve, reject) => {
    const request = navigator.locks?.request(name, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      if (lock === null) return;
      return new Promise<void>((end) => held.set(name, end));
    });
    // Without locks no page cleans up either, and a part is opened by one alone.
    if (request === undefined) resolve(true);
    else request.catch(reject);
  });
}

/** Release the lock of a folder, unless a complete file is in it. */
export async function release(id: string): Promise<void> {
  try {
    const folder = await (await privateTop()).getDirectoryHandle(id);
    await folder.getFileHandle(COMPLETE);
  } catch {
    held.get(lockName(id))?.();
    held.delete(lockName(id));
  }
}

/** The parts in the private file system. */
export const privateParts: PartStore = {
  async list() {
    const found: FoundPart[] = [];
    try {
      const busy = new Set((await navigator.locks?.query())?.held?.map(({ name }) => name));
      const top = await privateTop();
      for await (const id of top.keys()) {
        const part = await readPart(top, id);
        if (part !== null) found.push({ ...part, id, busy: busy.has(lockName(id)) });
      }
    } catch {
      // As in cleanPrivate().
    }
    return found;
  },
  remove: (id) => removeIf(id, async () => true),
};

/** The parts of a store, as they were when they were last listed. */
export class KeptParts {
  readonly #store: PartStore;
  #parts: readonly FoundPart[] = [];

  constructor(store: PartStore) {
    this.#store = store;
  }

  /**
   * List the parts for an offer, and again while another tab writes one of them, since that tab may
   * be closed. `isOffered` returns whether the offer is still shown, and shows what is found late.
   */
  async look(entries: readonly Entry[], isOffered: () => boolean): Promise<void> {
    let isLate = false;
    const looking = this.#look(entries, isOffered).then(() => isLate && isOffered());
    await Promise.race([looking, new Promise((resolve) => setTimeout(resolve, SOON))]);
    isLate = true;
  }

  async #look(entries: readonly Entry[], isOffered: () => boolean): Promise<void> {
    this.#parts = await this.#store.list();
    const all = new Set(entries.keys());
    if (!this.of(entries, all).some(({ busy }) => busy)) return;
    setTimeout(() => isOffered() && void this.look(entries, isOffered).then(isOffered), LOOKING);
  }

  /** Return those of the entries whose numbers are in `wanted`. */
  of(entries: readonly Entry[], wanted: ReadonlySet<number>): readonly FoundPart[] {
    return [...matching(this.#parts, entries, wanted).values()];
  }

  /** Return those that no transfer is writing. */
  async free(): Promise<readonly FoundPart[]> {
    return (await this.#store.list()).filter(({ busy }) => !busy);
  }

  /** Delete some. */
  async remove(parts: readonly FoundPart[]): Promise<void> {
    for (const { id } of parts) await this.#store.remove(id);
  }
}

/** Delete the folders that are no parts and of closed pages; never rejects. `now`: as Date.now(). */
export async function cleanPrivate(now = Date.now()): Promise<void> {
  try {
    const top = await privateTop();
    for await (const id of top.keys()) {
      await removeIf(id, async () => {
        return (await readPart(top, id)) === null && !(await inUse(top, id, now));
      });
    }
  } catch {
    // There is no such folder, or no private file system: private windows and file pages may lack
    // it.
  }
}

/** Delete a folder whose lock is free if `isWanted` resolves to true; never rejects. */
async function removeIf(id: string, isWanted: () => Promise<boolean>): Promise<void> {
  const remove = async () => {
    const top = await privateTop();
    if (await isWanted()) await top.removeEntry(id, { recursive: true });
  };
  // A folder that can't be deleted must not prevent the deletion of the others.
  await navigator.locks
    ?.request(lockName(id), { ifAvailable: true }, (lock) => (lock === null ? undefined : remove()))
    .catch(() => undefined);
}

/** Return the part in a folder; null if there is none that can be continued. */
async function readPart(top: FileSystemDirectoryHandle, id: string) {
  try {
    const folder = await top.getDirectoryHandle(id);
    const read = async (name: string) => (await folder.getFileHandle(name)).getFile();
    const content = await read(CONTENT);
    const journal = readJournal(await (await read(JOURNAL)).text());
    const points = within(journal?.points ?? [], content.size);
    const time = content.lastModified;
    return journal === null || points.length === 0 ? null : { file: journal.file, points, time };
  } catch {
    return null;
  }
}

/** Return whether the downloads may still be copying the content of the folder `id`. */
async function inUse(top: FileSystemDirectoryHandle, id: string, now: number): Promise<boolean> {
  try {
    const folder = await top.getDirectoryHandle(id);
    await folder.getFileHandle(COMPLETE);
    for await (const name of folder.keys()) {
      const { lastModified } = await (await folder.getFileHandle(name)).getFile();
      if (Math.abs(now - lastModified) < COPYING) return true;
    }
    return false;
  } catch {
    return false;
  }
}
