/** Ranges of a part that are asked for again: src/protocol/again.ts. */
import { expect, test } from "vitest";
import { Ranges } from "../src/protocol/again.ts";
import { MAX_AGAIN } from "../src/protocol/limits.ts";

test("a file is asked for at most 64 ranges, also if all of them are answered", () => {
  const ranges = new Ranges(new Map([[3, 1000]]), () => false);
  for (let start = 0; start < MAX_AGAIN; start += 1) {
    expect(ranges.ask(3, start, start + 1)).toBe("");
    ranges.pass(1);
    expect(ranges.isEmpty).toBe(true);
  }
  expect(ranges.ask(3, 500, 501)).toContain("which it can't");
});

test("at most 64 ranges of all files are not answered at one time", () => {
  const ranges = new Ranges(
    new Map(Array.from({ length: 100 }, (_, file) => [file, 10])),
    () => false,
  );
  for (let file = 0; file < MAX_AGAIN; file += 1) expect(ranges.ask(file, 0, 10)).toBe("");
  expect(ranges.ask(MAX_AGAIN, 0, 10)).toContain("which it can't");
  ranges.pass(10);
  expect(ranges.ask(MAX_AGAIN, 0, 10)).toBe("");
});
