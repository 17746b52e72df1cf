/**
 * How far, how fast, how long still: arithmetic over acknowledged bytes, time passed in. As
 * `dcsend/session/meter.py`. Imports only types.
 */
import type { Progressed } from "./events.ts";

/** Seconds the rate is averaged over: long enough to be readable, short enough to be true. */
const SPAN = 5;

/** Turns counts of written bytes into `Progressed` events, a few per second at most. */
export class Meter {
  /** The file on the way. */
  path = "";
  readonly #total: number | null;
  readonly #interval: number;
  #bytes = 0;
  /** [seconds, bytes at that time], oldest first. */
  readonly #points: [number, number][];
  #next: number;

  /** `total` in bytes, null if not known; `now` and `interval` in seconds. */
  constructor(total: number | null, now: number, interval: number) {
    this.#total = total;
    this.#interval = interval;
    this.#points = [[now, 0]];
    this.#next = now;
  }

  /** Count bytes that have been written at the receiver. */
  add(count: number): void {
    this.#bytes += count;
  }

  /** An event if the last one is old enough. */
  due(now: number): Progressed | null {
    return now >= this.#next ? this.now(now) : null;
  }

  /** An event in any case. */
  now(now: number): Progressed {
    this.#next = now + this.#interval;
    const points = this.#points;
    points.push([now, this.#bytes]);
    const oldest = () => points[0] ?? [now, 0];
    while (points.length > 2 && now - oldest()[0] > SPAN) points.shift();
    const [then, count] = oldest();
    const bytes = this.#bytes;
    const total = this.#total;
    const rate = now > then ? (bytes - count) / (now - then) : 0;
    const eta = total === null || rate <= 0 ? null : Math.max(0, (total - bytes) / rate);
    return { type: "progress", bytes, total, rate, eta, path: this.path };
  }
}
