/** The three timers of the text channel, and the detection of sleep; time is passed in. */
import { expect, test } from "vitest";
import { isLine, Liveness, randomLetters, Wakefulness } from "../src/session/liveness.ts";

test("nothing is due before the first keep-alive message", () => {
  expect(new Liveness(100).due(104.9)).toEqual([]);
});

test("a random message is due every five seconds", () => {
  const liveness = new Liveness(100);
  expect(liveness.due(105)).toEqual(["send"]);
  expect(liveness.due(109.9)).toEqual([]);
  expect(liveness.due(110)).toEqual(["send"]);
});

test("silence is reported once after twelve seconds", () => {
  const liveness = new Liveness(100);
  liveness.due(105);
  liveness.due(110);
  expect(liveness.due(112)).toEqual(["report"]);
  expect(liveness.due(113)).toEqual([]);
});

test("silence is reported again after a message", () => {
  const liveness = new Liveness(100);
  expect(liveness.due(112)).toContain("report");
  liveness.noteArrival(113);
  expect(liveness.due(124.9)).not.toContain("report");
  expect(liveness.due(125)).toContain("report");
});

test("thirty seconds of silence end it", () => {
  expect(new Liveness(100).due(130)).toEqual(["give-up"]);
});

test("after a suspended minute one message is due and not twelve", () => {
  const liveness = new Liveness(100);
  liveness.noteArrival(165);
  expect(liveness.due(165)).toEqual(["send"]);
  expect(liveness.due(165.1)).toEqual([]);
});

test.each([100, 105, 112, 129])("next due is never in the past once due was asked at %i", (now) => {
  const liveness = new Liveness(100);
  liveness.due(now);
  expect(liveness.nextDue()).toBeGreaterThan(now);
});

test("a keep-alive message is fifteen letters, different each time", () => {
  const made = new Set(Array.from({ length: 50 }, randomLetters));
  expect(made.size).toBe(50);
  for (const letters of made) expect(letters).toMatch(/^[A-Za-z]{15}$/);
});

test("a typed word of fifteen letters is no keep-alive message", () => {
  expect(isLine("congratulations\n")).toBe(true);
  expect(isLine(randomLetters())).toBe(false);
});

test.each([
  ["in time", 105, 1005, false],
  ["on a busy device", 115, 1015, false],
  ["late by the monotonic clock", 115.1, 1005, true],
  ["late by the wall clock", 105, 1015.1, true],
])("a timer that comes %s", (_, now, wall, asleep) => {
  const wakefulness = new Wakefulness();
  wakefulness.expect(100, 1000, 5);
  expect(wakefulness.tick(now, wall)).toBe(asleep);
});

test("a sleep is remembered for a minute", () => {
  const wakefulness = new Wakefulness();
  wakefulness.expect(100, 1000, 5);
  wakefulness.tick(200, 1100);
  wakefulness.expect(200, 1100, 100);
  expect(wakefulness.slept(259, 1159)).toBe(true);
  expect(wakefulness.slept(260, 1160)).toBe(false);
});

test("no sleep is detected before a timer was set", () => {
  expect(new Wakefulness().slept(1e9, 1e9)).toBe(false);
});
