/** The pace: the vectors of tests/test_pace.py, where simulated paths are, too. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CAUTIOUS, FLOOR, Pace } from "../src/protocol/pace.ts";

const VECTORS = new URL("../../tests/vectors/", import.meta.url);
const PYTHON = readFileSync(new URL("../../dcsend/protocol/pace.py", import.meta.url), "utf-8");
const NAMES = readdirSync(VECTORS).filter((name) => name.startsWith("pace-"));

test("there are vectors", () => {
  expect(NAMES.length).toBeGreaterThan(5);
});

test.each(NAMES)("sizes are those of %s", (name) => {
  const [head = "", events = ""] = readFileSync(new URL(name, VECTORS), "utf-8").split("\n\n");
  const headers = new Map(head.split("\n").map((line) => line.split(": ") as [string, string]));
  const [first = 0, delay = 0, share = 0] = headers.get("manner")?.split(" ").map(Number) ?? [];
  const pace = new Pace({ first, delay, share }, Number(headers.get("most")));
  for (const line of events.trimEnd().split("\n")) {
    const [kind, time, count, size] = line.split(" ");
    if (kind === "send") pace.send(Number(count), Number(time));
    else pace.acknowledge(Number(count), Number(time));
    expect(pace.size, line).toBe(Number(size));
  }
});

test("the browser's manner and the floor are those of pace.py", () => {
  expect(PYTHON).toContain(`Manner(first=FLOOR, delay=${CAUTIOUS.delay}, share=${CAUTIOUS.share})`);
  expect(PYTHON).toContain("FLOOR: Final = 128 * 1024\n");
  expect([CAUTIOUS.first, FLOOR]).toEqual([131072, 131072]);
});

test("a frame may always go when nothing is in flight", () => {
  const pace = new Pace(CAUTIOUS, 1000);
  expect([pace.size, pace.allows(64960)]).toEqual([1000, true]);
  pace.send(64960, 0);
  expect(pace.allows(1)).toBe(false);
  pace.acknowledge(64960, 0.05);
  expect(pace.allows(64960)).toBe(true);
});
