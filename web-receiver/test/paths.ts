/**
 * A simulated path for `Pace`: a line with a queue, and a disk at its end.
 *
 * A discrete-event simulation of whole frames: a frame waits for the line, occupies it for the time
 * of its bytes, travels, is written, and is acknowledged. Deterministic; times are simulated
 * seconds.
 */
import { MAX_FRAME } from "../src/protocol/limits.ts";
import type { Pace } from "../src/session/pace.ts";

/** Bytes on the line for each byte of a frame: headers of SCTP, DTLS, UDP and IP per 1160 bytes. */
const OVERHEAD = 1.07;
/** Seconds between two checks whether there is something to send again. */
const CHECK = 0.01;

/** The path between sender and disk; functions of the time. */
export interface Line {
  /** Seconds round trip without a queue. */
  readonly trip: (time: number) => number;
  /** Bytes per second. */
  readonly rate: (time: number) => number;
  /** Seconds that the disk needs for a frame. */
  readonly write?: (time: number) => number;
  /** Whether there is something to send. */
  readonly wanted?: (time: number) => boolean;
}

/** One event at the sender, in the form of the vectors. */
export interface Step {
  readonly kind: "send" | "ack";
  readonly time: number;
  /** Bytes: of the frame, or of all that is acknowledged. */
  readonly count: number;
  /** Size of the pace afterwards, in bytes. */
  readonly size: number;
}

/** The events on a path. */
export class Journey {
  readonly steps: Step[] = [];
  /** Time and size of the pace after each event, also after a check. */
  readonly sizes: [number, number][] = [];
  /** Time and bytes that wait for the line, including the frame that is sent. */
  readonly queues: [number, number][] = [];

  /** Bytes per second that were acknowledged from `start` to `end`. */
  rate(start: number, end: number): number {
    const upto = (until: number) =>
      Math.max(
        0,
        ...this.steps
          .filter(({ kind, time }) => kind === "ack" && time <= until)
          .map((s) => s.count),
      );
    return ((upto(end) - upto(start)) * OVERHEAD) / (end - start);
  }

  /** The longest queue from `start` to `end`, in bytes. */
  queue(start: number, end: number): number {
    return Math.max(
      0,
      ...this.queues.filter(([time]) => start <= time && time <= end).map(([, bytes]) => bytes),
    );
  }

  /** Smallest and largest size after `start`, in bytes. */
  range(start: number): [number, number] {
    const sizes = this.sizes.filter(([time]) => time > start).map(([, size]) => size);
    return [Math.min(...sizes), Math.max(...sizes)];
  }

  /** The size at `time`, in bytes. */
  size(time: number): number {
    return this.sizes.filter(([when]) => when <= time).at(-1)?.[1] ?? 0;
  }
}

/**
 * Send frames of MAX_FRAME bytes over `line` as `pace` allows, for `until` seconds. `before` bytes
 * were sent and acknowledged earlier.
 */
export function journey(pace: Pace, line: Line, until: number, before = 0): Journey {
  const { trip, rate, write = () => 0.0005, wanted = () => true } = line;
  const happened = new Journey();
  const coming: [number, number][] = [];
  let [sent, lineFree, diskFree, now, check] = [before, 0, 0, 0, 0];
  const note = (kind: Step["kind"], count: number) =>
    happened.steps.push({ kind, time: now, count, size: pace.size });
  while (now <= until) {
    while (wanted(now) && pace.allows(MAX_FRAME)) {
      pace.send(MAX_FRAME, now);
      sent += MAX_FRAME;
      note("send", MAX_FRAME);
      lineFree = Math.max(now, lineFree) + (MAX_FRAME * OVERHEAD) / rate(now);
      happened.queues.push([now, (lineFree - now) * rate(now)]);
      diskFree = Math.max(diskFree, lineFree + trip(now) / 2);
      diskFree += write(diskFree);
      const arrives = diskFree + trip(now) / 2;
      const after = coming.findLastIndex(([time]) => time <= arrives);
      coming.splice(after + 1, 0, [arrives, sent]);
    }
    const first = coming[0];
    if (first !== undefined && first[0] <= check) {
      coming.shift();
      now = first[0];
      pace.acknowledge(first[1], now);
      note("ack", first[1]);
    } else {
      [now, check] = [check, check + CHECK];
    }
    happened.sizes.push([now, pace.size]);
  }
  return happened;
}
