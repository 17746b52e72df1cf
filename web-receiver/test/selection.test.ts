import { expect, test } from "vitest";
import type { Entry, Kind } from "../src/entry.ts";
import { byTop, Selection } from "../src/selection.ts";

function entry(path: string, kind: Kind = "file"): Entry {
  return { path, kind, size: 1, mode: 0o644, mtime: null, target: "", stored: null };
}

const TREE = [
  entry("d", "directory"),
  entry("d/empty", "directory"),
  entry("d/in", "directory"),
  entry("d/in/a"),
  entry("d/in/b"),
  entry("e", "directory"),
  entry("e/c"),
];

test("everything is wanted at first", () => {
  const selection = new Selection(TREE);
  expect([...selection.skip()]).toEqual([]);
  expect(selection.wanted().size).toBe(TREE.length);
});

test("a person picks from files, and from folders only if there are no files", () => {
  expect(new Selection(TREE).listed).toEqual([3, 4, 6]);
  expect(new Selection([entry("d", "directory")]).listed).toEqual([0]);
});

test("a folder stays while something in it is wanted", () => {
  const selection = new Selection(TREE);
  selection.set([3], false);
  expect([...selection.skip()]).toEqual([[3, "declined"]]);
});

test("a folder goes with the last file in it, however deep", () => {
  const selection = new Selection(TREE);
  selection.set([3, 4], false);
  expect([...selection.skip().keys()]).toEqual([2, 3, 4]);
});

test("an empty folder keeps those above it", () => {
  const selection = new Selection(TREE);
  selection.set([3, 4], false);
  expect(selection.wanted()).toContain(0);
  expect(selection.wanted()).toContain(1);
});

test("what is wanted again is not skipped", () => {
  const selection = new Selection(TREE);
  selection.set([3, 4, 6], false);
  selection.set([3, 4, 6], true);
  expect(selection.skip().size).toBe(0);
});

test("nothing is wanted when no file is", () => {
  const selection = new Selection(TREE);
  selection.set(selection.listed, false);
  expect(selection.wanted().size).toBe(0);
});

test("of folders alone, each is wanted by itself", () => {
  const selection = new Selection([entry("d", "directory"), entry("e", "directory")]);
  selection.set([0], false);
  expect([...selection.wanted()]).toEqual([1]);
});

test("a folder is one thing to a person", () => {
  const chosen = TREE.map((one) => ({ entry: one, file: null }));
  const tops = [...byTop(chosen)].map(([top, group]) => [top, group.length]);
  expect(tops).toEqual([
    ["d", 5],
    ["e", 2],
  ]);
});
