/**
 * Progress events: at most one per interval, and never a stale last one. As
 * `dcsend/session/progress.py`. Imports only leaves and session.
 */
import type { Entry } from "../entry.ts";
import type { Emit } from "./events.ts";
import { Meter } from "./meter.ts";

/** Seconds between two events, at least. */
const INTERVAL = 0.25;

/** Counts written bytes of a transfer and emits what the meter says. */
export class Progress {
  readonly #emit: Emit;
  readonly #now: () => number;
  readonly #meter: Meter;
  #later: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  /** `total` in bytes, null if not known; `now` gives seconds. */
  constructor(total: number | null, emit: Emit, now: () => number) {
    this.#emit = emit;
    this.#now = now;
    this.#meter = new Meter(total, now(), INTERVAL);
  }

  /** Count bytes of `entry` that have been written. */
  add(entry: Entry | undefined, count: number): void {
    if (entry !== undefined) this.#meter.path = entry.path;
    this.#meter.add(count);
  }

  /** Emit now, or when the interval is over: a stream that pauses shows where it stands. */
  show(): void {
    if (this.#closed) return;
    const event = this.#meter.due(this.#now());
    if (event !== null) this.#emit(event);
    else this.#later ??= setTimeout(() => this.#showLate(), INTERVAL * 1000);
  }

  /** Emit the last event. */
  end(): void {
    if (this.#closed) return;
    this.close();
    this.#emit(this.#meter.now(this.#now()));
  }

  /** Emit nothing more. */
  close(): void {
    this.#closed = true;
    if (this.#later !== null) clearTimeout(this.#later);
    this.#later = null;
  }

  #showLate(): void {
    this.#later = null;
    this.#emit(this.#meter.now(this.#now()));
  }
}

/** Add the sizes of entries that will come, in bytes; null if one of them isn't known. */
export function totalSize(
  entries: readonly Entry[],
  isWanted: (number: number) => boolean,
): number | null {
  let total = 0;
  for (const [number, { size }] of entries.entries()) {
    if (!isWanted(number)) continue;
    if (size === null) return null;
    total += size;
  }
  return total;
}
