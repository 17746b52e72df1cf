/** The pace: its vectors, simulated paths, and bounds that hold for any input. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MAX_FRAME, WINDOW } from "../src/protocol/limits.ts";
import { FLOOR, Pace } from "../src/session/pace.ts";
import { type Journey, journey, type Line } from "./paths.ts";

const VECTORS = new URL("vectors/", import.meta.url);
/** 100 Mbit/s, in bytes per second; its product with 40 ms is 500 KB. */
const ORDINARY = 12.5e6;

function steady(trip: number, rate: number): Line {
  return { trip: () => trip, rate: () => rate };
}

/** Send over a steady path; return the journey, and the fraction of the capacity that was used. */
function over(trip: number, rate: number, seconds = 5): [Journey, number] {
  const travelled = journey(new Pace(), steady(trip, rate), seconds);
  return [travelled, travelled.rate(0, seconds) / rate];
}

// --- the vectors

/** Name -> bytes at most, line, seconds. */
const SCENARIOS: Readonly<Record<string, readonly [number, Line, number]>> = {
  ordinary: [2 ** 23, steady(0.04, ORDINARY), 1.5],
  uplink: [2 ** 23, steady(0.06, 1e6), 5],
  drain: [2 ** 23, { trip: (t) => (t < 9 ? 0.04 : 0.07), rate: () => 2.5e6 }, 13],
  lan: [2 ** 23, steady(0.001, 3e7), 0.5],
  granted: [300_000, steady(0.04, ORDINARY), 1],
  disk: [2 ** 23, { ...steady(0.04, ORDINARY), write: (t) => (2 < t && t < 2.013 ? 2 : 0.013) }, 6],
  pauses: [2 ** 23, { ...steady(0.04, ORDINARY), wanted: (t) => t % 1 < 0.5 }, 3],
};

test("there is a vector for each scenario", () => {
  const names = Object.keys(SCENARIOS).map((name) => `pace-${name}.txt`);
  expect(readdirSync(VECTORS).sort()).toEqual(names.sort());
});

test.each(Object.entries(SCENARIOS))(
  "steps are those of the vector %s",
  (name, [most, line, until]) => {
    const text = readFileSync(new URL(`pace-${name}.txt`, VECTORS), "utf-8");
    const [head = "", events = ""] = text.split("\n\n");
    expect(head).toContain(`\nmost: ${most}`);
    const { steps } = journey(new Pace(most), line, until);
    const lines = events.trimEnd().split("\n");
    expect(steps.length).toBe(lines.length);
    for (const [number, expected] of lines.entries()) {
      const [kind, time, count, size] = expected.split(" ");
      const step = { kind, time: Number(time), count: Number(count), size: Number(size) };
      expect(steps[number], `event ${number}`).toEqual(step);
    }
  },
);

// --- steady paths

test("a line of 100 Mbit/s is full with little in its queue", () => {
  // With 500 KB in the queue, libwebrtc loses a burst.
  const [travelled, share] = over(0.04, ORDINARY);
  expect(share).toBeGreaterThan(0.9);
  expect(travelled.queue(0, 5)).toBeLessThan(400_000);
  expect(travelled.queue(1, 5)).toBeLessThan(300_000);
  expect(travelled.size(5)).toBeGreaterThan(550_000);
  expect(travelled.size(5)).toBeLessThan(750_000);
});

test("a line of 100 Mbit/s is full within ten round trips", () => {
  expect(over(0.04, ORDINARY)[0].rate(0.4, 0.8)).toBeGreaterThan(0.95 * ORDINARY);
});

test("an uplink with a deep buffer adds less than 150 milliseconds", () => {
  const [travelled, share] = over(0.06, 1e6, 15);
  expect(share).toBeGreaterThan(0.95);
  expect(travelled.queue(0, 15) / 1e6).toBeLessThan(0.15);
});

test.each(
  [0.0001, 0.001].flatMap((trip) => [10e6, 30e6, 110e6].map((rate) => [trip, rate] as const)),
)("a LAN is not limited: %f s, %d B/s", (trip, rate) => {
  expect(over(trip, rate, 2)[1]).toBeGreaterThan(0.98);
});

test.each([0.01, 0.04, 0.15])("a gigabit is filled up to the granted window: %f s", (trip) => {
  const granted = Math.min(125e6, WINDOW / trip);
  expect(over(trip, 125e6, 6)[0].rate(4, 6)).toBeGreaterThan(0.95 * granted);
});

// --- paths that change

test("a rise of the rate is followed", () => {
  const line = { trip: () => 0.04, rate: (t: number) => (t < 3 ? 5e6 : ORDINARY) };
  expect(journey(new Pace(), line, 6).rate(4, 6)).toBeGreaterThan(0.95 * ORDINARY);
});

test("a fall of the rate is followed", () => {
  // In full once the shortest round trip is measured again, every ten seconds.
  const line = { trip: () => 0.04, rate: (t: number) => (t < 3 ? ORDINARY : 2.5e6) };
  const travelled = journey(new Pace(), line, 18);
  expect(travelled.rate(4, 9)).toBeGreaterThan(0.85 * 2.5e6);
  expect(travelled.rate(14, 18)).toBeGreaterThan(0.95 * 2.5e6);
  expect(travelled.queue(6, 18) / 2.5e6).toBeLessThan(0.15);
});

