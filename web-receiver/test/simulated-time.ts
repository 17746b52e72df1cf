/** A page and its peer in simulated time. */
import { afterEach, beforeEach, expect, vi } from "vitest";
import { SendingPeer, startPage } from "./parties.ts";

/** Simulate the time in all tests of the file that calls this. */
export function simulateTime(): void {
  beforeEach(() => {
    const timers = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] as const;
    vi.useFakeTimers({ toFake: [...timers] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
}

export const now = () => Date.now() / 1000;
export const never = () => new Promise<null>(() => undefined);
export const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

/** A connected page whose person has not answered yet, and a peer that sends nothing by itself. */
export async function connected(options: Parameters<typeof startPage>[0] = {}) {
  const page = startPage({ now, wallClock: now, questions: { decide: never }, ...options });
  const peer = new SendingPeer(page.peer, [], []);
  await pass(0);
  expect(page.of("manifest")).toHaveLength(1);
  return { page, peer };
}

/** Advance the time; the peer sends a message every five seconds. */
export async function converse(page: ReturnType<typeof startPage>, seconds: number) {
  for (let second = 0; second < seconds; second += 5) {
    if (page.of("done").length > 0) return;
    try {
      page.peer.channels.text.send("abcdefghijklmno");
    } catch {} // the page has closed the connection
    await pass(5);
  }
}
