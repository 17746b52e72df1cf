/** The arithmetic of progress, and its events; time is passed in. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Event } from "../src/session/events.ts";
import { Meter } from "../src/session/meter.ts";
import { Progress, totalSize } from "../src/session/progress.ts";
import { entry } from "./parties.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

test("events are no closer than the interval", () => {
  const meter = new Meter(1000, 0, 0.25);
  expect(meter.due(0)).not.toBeNull();
  expect(meter.due(0.2)).toBeNull();
  expect(meter.due(0.25)).not.toBeNull();
});

test("rate and time left follow what was written", () => {
  const meter = new Meter(1000, 0, 0.25);
  meter.add(250);
  expect(meter.now(1)).toMatchObject({ bytes: 250, total: 1000, rate: 250, eta: 3 });
});

test("the rate forgets what is long ago", () => {
  const meter = new Meter(null, 0, 0.25);
  meter.add(1_000_000);
  for (let second = 1; second < 19; second++) meter.now(second);
  expect(meter.now(19).rate).toBe(0);
});

test("time left is unknown without a total, and without a rate", () => {
  const meter = new Meter(null, 0, 0.25);
  meter.add(10);
  expect(meter.now(1).eta).toBeNull();
  expect(new Meter(10, 0, 0.25).now(0).eta).toBeNull();
});

test("time left is never negative", () => {
  const meter = new Meter(10, 0, 0.25);
  meter.add(20);
  expect(meter.now(1).eta).toBe(0);
});

test("the bytes of the current file are counted apart", () => {
  const meter = new Meter(1000, 0, 0.25);
  meter.add(100, "a");
  meter.add(30, "b");
  meter.add(5);
  meter.add(2, "b");
  expect(meter.now(1)).toMatchObject({ path: "b", done: 37, bytes: 137 });
});

function progress() {
  const events: Event[] = [];
  const shown = new Progress(
    100,
    (event) => events.push(event),
    () => Date.now() / 1000,
  );
  return { events, shown };
}

test("what is shown too early is shown when the interval is over", () => {
  const { events, shown } = progress();
  shown.add(entry("a"), 1);
  shown.show();
  shown.add(entry("a"), 1);
  shown.show();
  shown.show();
  expect(events).toMatchObject([{ bytes: 1, path: "a" }]);
  vi.advanceTimersByTime(250);
  expect(events.slice(1)).toMatchObject([{ bytes: 2 }]);
});

test("the last event is never a stale one, and nothing follows it", () => {
  const { events, shown } = progress();
  shown.show();
  shown.add(entry("a"), 100);
  shown.show();
  shown.end();
  expect(events.at(-1)).toMatchObject({ bytes: 100 });
  shown.show();
  shown.end();
  vi.advanceTimersByTime(1000);
  expect(events).toHaveLength(2);
});

test("progress that stands still is emitted every second, until the end", () => {
  const { events, shown } = progress();
  shown.add(entry("a"), 40);
  shown.show();
  vi.advanceTimersByTime(12_000);
  expect(events).toHaveLength(13);
  expect(events[0]).toMatchObject({ bytes: 40, still: 0, waits: "peer" });
  expect(events.at(-1)).toMatchObject({ bytes: 40, still: 12, rate: 0, eta: null });
  shown.add(entry("a"), 1);
  shown.show();
  vi.advanceTimersByTime(250);
  expect(events.at(-1)).toMatchObject({ bytes: 41, still: 0 });
  shown.close();
  vi.advanceTimersByTime(12_000);
  expect(events).toHaveLength(14);
});

test("what is waited for is asked anew for each event", () => {
  const events: Event[] = [];
  let waits: "peer" | "disk" = "peer";
  const emit = (event: Event) => events.push(event);
  const shown = new Progress(
    1,
    emit,
    () => Date.now() / 1000,
    () => waits,
  );
  shown.show();
  waits = "disk";
  vi.advanceTimersByTime(1000);
  shown.close();
  expect(events).toMatchObject([{ waits: "peer" }, { waits: "disk" }]);
});

test("a total is known if every wanted size is", () => {
  const entries = [entry("a", 1), entry("b", 2), entry("c", null)];
  expect(totalSize(entries, () => true)).toBeNull();
  expect(totalSize(entries, (number) => number < 2)).toBe(3);
});
