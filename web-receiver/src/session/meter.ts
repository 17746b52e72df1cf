/**
 * Progress, rate and time left of a transfer, from acknowledged bytes; time is passed in. As
 * `dcsend/session/meter.py`.
 */
import type { Progressed } from "./events.ts";

/** Seconds over which the rate is averaged. */
const SPAN = 5;

/** A progress event without what the transfer waits for. */
type Measured = Omit<Progressed, "waits">;

/** Turns counts of written bytes into `Progressed` events, a few per second at most. */
export class Meter {
  readonly #total: number | null;
  readonly #interval: number;
  /** The current file. */
  #path = "";
  /** Bytes of it. */
  #done = 0;
  #bytes: number;
  /** When an event last found more bytes than the one before. */
  #moved: number;
  /** [seconds, bytes at that time], oldest first. */
  readonly #points: [number, number][];
  #next: number;

  /**
   * `total` in bytes, null if not known; `now` and `interval` in seconds; `already` are the bytes of
   * all files that the receiver has at the beginning.
   */
  constructor(total: number | null, now: number, interval: number, already = 0) {
    this.#total = total;
    this.#interval = interval;
    this.#bytes = already;
    this.#points = [[now, already]];
    this.#next = now;
    this.#moved = now;
  }

  /**
   * Count bytes of the file at `path` that have been written at the receiver, which had `already`
   * bytes of it at the beginning.
   */
  add(count: number, path = this.#path, already = 0): void {
    if (path !== this.#path) this.#done = already;
    this.#path = path;
    this.#done += count;
    this.#bytes += count;
  }

  /** Return an event if the last one is old enough. */
  due(now: number): Measured | null {
    return now >= this.#next ? this.now(now) : null;
  }

  /** Return an event in any case. */
  now(now: number): Measured {
    this.#next = now + this.#interval;
    const points = this.#points;
    if (this.#bytes > (points.at(-1)?.[1] ?? 0)) this.#moved = now;
    points.push([now, this.#bytes]);
    const oldest = () => points[0] ?? [now, 0];
    while (points.length > 2 && now - oldest()[0] > SPAN) points.shift();
    const [then, count] = oldest();
    const bytes = this.#bytes;
    const total = this.#total;
    const rate = now > then ? (bytes - count) / (now - then) : 0;
    const eta = total === null || rate <= 0 ? null : Math.max(0, (total - bytes) / rate);
    const still = now - this.#moved;
    const [path, done] = [this.#path, this.#done];
    return { type: "progress", bytes, total, rate, eta, path, done, still };
  }
}
