import { afterEach, expect, test, vi } from "vitest";
import { agent, deviceName, Sleep, WakeLock } from "../src/device.ts";
import { favicon } from "../src/favicon.ts";

const CLAIMS = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36";

test.each([
  [CLAIMS, "Windows; Chrome", "Chrome on Windows"],
  [`${CLAIMS} Edg/140.0`, "Windows; Edge", "Edge on Windows"],
  [
    "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Firefox/140.0",
    "Android; Firefox",
    "Firefox on Android",
  ],
  [
    "Mozilla/5.0 (iPhone; like Mac OS X) Version/18 Safari/604.1",
    "iPhone; Safari",
    "Safari on iPhone",
  ],
  ["", "unknown; browser", "a browser"],
])("%s is %s", (userAgent, facts, name) => {
  expect(agent("1.0", userAgent)).toBe(`dcsend/1.0 (${facts})`);
  expect(deviceName(userAgent)).toBe(name);
});

afterEach(() => vi.unstubAllGlobals());

test("the screen may switch off again, whatever the number of requests", async () => {
  const held = new Set<object>();
  const request = async () => {
    const lock = { released: false, release: async () => void held.delete(lock) };
    held.add(lock);
    return lock;
  };
  vi.stubGlobal("navigator", { wakeLock: { request } });
  const wakeLock = new WakeLock();
  await Promise.all([wakeLock.renew(true), wakeLock.renew(true)]);
  expect(held.size).toBe(1);
  wakeLock.release();
  expect(held.size).toBe(0);
});

/** A clock, and a `Sleep` with ticks of one second. */
function watched() {
  let now = 1000;
  const sleep = new Sleep(() => now);
  const pass = (seconds: number) => {
    now += seconds;
  };
  const run = (seconds: number) => {
    for (let passed = 0; passed < seconds; passed++) {
      pass(1);
      sleep.tick();
    }
  };
  return { sleep, pass, run };
}

test("a page whose timers come is awake", () => {
  const { sleep, run } = watched();
  run(100);
  expect(sleep.slept()).toBe(false);
});

test("a page whose timers stop is asleep, even before the next one comes", () => {
  const { sleep, pass } = watched();
  pass(60);
  expect(sleep.slept()).toBe(true);
});

test("sleep is remembered for a minute", () => {
  const { sleep, pass, run } = watched();
  pass(60);
  run(30);
  expect(sleep.slept()).toBe(true);
  run(60);
  expect(sleep.slept()).toBe(false);
});

test("the ring is drawn as far as it is done", () => {
  expect(decodeURIComponent(favicon("busy", 0.42))).toContain('stroke-dasharray="42 100"');
  expect(favicon("done")).toMatch(/^data:image\/svg\+xml,[^"<>#]*$/);
});
