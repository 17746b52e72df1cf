/**
 * The sender's own window: how much it keeps in flight, as the path and the disk behind it take it.
 *
 * The receiver grants a window that bounds its memory. This one, never larger, keeps queues short:
 * an engine that overshoots loses a burst and then stalls (libwebrtc, 24 s on a 40 ms, 100 Mbit/s
 * path). Why it is as it is, and where the numbers come from: `dcsend/protocol/pace.py`, of which
 * this is the same arithmetic, number by number. Times are arguments; no clock, no timer.
 */
import { WINDOW } from "./limits.ts";

/** Bytes that always may be in flight: two frames. */
export const FLOOR = 131072;
/** Factor on what was in flight without a queue. */
const GROWTH = 1.25;
/** The same when some frames found a queue. */
const STEP = 1.05;
/** Smallest factor by which a round makes it shrink. */
const CUT = 0.75;
/** Rounds over which a rate is taken. */
const AVERAGED = 3;
/** Such rates that are remembered. */
const ROUNDS = 8;
/** Seconds after which the shortest round trip is measured anew. */
const REMEMBERED = 10;
/** Part of rate times round trip that is in flight meanwhile. */
const DRAIN = 0.75;
/** Seconds of unused room after which a sender counts as having nothing to send. */
const IDLE = 0.002;
/** Seconds; a shorter round trip is the clock's grain. */
const SHORTEST = 0.0001;

/** How much an engine is trusted to find the path's limit itself. */
export interface Manner {
  /** Bytes in flight at the beginning. */
  readonly first: number;
  /** Queueing that is allowed, seconds. */
  readonly delay: number;
  /** The same as a part of the shortest round trip; the larger of the two counts. */
  readonly share: number;
}

/** Over a browser's engine, whose congestion control fills whatever queue there is. */
export const CAUTIOUS: Manner = { first: FLOOR, delay: 0.018, share: 0.25 };

/** A frame in flight. */
interface Frame {
  /** Bytes sent, this one included. */
  readonly total: number;
  readonly cost: number;
  /** Bytes in flight when it went, this one included. */
  readonly inFlight: number;
  readonly time: number;
  /** The sender had had nothing to send. */
  readonly idle: boolean;
}

/** Bytes that the sender lets be in flight. */
export class Pace {
  readonly #manner: Manner;
  readonly #most: number;
  #size: number;
  #sent = 0;
  #acknowledged = 0;
  #frames: Frame[] = [];
  #largest = 0;
  /** Shortest round trip of late, and when it was seen. */
  #base = Number.POSITIVE_INFINITY;
  #baseTime = 0;
  #roomSince = Number.POSITIVE_INFINITY;
  #idleUntil = -1;
  #roundEnd = 0;
  /** Most bytes in flight, frames, and those of them that found a queue, in this round. */
  #roundMost = 0;
  #seen = 0;
  #queued = 0;
  #searching = true;
  /** Where the last rounds ended: bytes acknowledged, and when. */
  readonly #marks: [number, number][] = [];
  readonly #rates = [0];
  /** What was sent when it began, while the shortest round trip is measured anew. */
  #drain: number | null = null;
  #drainedTrip = Number.POSITIVE_INFINITY;

  /** Never more than `most` bytes, nor less than the smaller of it and `FLOOR`. */
  constructor(manner: Manner = CAUTIOUS, most: number = WINDOW) {
    this.#manner = manner;
    this.#most = most;
    this.#size = Math.min(manner.first, most);
  }

