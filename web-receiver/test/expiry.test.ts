import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Expiry } from "../src/expiry.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("expiry is reported once its time is reached", () => {
  let now = 1000;
  const reached = vi.fn();
  const expiry = new Expiry(() => now, reached);
  expiry.set(1005);
  expect(expiry.isPast).toBe(false);
  now = 1005.001;
  vi.advanceTimersByTime(5001);
  expect(reached).toHaveBeenCalledTimes(1);
  expect(expiry.isPast).toBe(true);
});

test("timer that fires before the clock has reached the time is set again", () => {
  let now = 1000;
  const reached = vi.fn();
  const expiry = new Expiry(() => now, reached);
  expiry.set(1005);
  now = 1003;
  vi.advanceTimersByTime(5001);
  expect(reached).not.toHaveBeenCalled();
  now = 1005;
  vi.advanceTimersByTime(2001);
  expect(reached).toHaveBeenCalledTimes(1);
});

test("time of an earlier code is not reported", () => {
  let now = 1000;
  const reached = vi.fn();
  const expiry = new Expiry(() => now, reached);
  expiry.set(1005);
  expiry.set(Number.POSITIVE_INFINITY);
  now = 2000;
  vi.advanceTimersByTime(1_000_000);
  expect(reached).not.toHaveBeenCalled();
});

test("time that no timer can wait for is not reported", () => {
  const reached = vi.fn();
  new Expiry(() => 0, reached).set(2 ** 31 / 1000 + 1);
  vi.advanceTimersByTime(10);
  expect(reached).not.toHaveBeenCalled();
});
