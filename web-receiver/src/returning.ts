/**
 * What a page keeps in IndexedDB while it receives, so that the transfer goes on after a reload: the
 * page connects again with the same certificate, whose private key no script can read; by the dial code,
 * or in the mailbox that follows from the key of a short code.
 */
import type { Entry } from "./entry.ts";
import { behind, inStore, MOST_KEPT } from "./files/kept.ts";
import type { Decision } from "./session/options.ts";
import { within } from "./session/waiting.ts";
import type { Ticket } from "./session/ways_back.ts";

/** Milliseconds after the last progress until it is deleted: the other side waits as long. */
const EXPIRES = 600_000;
/** Seconds for the browser to begin. */
const KEEPING = 1;
/** Milliseconds between two notes that there is progress. */
const OFTEN = 60_000;
/** Milliseconds for another page to answer that it has a transfer. */
const OTHERS = 300;
/** Beginning of a key, which is in the storage of the tab in place of the code. */
const KEY = "again ";

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

/** Whether a page has the destination again after a reload: handles of others need permission. */
export function survivesReload({ destination }: Decision): boolean {
  return ["memory", "private"].includes(destination.type);
}

/** Question and answer on the channel of a key: a tab that is duplicated has the key of the other. */
const WHO = "who";
const MINE = "mine";

/** Open the channel of a key; null where the browser has none. */
function channelOf(key: string): BroadcastChannel | null {
  try {
    return new BroadcastChannel(key);
  } catch {
    return null;
  }
}

/** Return whether another page has the transfer of a key. */
async function isTaken(key: string): Promise<boolean> {
  const channel = channelOf(key);
  if (channel === null) return false;
  const taken = await new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), OTHERS);
    channel.onmessage = ({ data }) => data === MINE && resolve(true);
    channel.postMessage(WHO);
  });
  channel.close();
  return taken;
}

/** A transfer that is kept for a reload. */
export class Returning {
  readonly key: string;
  readonly accepted: Accepted;
  /** Whether the transfer is kept; false where the browser keeps nothing. */
  isKept: boolean;
  /** Answers to other pages that this one has the transfer. */
  readonly #channel: BroadcastChannel | null;
  #isOver = false;
  #noted = 0;

  /** Keep nothing yet; `key` is that of a transfer which is kept. */
  constructor(accepted: Accepted, key = "") {
    this.isKept = key !== "";
    this.key = key || `${KEY}${Date.now()} ${Math.random()}`;
    const channel = channelOf(this.key);
    if (channel !== null) {
      channel.onmessage = ({ data }) => data === WHO && channel.postMessage(MINE);
    }
    this.#channel = channel;
    const { destination: chosen, skip } = accepted.decision;
    const keeps = chosen.type === "memory" && keepsContent(chosen.zipped, accepted.entries, skip);
    const destination = keeps ? { ...chosen, run: this.key } : chosen;
    this.accepted = { ...accepted, decision: { destination, skip: new Map(skip) } };
  }

  /** Return the transfer of a key; null if there is none, or if another page has it. */
  static async find(key: string): Promise<Returning | null> {
    const kept: Kept | undefined = await inStore("runs", (runs) => runs.get(key)).catch(() => {});
    if (kept === undefined || kept.until < Date.now() || (await isTaken(key))) return null;
    return new Returning(kept, key);
  }

  /** Delete transfers that have expired, and content without a transfer; never rejects. */
  static async clean(): Promise<void> {
    try {
      const now = Date.now();
      const kept = new Set<unknown>();
      for (const key of await inStore("runs", (runs) => runs.getAllKeys())) {
        const { until }: Kept = await inStore("runs", (runs) => runs.get(key));
        if (until >= now) kept.add(key);
        else await inStore("runs", (runs) => runs.delete(key));
      }
      for (const key of await inStore("content", (content) => content.getAllKeys())) {
        const isOf = Array.isArray(key) && kept.has(key[0]);
        if (!isOf) await inStore("content", (content) => content.delete(key));
      }
    } catch {
      // A browser that keeps nothing.
    }
  }

  /** Keep the transfer, and wait for that at most `KEEPING` seconds; return the decision. */
  async begin(): Promise<Decision> {
    await within(KEEPING, this.#keep());
    return this.accepted.decision;
  }

  async #keep(): Promise<void> {
    this.#noted = Date.now();
    const kept: Kept = { ...this.accepted, until: this.#noted + EXPIRES };
    this.isKept = await inStore("runs", (runs) => runs.put(kept, this.key)).then(
      () => !this.#isOver,
      () => false,
    );
    if (this.#isOver) this.forget();
  }

  /** Note that there is progress. */
  progress(): void {
    if (this.isKept && Date.now() - this.#noted > OFTEN) void this.#keep();
  }

  /** Note that the downloads have a file, which is not received again. */
  async saved(number: number): Promise<void> {
    (this.accepted.decision.skip as Map<number, string>).set(number, "same");
    await within(KEEPING, this.#keep());
  }

  /** Return whether an offer has the entries of this transfer. */
  fits(entries: readonly Entry[]): boolean {
    return JSON.stringify(entries) === JSON.stringify(this.accepted.entries);
  }

  /** Delete what is kept of the transfer. */
  forget(): void {
    this.#isOver = true;
    this.#channel?.close();
    inStore("runs", (runs) => runs.delete(this.key)).catch(() => undefined);
    inStore("content", (content) => content.delete(behind(this.key))).catch(() => undefined);
  }
}

/** Whether content of files in memory is kept; otherwise they begin again. */
function keepsContent(
  zipped: boolean,
  entries: readonly Entry[],
  skip: ReadonlyMap<number, string>,
): boolean {
  const wanted = entries.filter((_, number) => !skip.has(number));
  const bytes = wanted.reduce((sum, { size }) => sum + (size ?? Number.POSITIVE_INFINITY), 0);
  return !zipped && bytes <= MOST_KEPT;
}
