/** Two pages with each other, of which the one that has shown the code has a role. */
import { expect, test, vi } from "vitest";
import { HELLO_SECONDS } from "../src/session/liveness.ts";
import { memoryPair } from "./memory-peers.ts";
import { blocksOf, chosen, content, has, startPage } from "./parties.ts";

const FILM = content(300_000);

/** What a page needs to send a film. */
const sending = () => ({
  blocks: blocksOf([FILM]),
  questions: { choose: async () => chosen({ "film.bin": FILM }) },
});

test.each(["sender", "receiver"] as const)("the page with a role is the %s", async (role) => {
  const [left, right] = memoryPair();
  const isSender = role === "sender";
  const shows = startPage({ role, pair: [left, right], ...(isSender ? sending() : {}) });
  const joins = startPage({ pair: [right, left], ...(isSender ? {} : sending()) });
  const [sender, receiver] = isSender ? [shows, joins] : [joins, shows];
  expect(await receiver.run.finished).toMatchObject({ ok: true, bytes: FILM.length });
  expect(await sender.run.finished).toMatchObject({ ok: true });
  expect(has(receiver.sinks[0]?.files.get(0), FILM)).toBe(true);
  expect(shows.of("connected")).toMatchObject([{ role }]);
  expect(joins.of("connected")[0]?.role).not.toBe(role);
});

test("two pages with the same role end with the reason", async () => {
  const [left, right] = memoryPair();
  const one = startPage({ role: "sender", pair: [left, right] });
  const other = startPage({ role: "sender", pair: [right, left] });
  await Promise.all([one.run.finished, other.run.finished]);
  expect(one.of("failed")[0]?.error.kind).toBe("usage");
});

test("a page with a role does not wait for a silent peer for long", async () => {
  vi.useFakeTimers();
  try {
    const page = startPage({ role: "receiver" });
    await vi.advanceTimersByTimeAsync((HELLO_SECONDS + 10) * 1000);
    await page.run.finished;
    expect(page.of("failed")[0]?.error.message).toContain("did not introduce itself");
  } finally {
    vi.useRealTimers();
  }
});