  /** Bytes that may be in flight now. */
  get size(): number {
    if (this.#drain === null) return this.#size;
    return Math.min(this.#size, this.#bounded(this.#rate * this.#base * DRAIN));
  }

  /** Say whether a frame of `cost` bytes may go now; one always may if nothing is in flight. */
  allows(cost: number): boolean {
    const inFlight = this.#sent - this.#acknowledged;
    return inFlight === 0 || inFlight + cost <= this.size;
  }

  /** Count a frame of `cost` bytes that goes at `now`, in seconds of any steady clock. */
  send(cost: number, now: number): void {
    if (cost >= 2 * this.#largest) {
      // A longer frame takes longer by itself: what shorter ones took doesn't count.
      this.#base = Number.POSITIVE_INFINITY;
      this.#drain = null;
      this.#startRound();
    }
    this.#largest = Math.max(this.#largest, cost);
    this.#sent += cost;
    const inFlight = this.#sent - this.#acknowledged;
    const idle = this.#acknowledged <= this.#idleUntil;
    this.#frames.push({ total: this.#sent, cost, inFlight, time: now, idle });
    if (inFlight + this.#largest > this.size) this.#roomSince = Number.POSITIVE_INFINITY;
  }

  /** Take `total` bytes, counted since the beginning, as written by the receiver at `now`. */
  acknowledge(total: number, now: number): void {
    if (now - this.#roomSince > IDLE) this.#idleUntil = this.#sent;
    let count = 0;
    while ((this.#frames[count]?.total ?? Number.POSITIVE_INFINITY) <= total) count += 1;
    const newest = this.#frames[count - 1];
    this.#frames.splice(0, count);
    this.#acknowledged = total;
    if (newest !== undefined && 2 * newest.cost >= this.#largest) this.#learn(newest, now);
    if (this.#sent - total + this.#largest > this.size) {
      this.#roomSince = Number.POSITIVE_INFINITY;
    } else this.#roomSince = Math.min(this.#roomSince, now);
  }

  /** Take what one frame has seen into the model. */
  #learn(frame: Frame, now: number): void {
    const trip = Math.max(now - frame.time, SHORTEST);
    if (this.#drain !== null) {
      this.#drained(frame, trip, now, this.#drain);
      return;
    }
    if (trip <= this.#base) [this.#base, this.#baseTime] = [trip, now];
    const slack = Math.max(this.#manner.delay, this.#manner.share * this.#base);
    this.#seen += 1;
    this.#roundMost = Math.max(this.#roundMost, frame.inFlight);
    if (trip - this.#base >= slack / 2) this.#queued += 1;
    else if (this.#searching) this.#grow(GROWTH, frame.inFlight);
    if (frame.total - frame.cost >= this.#roundEnd) this.#conclude(frame, slack, now);
  }

  /** Let more go than `inFlight`, for which there was no queue: one frame at least. */
  #grow(factor: number, inFlight: number): void {
    const grown = Math.max(factor * inFlight, inFlight + this.#largest);
    this.#size = Math.max(this.#size, this.#bounded(grown));
  }

  /** End a round with `frame`, the first that went after the last round. */
  #conclude(frame: Frame, slack: number, now: number): void {
    const [mark] = this.#marks;
    if (frame.idle) this.#marks.length = 0;
    else if (mark !== undefined) {
      const [total, time] = mark;
      this.#rates.push((this.#acknowledged - total) / Math.max(now - time, SHORTEST));
      if (this.#rates.length > ROUNDS) this.#rates.shift();
    }
    this.#marks.push([this.#acknowledged, now]);
    if (this.#marks.length > AVERAGED) this.#marks.shift();
    if (!frame.idle) this.#fit(slack);
    if (now - this.#baseTime > REMEMBERED) {
      this.#drain = this.#sent;
      this.#drainedTrip = Number.POSITIVE_INFINITY;
    }
    this.#startRound();
  }

  /** Draw the conclusions of a round in which there was always something to send. */
  #fit(slack: number): void {
    if (this.#queued === this.#seen) {
      const fitting = this.#rate * (this.#base + slack) + this.#largest / 2;
      this.#size = Math.min(this.#size, this.#bounded(Math.max(fitting, this.#size * CUT)));
    } else if (!this.#searching && 2 * this.#queued <= this.#seen) {
      this.#grow(this.#queued > 0 ? STEP : GROWTH, this.#roundMost);
    }
    if (2 * this.#queued > this.#seen) this.#searching = false;
  }

  /** Let the queue run empty, and take the shortest round trip of what is sent after that. */
  #drained(frame: Frame, trip: number, now: number, began: number): void {
    if (frame.total - frame.cost < began) return;
    this.#drainedTrip = Math.min(this.#drainedTrip, trip);
    if (frame.total - began < Math.floor(this.size / 2)) return;
    [this.#base, this.#baseTime] = [this.#drainedTrip, now];
    this.#drain = null;
    this.#marks.length = 0;
    this.#startRound();
  }

  #startRound(): void {
    this.#roundEnd = this.#sent;
    this.#roundMost = 0;
    this.#queued = 0;
    this.#seen = 0;
  }

  /** Most bytes per second of the last rounds. */
  get #rate(): number {
    return Math.max(...this.#rates);
  }

  #bounded(size: number): number {
    return Math.min(Math.max(Math.floor(size), FLOOR), this.#most);
  }
}