test.each([0.01, 0.12])("another round trip is noticed: %f s", (after) => {
  // A longer one only when the shortest is measured again, every ten seconds.
  const line = { trip: (t: number) => (t < 3 ? 0.04 : after), rate: () => ORDINARY };
  const travelled = journey(new Pace(), line, 20);
  expect(travelled.rate(16, 20)).toBeGreaterThan(0.95 * ORDINARY);
  expect(travelled.queue(16, 20)).toBeLessThan(0.4 * ORDINARY * Math.max(after, 0.075));
});

test("measuring the round trip anew costs next to nothing", () => {
  const travelled = journey(new Pace(), steady(0.04, ORDINARY), 40);
  expect(travelled.range(1)[0]).toBeLessThan(0.04 * ORDINARY);
  expect(travelled.rate(1, 40)).toBeGreaterThan(0.98 * ORDINARY);
});

// --- slow disks, and pauses of the sender

test("a slow disk is not flooded, and its stall has no lasting effect", () => {
  const write = (t: number) => (3 < t && t < 3.013 ? 2 : MAX_FRAME / 5e6);
  const travelled = journey(new Pace(), { ...steady(0.04, ORDINARY), write }, 9);
  expect(travelled.range(1)[1]).toBeLessThan(600_000);
  expect(travelled.rate(1, 2.9)).toBeGreaterThan(0.95 * 5e6);
  expect(travelled.rate(5.5, 9)).toBeGreaterThan(0.95 * 5e6);
});

test("a disk that syncs for 0.1 s of every second slows nothing but itself", () => {
  const write = (t: number) => (t % 1 < 0.002 ? 0.1 : 0.0005);
  const travelled = journey(new Pace(), { ...steady(0.001, 30e6), write }, 6);
  expect(travelled.rate(1, 6)).toBeGreaterThan(0.88 * 30e6);
});

test("pauses do not lower it", () => {
  const wanted = (t: number) => t < 1 || t % 1 < 0.02;
  const travelled = journey(new Pace(), { ...steady(0.04, ORDINARY), wanted }, 8);
  expect(travelled.size(8)).toBeGreaterThanOrEqual(0.9 * travelled.size(0.99));
});

test("late frames of a sender with little to send do not lower it", () => {
  const pace = new Pace();
  const { steps } = journey(pace, steady(0.04, ORDINARY), 1);
  let sent = steps.filter(({ kind }) => kind === "send").length * MAX_FRAME;
  const full = pace.size;
  pace.acknowledge(sent, 1.1);
  for (let number = 0; number < 100; number += 1) {
    pace.send(MAX_FRAME, 2 + number / 10);
    sent += MAX_FRAME;
    pace.acknowledge(sent, 2.09 + number / 10);
  }
  expect(full).toBeGreaterThan(500_000);
  expect(pace.size).toBe(full);
});

test("short frames before long ones do not mislead", () => {
  // A frame of 100 bytes has a shorter round trip than one of 65 KB; the difference is no queue.
  const pace = new Pace();
  for (let number = 0; number < 20; number += 1) {
    pace.send(100, number / 10 - 2);
    pace.acknowledge(100 * (number + 1), number / 10 - 2 + 0.0401);
  }
  const travelled = journey(pace, steady(0.04, 2.5e6), 5, 2000);
  expect(travelled.rate(1, 5)).toBeGreaterThan(0.95 * 2.5e6);
});

// --- any input

test("the size stays in bounds and a frame may always go when nothing is in flight", () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let run = 0; run < 100; run += 1) {
    const most = 1 + random(2 ** (1 + random(30)));
    const pace = new Pace(most);
    const totals = [0];
    let [now, acknowledged] = [0, 0];
    for (let step = 0; step < 150; step += 1) {
      now += random(2) * (random(20_000) / 1000);
      const cost = 1 + random(2 * MAX_FRAME);
      if (pace.allows(cost) || random(2) === 0) {
        pace.send(cost, now);
        totals.push((totals.at(-1) ?? 0) + cost);
      }
      acknowledged = Math.min(totals.length - 1, acknowledged + random(41));
      pace.acknowledge(totals[acknowledged] ?? 0, now);
      expect(pace.size).toBeGreaterThanOrEqual(Math.min(FLOOR, most));
      expect(pace.size).toBeLessThanOrEqual(most);
    }
    pace.acknowledge(totals.at(-1) ?? 0, now);
    expect(pace.allows(2 ** 31)).toBe(true);
  }
});

test("a frame longer than the window may go when nothing is in flight", () => {
  const pace = new Pace(1000);
  expect([pace.size, pace.allows(MAX_FRAME)]).toEqual([1000, true]);
  pace.send(MAX_FRAME, 0);
  expect(pace.allows(1)).toBe(false);
  pace.acknowledge(MAX_FRAME, 0.05);
  expect(pace.allows(MAX_FRAME)).toBe(true);
});

test("a clock that runs backwards does no harm", () => {
  const pace = new Pace();
  pace.send(MAX_FRAME, 5);
  pace.acknowledge(MAX_FRAME, 4);
  expect(pace.size).toBeGreaterThanOrEqual(FLOOR);
});
