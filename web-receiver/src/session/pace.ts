/**
 * The congestion window of the page's sender, in addition to that of the browser's SCTP.
 *
 * The receiver grants a window that bounds its memory. This one, never larger, keeps queues short:
 * libwebrtc fills the queue of a path until it loses a burst, and then stalls (24 s on a path of 40
 * ms and 100 Mbit/s). The model is that of BBR, without its clocks: what the path delivers in a
 * round trip without a queue, plus a slack. A frame has met a queue if its round trip exceeds the
 * shortest one by more than half the slack.
 *
 *     at first     each frame that met no queue adds a quarter of what was in flight with it;
 *                  ends when most frames of a round have met one
 *     afterwards   a round without a queue adds a quarter; with some queued frames a twentieth
 *     always       a round of queued frames only shrinks it towards
 *                  highest rate of the last rounds * (shortest round trip + slack)
 *
 * So single late acknowledgements (disk, Wi-Fi) and a sender with nothing to send change nothing.
 * Times are arguments; no clock, no timer, no I/O.
 */
import { WINDOW } from "../protocol/limits.ts";

/** Bytes that may always be in flight, and the initial window: two frames. */
export const FLOOR = 131072;
/**
 * The slack: seconds of queueing that are allowed. On a path of 40 ms and 100 Mbit/s Chromium sends
 * 9.9 MB/s to dcsend (median of 5); with 12 ms 6.6, since late acknowledgements of a busy receiver
 * look like a queue. A fixed window of 0.9 MB made libwebrtc lose a burst: 5.5 (measured 2026-11).
 */
const DELAY = 0.018;
/** The slack as a fraction of the shortest round trip; the larger of the two is used. */
const SHARE = 0.25;
/**
 * Factor on the bytes in flight that met no queue. A queue is noticed a round trip late, and often
 * holds no more than one round trip's worth: with 1.5, libwebrtc lost a burst (measured 2026-11).
 */
const GROWTH = 1.25;
/** The same when some frames met a queue; at least one frame. */
const STEP = 1.05;
/**
 * Smallest factor by which a round shrinks the window: a single stall of the disk looks like a
 * queue.
 */
const CUT = 0.75;
/** Rounds over which a rate is measured: a busy receiver sends acknowledgements in bursts. */
const AVERAGED = 3;
/** Number of rates that are kept; a stall of the disk lasts one or two rounds. */
const ROUNDS = 8;
/** Seconds after which the shortest round trip is measured again (ProbeRTT of BBR). */
const REMEMBERED = 10;
/** Fraction of rate times round trip that is in flight meanwhile: too little for a queue. */
const DRAIN = 0.75;
/** Seconds of unused room after which the sender counts as having nothing to send. */
const IDLE = 0.002;
/** Seconds; the resolution of the clock. */
const SHORTEST = 0.0001;

/** A frame in flight. */
interface Frame {
  /** Bytes sent, including this frame. */
  readonly total: number;
  readonly cost: number;
  /** Bytes in flight when it was sent, including this frame. */
  readonly inFlight: number;
  readonly time: number;
  /**
   * Whether the sender had nothing to send before: its round trip indicates little about the path.
   */
  readonly idle: boolean;
}

/** Limits the bytes in flight. */
export class Pace {
  readonly #most: number;
  #size: number;
  #sent = 0;
  #acknowledged = 0;
  #frames: Frame[] = [];
  #largest = 0;
  /** The shortest recent round trip, and when it was measured. */
  #base = Number.POSITIVE_INFINITY;
  #baseTime = 0;
  #roomSince = Number.POSITIVE_INFINITY;
  #idleUntil = -1;
  #roundEnd = 0;
  /** In this round: most bytes in flight, frames, and frames that met a queue. */
  #roundMost = 0;
  #seen = 0;
  #queued = 0;
  #searching = true;
  /** The ends of the last rounds: bytes acknowledged, and time. */
  readonly #marks: [number, number][] = [];
  readonly #rates = [0];
  /** Bytes sent when the new measurement of the shortest round trip began; null outside one. */
  #drain: number | null = null;
  #drainedTrip = Number.POSITIVE_INFINITY;

  /** The window is at most `most` bytes, and at least the smaller of it and `FLOOR`. */
  constructor(most: number = WINDOW) {
    this.#most = most;
    this.#size = Math.min(FLOOR, most);
  }

  /** Bytes that may be in flight now. */
  get size(): number {
    if (this.#drain === null) return this.#size;
    return Math.min(this.#size, this.#bounded(this.#rate * this.#base * DRAIN));
  }

  /** Return whether a frame of `cost` bytes may be sent now; always if nothing is in flight. */
  allows(cost: number): boolean {
    const inFlight = this.#sent - this.#acknowledged;
    return inFlight === 0 || inFlight + cost <= this.size;
  }

  /** Count a frame of `cost` bytes that is sent at `now`, in seconds of any monotonic clock. */
  send(cost: number, now: number): void {
    if (cost >= 2 * this.#largest) {
      // A longer frame takes longer: the round trips of shorter ones no longer count.
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

  /** Count `total` bytes, from the beginning, as written by the receiver at `now`. */
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

  /** Update the model with the round trip of a frame. */
  #learn(frame: Frame, now: number): void {
    const trip = Math.max(now - frame.time, SHORTEST);
    if (this.#drain !== null) {
      this.#drained(frame, trip, now, this.#drain);
      return;
    }
    if (trip <= this.#base) [this.#base, this.#baseTime] = [trip, now];
    const slack = Math.max(DELAY, SHARE * this.#base);
    this.#seen += 1;
    this.#roundMost = Math.max(this.#roundMost, frame.inFlight);
    if (trip - this.#base >= slack / 2) this.#queued += 1;
    else if (this.#searching) this.#grow(GROWTH, frame.inFlight);
    if (frame.total - frame.cost >= this.#roundEnd) this.#conclude(frame, slack, now);
  }

  /** Raise the window above `inFlight`, which met no queue, by at least one frame. */
  #grow(factor: number, inFlight: number): void {
    const grown = Math.max(factor * inFlight, inFlight + this.#largest);
    this.#size = Math.max(this.#size, this.#bounded(grown));
  }

  /** End a round with `frame`, the first that was sent after the last round. */
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

  /** Fit the window to a round in which there was always something to send. */
  #fit(slack: number): void {
    if (this.#queued === this.#seen) {
      const fitting = this.#rate * (this.#base + slack) + this.#largest / 2;
      this.#size = Math.min(this.#size, this.#bounded(Math.max(fitting, this.#size * CUT)));
    } else if (!this.#searching && 2 * this.#queued <= this.#seen) {
      this.#grow(this.#queued > 0 ? STEP : GROWTH, this.#roundMost);
    }
    if (2 * this.#queued > this.#seen) this.#searching = false;
  }

  /** Let the queue drain, then take the shortest round trip of later frames. */
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

  /** The highest rate of the last rounds, bytes per second. */
  get #rate(): number {
    return Math.max(...this.#rates);
  }

  #bounded(size: number): number {
    return Math.min(Math.max(Math.floor(size), FLOOR), this.#most);
  }
}
