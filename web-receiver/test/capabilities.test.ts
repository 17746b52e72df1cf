/** The destinations that are offered, for each kind of files and each browser. */
import { afterEach, expect, test, vi } from "vitest";
import { copyHelps, destinations, probe, type World } from "../src/files/capabilities.ts";
import { pack } from "../src/files/packing.ts";
import type { FoundPart } from "../src/files/parts.ts";
import { directory, file, text } from "./entries.ts";

const CHROMIUM: World = {
  origin: "https",
  copyHelps: true,
  savePicker: true,
  folderPicker: true,
  private: true,
  room: 10e9,
  stream: true,
};
const HTTP: World = {
  origin: "http",
  copyHelps: false,
  savePicker: false,
  folderPicker: false,
  private: false,
  room: null,
  stream: false,
};

const ONE = pack([file("a", 1)], new Set([0]));
const LOOSE = pack([file("a", 1), file("b", 2), text("t", 3)], new Set([0, 1, 2]));
const TREE = pack([directory("d"), file("d/a", 1), file("d/b", 2)], new Set([0, 1, 2]));

afterEach(() => vi.unstubAllGlobals());

function types(world: World, offered = ONE): string[] {
  return destinations(world, offered).map(({ type }) => type);
}

test("one file goes to the save picker first", () => {
  expect(types(CHROMIUM)).toEqual(["picker", "private", "stream", "memory"]);
});

test("with a part of an earlier transfer, the private file system is first", () => {
  const large = file("film.mkv", 3e9);
  const points = [{ offset: 2e9, start: 0, sha256: "", end: 1 }];
  const part: FoundPart = { id: "x", file: large, points, time: 0, busy: false };
  const offered = pack([large], new Set([0]));
  const found = (world: World, ...parts: FoundPart[]) =>
    destinations(world, offered, parts).map((way) => [
      way.type,
      way.interrupted,
      way.kept,
      way.busy,
    ]);
  expect(found(CHROMIUM)).toEqual([
    ["picker", "begins", 0, false],
    ["private", "continues", 0, false],
    ["stream", "begins", 0, false],
    ["memory", "begins", 0, false],
  ]);
  expect(found(CHROMIUM, part)[0]).toEqual(["private", "continues", 2e9, false]);
  expect(found(CHROMIUM, { ...part, busy: true })[0]).toEqual(["private", "continues", 0, true]);
  // There must be room for the rest.
  expect(found({ ...CHROMIUM, room: 1e9 }, part)[0]?.[0]).toBe("private");
  expect(found({ ...CHROMIUM, room: 1e9 })[0]?.[0]).toBe("picker");
  expect(destinations(CHROMIUM, ONE).map(({ interrupted }) => interrupted)).toContain("");
});

test("several files go to the folder picker first, and else into a zip", () => {
  const choices = destinations(CHROMIUM, TREE);
  expect(choices.map(({ type }) => type)).toEqual(["folder", "private", "stream", "memory"]);
  expect(choices.map(({ zipped }) => zipped)).toEqual([false, true, true, true]);
  expect(choices.map(({ asks }) => asks)).toEqual([true, false, false, false]);
  expect(choices.map(({ folders }) => folders)).toEqual([true, true, true, true]);
});

test("loose files are saved one by one, or as a zip; where a folder can be chosen, that comes first", () => {
  const found = (world: World) =>
    destinations(world, LOOSE).map(({ type, each, zipped }) => [type, each, zipped]);
  expect(found(HTTP)).toEqual([
    ["memory", true, false],
    ["memory", false, true],
  ]);
  expect(found(CHROMIUM)).toEqual([
    ["folder", false, false],
    ["private", true, false],
    ["private", false, true],
    ["stream", false, true],
    ["memory", true, false],
    ["memory", false, true],
  ]);
});

test.each([
  ["a folder with two files", [directory("d"), file("d/a", 1), file("d/b", 1)]],
  ["a loose file and a folder", [file("a", 1), file("d/b", 1)]],
  ["more files than have a button", Array.from({ length: 201 }, (_, n) => file(`${n}`, 1))],
])("%s can only be one zip", (_what, entries) => {
  const choices = destinations(HTTP, pack(entries, new Set(entries.keys())));
  expect(choices.map(({ each, zipped }) => [each, zipped])).toEqual([[false, true]]);
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
  expect((choice?.advice.length ?? 0) > 0).toBe(risky);
});

const GB = 1_000_000_000;

test.each<[string, World, (number | null)[], string[]]>([
  ["one file over http on a phone", HTTP, [1.6 * GB], ["https", "computer"]],
  ["one file over http elsewhere", { ...HTTP, copyHelps: true }, [1.6 * GB], ["copy", "computer"]],
  ["small ones over http", HTTP, [0.4 * GB, 0.4 * GB], ["https", "fewer", "computer"]],
  ["two of which one is large", HTTP, [0.4 * GB, 0.6 * GB], ["https", "computer"]],
  ["a stream over http", HTTP, [null], ["https", "computer"]],
  ["a page that can write to disk", CHROMIUM, [1.6 * GB], ["another", "computer"]],
  [
    "a disk that is full",
    { ...HTTP, origin: "https", private: true, room: GB },
    [1.6 * GB],
    ["room", "computer"],
  ],
  ["a private window", { ...HTTP, origin: "https" }, [1.6 * GB], ["window", "computer"]],
  ["a file page that can't", { ...HTTP, origin: "file" }, [1.6 * GB], ["https", "computer"]],
])("what helps against too much in memory: %s", (_what, world, sizes, advice) => {
  const entries = sizes.map((size, number) => file(`${number}`, size));
  const choices = destinations(world, pack(entries, new Set(entries.keys())));
  for (const choice of choices) {
    expect(choice.advice).toEqual(choice.type === "memory" ? advice : []);
  }
});

test.each([
  [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
    true,
  ],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0", true],
  [
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36",
    false,
  ],
  [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
    false,
  ],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Mobile/15E148 Safari/604.1",
    false,
  ],
])("a copy of the page on disk helps in %s: %j", (userAgent, helps) => {
  expect(copyHelps(userAgent)).toBe(helps);
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
  expect(await probe(false)).toEqual({ ...HTTP, origin: "https", savePicker: true });
});

test("room is what the quota leaves", async () => {
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("Worker", class {});
  const storage = {
    getDirectory: async () => ({}),
    estimate: async () => ({ quota: 5, usage: 1 }),
  };
  vi.stubGlobal("navigator", { storage });
  expect(await probe(false)).toEqual({ ...HTTP, origin: "https", private: true, room: 4 });
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

test.each([
  [200, true],
  [201, false],
])("%i files can be saved one by one: %s", (count, loose) => {
  const entries = Array.from({ length: count }, (_, number) => file(`f${number}`, 1));
  expect(pack(entries, new Set(entries.keys()))).toMatchObject({ form: "zip", loose });
});
