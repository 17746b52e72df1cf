/**
 * Progress events: at most one per interval, the last one up to date. As
 * `dcsend/session/progress.py`.
 */
import type { Entry } from "../entry.ts";
import type { Emit, Progressed } from "./events.ts";
import { Meter } from "./meter.ts";

/** Seconds between two events, at least. */
const INTERVAL = 0.25;
/**
 * Seconds between two events, at most: the display also shows how long progress has stood still.
 */
const LONGEST = 1;

/** Counts written bytes of a transfer and emits events of its meter. */
export class Progress {
  readonly #emit: Emit;
  readonly #now: () => number;
  readonly #waits: () => Progressed["waits"];
  readonly #meter: Meter;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the timer is for bytes that have not been shown. */
  #hurries = false;
  #closed = false;

  /**
   * `total` in bytes, null if not known; `now` returns seconds, `waits` what the transfer waits
   * for; `already` are bytes that the receiver has at the beginning.
   */
  constructor(
    total: number | null,
    emit: Emit,
    now: () => number,
    waits: () => Progressed["waits"] = () => "peer",
    already = 0,
  ) {
    this.#emit = emit;
    this.#now = now;
    this.#waits = waits;
    this.#meter = new Meter(total, now(), INTERVAL, already);
  }

  /** Count written bytes of `entry`, of which `already` were there at the beginning. */
  add(entry: Entry | undefined, count: number, already = 0): void {
    this.#meter.add(count, entry?.path, already);
  }

  /** Emit now, or when the interval is over, so that a paused stream shows its progress. */
  show(): void {
    if (this.#closed) return;
    const measured = this.#meter.due(this.#now());
    if (measured !== null) this.#report(measured);
    else if (!this.#hurries) {
      this.#hurries = true;
      this.#wake(INTERVAL);
    }
  }

  /** Emit the last event, once. */
  end(): void {
    if (this.#closed) return;
    this.#report(this.#meter.now(this.#now()));
    this.close();
  }

  /** Emit nothing more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #report(measured: Omit<Progressed, "waits">): void {
    this.#hurries = false;
    this.#wake(LONGEST);
    this.#emit({ ...measured, waits: this.#waits() });
  }

  #wake(seconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#report(this.#meter.now(this.#now())), seconds * 1000);
  }
}

/** Return the sum of the sizes of the wanted entries, in bytes; null if one of them isn't known. */
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
