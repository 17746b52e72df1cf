/** Which destinations are offered for which files in which browser. */
import { afterEach, expect, test, vi } from "vitest";
import { destinations, probe, type World } from "../src/files/capabilities.ts";
import { pack } from "../src/files/packing.ts";
import { directory, file, text } from "./entries.ts";

const CHROMIUM: World = {
  savePicker: true,
  folderPicker: true,
  private: true,
  room: 10e9,
  stream: true,
};
const HTTP: World = {
  savePicker: false,
  folderPicker: false,
  private: false,
  room: null,
  stream: false,
};

const ONE = pack([file("a", 1)], new Set([0]));
const TREE = pack([directory("d"), file("d/a", 1), file("d/b", 2)], new Set([0, 1, 2]));

afterEach(() => vi.unstubAllGlobals());

function types(world: World, offered = ONE): string[] {
  return destinations(world, offered).map(({ type }) => type);
}

test("one file goes to the save picker first", () => {
  expect(types(CHROMIUM)).toEqual(["picker", "private", "stream", "memory"]);
});

test("several files go to the folder picker first, and else into a zip", () => {
  const choices = destinations(CHROMIUM, TREE);
  expect(choices.map(({ type }) => type)).toEqual(["folder", "private", "stream", "memory"]);
  expect(choices.map(({ zipped }) => zipped)).toEqual([false, true, true, true]);
  expect(choices.map(({ asks }) => asks)).toEqual([true, false, false, false]);
});

test("a browser without anything has memory", () => {
  expect(types(HTTP)).toEqual(["memory"]);
});

test("private is left out when there is no room for it", () => {
  expect(types({ ...HTTP, private: true, room: 10 }, pack([file("a", 11)], new Set([0])))).toEqual([
    "memory",
  ]);
  expect(types({ ...HTTP, private: true, room: 10 }, pack([file("a", 10)], new Set([0])))).toEqual([
    "private",
    "memory",
  ]);
});

test.each([
  [500_000_000, false],
  [500_000_001, true],
  [null, true],
])("memory for %j bytes is risky: %j", (size, risky) => {
  const [choice] = destinations(HTTP, pack([file("a", size)], new Set([0])));
  expect(choice?.risky).toBe(risky);
});

test("texts alone need no place", () => {
  expect(types(CHROMIUM, pack([text("t", 3)], new Set([0])))).toEqual(["memory"]);
});

test("a page from http finds only memory", async () => {
  vi.stubGlobal("isSecureContext", false);
  expect(await probe(true)).toEqual(HTTP);
});

test("a file page where the private file system throws does without it", async () => {
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("showSaveFilePicker", () => undefined);
  const storage = {
    getDirectory: () => Promise.reject(new DOMException("", "SecurityError")),
    estimate: async () => ({ quota: 5, usage: 1 }),
  };
  vi.stubGlobal("navigator", { storage });
  expect(await probe(false)).toEqual({ ...HTTP, savePicker: true });
});

test("room is what the quota leaves", async () => {
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("Worker", class {});
  const storage = {
    getDirectory: async () => ({}),
    estimate: async () => ({ quota: 5, usage: 1 }),
  };
  vi.stubGlobal("navigator", { storage });
  expect(await probe(false)).toEqual({ ...HTTP, private: true, room: 4 });
});

test.each([
  [[file("x/a.txt", 1)], "file", "a.txt"],
  [[directory("x"), file("x/a?", 1)], "file", "a_"],
  [[directory("x"), file("x/a", 1), file("x/b", 1)], "zip", "x.zip"],
  [[file("a", 1), file("b", 1)], "zip", "dcsend.zip"],
  [[directory("x")], "zip", "x.zip"],
  [[text("t", 1)], "nothing", ""],
  [[file("../a", 1)], "file", "dcsend"],
])("what is saved at once: %#", (entries, form, name) => {
  const packing = pack(entries, new Set(entries.keys()));
  expect(packing).toMatchObject({ form, name });
});

test("entries that aren't wanted don't count", () => {
  expect(pack([file("a", 5), file("b", 7)], new Set([1]))).toMatchObject({
    form: "file",
    name: "b",
    bytes: 7,
  });
});
