/** Validation of names: the vectors `names.txt`, and the rules of a browser. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MAX_COMPONENT, numbered, safePath, savedName, UnsafeName } from "../src/files/names.ts";

/** The names of the vectors that have this verdict; a browser creates no links. */
function cases(wanted: string): string[][] {
  return readFileSync(new URL("../../tests/vectors/names.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.startsWith(`${wanted} `))
    .map((line) => JSON.parse(line.slice(wanted.length)));
}

const OK = cases("ok");
const WINDOWS = cases("windows");
const UNSAFE = cases("unsafe");

test("vectors of names are there", () => {
  expect(OK.length).toBeGreaterThan(20);
  expect(WINDOWS.length).toBeGreaterThan(20);
  expect(UNSAFE.length).toBeGreaterThan(30);
});

test.each([...OK, ...WINDOWS])("path of the vectors is accepted unchanged: %j", (path = "") => {
  expect(safePath(path)).toEqual(path.split("/"));
});

test.each(OK)("name that every system can store is saved unchanged: %j", (path = "") => {
  for (const name of path.split("/")) expect(savedName(name)).toBe(name);
});

test.each(WINDOWS)("what Windows can't store is changed: %j", (path = "", saved) => {
  expect(savedName(path.split("/").at(-1) ?? "")).toBe(saved);
});

test.each([...UNSAFE, ["film.crswap"]])("unsafe path is refused: %j", (path = "") => {
  expect(() => safePath(path)).toThrow(UnsafeName);
});

test.each([
  ["film.mkv", "film (1).mkv"],
  [".bashrc", ".bashrc (1)"],
  ["..a", "..a (1)"],
  ["plain", "plain (1)"],
  ["a.tar.gz", "a.tar (1).gz"],
])("number comes before the extension: %j", (name, expected) => {
  expect(numbered(name, 1)).toBe(expected);
});

test("numbered name keeps its extension and fits", () => {
  const name = numbered(`${"é".repeat(125)}.jpg`, 12);
  expect(name.endsWith(" (12).jpg")).toBe(true);
  expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(MAX_COMPONENT);
});
