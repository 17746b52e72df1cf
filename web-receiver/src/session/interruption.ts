/**
 * When another connection is prepared, and when a connection is taken for interrupted; time is passed
 * in. As `dcsend/session/interruption.py`, by a count of what has arrived.
 *
 *     arriving ─ 1 s ─► probed ─ 1 s ─► silent      any of them ─ 5 s ─► lost
 *         ▲                │              │                                │
 *         └────────────────┴── the count has risen ────────────────────────┘
 *
 * The probe is a message: SCTP acknowledges it at once, while browsers count checks of ICE in part
 * only. A page that was suspended has sent none, and is not silent before it has.
 */

/** Seconds without anything until the probe. */
export const PROBE = 1;

/** Seconds for its acknowledgement, which may be delayed by 0.2 s. */
export const ANSWER = 1;

/** Seconds without anything after which a connection is interrupted (PROTOCOL.md, K-4). */
export const LOST = 5;

/** Preparations in `WITHIN` seconds that the path may make needless (PROTOCOL.md, K-21). */
const VAIN = 3;
const WITHIN = 60;

/** What a look has shown. `probe` is due once, then it is `probed`. */
export type Sign = "arriving" | "probe" | "probed" | "silent" | "lost";

/** The silence of one connection. Times in seconds, any origin. */
export class Silence {
  #count = 0;
  #lastArrival: number;
  #probed: number | null = null;

  constructor(now: number) {
    this.#lastArrival = now;
  }

  /** Return the sign; `count` falls if the browser drops a part of its statistics. */
  look(now: number, count: number): Sign {
    const hasRisen = count > this.#count;
    this.#count = count;
    if (hasRisen) {
      this.#lastArrival = now;
      this.#probed = null;
    }
    if (now - this.#lastArrival >= LOST) return "lost";
    if (this.#probed !== null) return now - this.#probed >= ANSWER ? "silent" : "probed";
    if (now - this.#lastArrival < PROBE) return "arriving";
    this.#probed = now;
    return "probe";
  }
}

/** The preparations that were needless, over all connections with a peer. */
export class Needless {
  readonly #times: number[] = [];

  /** Note that the path has answered before another connection was made. */
  add(now: number): void {
    this.#times.push(now);
  }

  /** Whether there were so many that the next one has to wait for the interruption. */
  isOften(now: number): boolean {
    return now - (this.#times.at(-VAIN) ?? -WITHIN) < WITHIN;
  }
}

/** Seconds for which a side tries to connect again. */
export const LIMIT = 600;
/** The same while its peer may not have the answer of this side, and would not connect then. */
export const ANSWERING = 60;
/** Seconds for which an allocator waits after the path has answered (PROTOCOL.md, K-14). */
const STAYS = 60;

/** Seconds between the beginnings of two attempts, in the first `EAGER` seconds. */
export const OFTEN = 2;
/** Seconds between the beginnings of two attempts after that. */
export const SELDOM = 5;
export const EAGER = 120;

/** The time of a series of attempts to connect again. */
export class Renewal {
  /** Whether the path has answered, and this side still waits. */
  stays = false;
  #since: number;

  constructor(now: number) {
    this.#since = now;
  }

  /** Begin it once more. */
  begin(now: number): void {
    this.stays = false;
    this.#since = now;
  }

  /** Note that the path has answered. */
  stay(now: number): void {
    this.stays = true;
    this.#since = now;
  }

  /** Return the seconds until the next attempt. */
  pause(now: number): number {
    return now - this.#since < EAGER ? OFTEN : SELDOM;
  }

  /** Whether its time is over; `isUnsure`: whether the peer may not have the answer of this side. */
  isOver(now: number, isUnsure: boolean): boolean {
    return now - this.#since >= (this.stays ? STAYS : isUnsure ? ANSWERING : LIMIT);
  }
}
