/** The manifest of picked, dropped and pasted things. */
import { expect, test } from "vitest";
import { type Choice, fromFiles, fromItems, joinedChoices } from "../src/files/choosing.ts";

const TIME = 1_700_000_000_123;

function picked(name: string, path = ""): File {
  const file = new File(["abc"], name, { lastModified: TIME });
  return Object.assign(file, { webkitRelativePath: path });
}

function paths({ chosen }: Choice): string[] {
  return chosen.map(({ entry }) => (entry.kind === "directory" ? `${entry.path}/` : entry.path));
}

/** A dropped tree: an object is a folder, a text the content of a file. */
interface Tree {
  readonly [name: string]: Tree | string;
}

function entry(name: string, node: Tree | string, parent = ""): object {
  const fullPath = `${parent}/${name}`;
  if (typeof node === "string") {
    const file = (resolve: (file: File) => void, reject: (error: Error) => void) => {
      if (node === "unreadable") reject(new DOMException("", "NotFoundError"));
      else resolve(picked(name));
    };
    return { isDirectory: false, isFile: true, name, fullPath, file };
  }
  const inside = Object.entries(node).map(([inner, below]) => entry(inner, below, fullPath));
  const createReader = () => {
    const left = [...inside];
    // As Chromium: at most 100 at a time.
    return { readEntries: (resolve: (batch: object[]) => void) => resolve(left.splice(0, 100)) };
  };
  return { isDirectory: true, isFile: false, name, fullPath, createReader };
}

function item(name: string, node: Tree | string) {
  return {
    kind: "file",
    getAsFile: () => (typeof node === "string" ? picked(name) : null),
    webkitGetAsEntry: () => entry(name, node) as FileSystemEntry,
  };
}

test("picked files keep their order, size and time in microseconds", () => {
  const choice = fromFiles([picked("b"), picked("a")]);
  expect(paths(choice)).toEqual(["b", "a"]);
  expect(choice.chosen[0]?.entry).toEqual({
    path: "b",
    kind: "file",
    size: 3,
    mode: 0o644,
    mtime: TIME * 1000,
    target: "",
    stored: null,
  });
});

test("two picked files of one name get different names", () => {
  expect(paths(fromFiles([picked("a.txt"), picked("a.txt"), picked("a.txt")]))).toEqual([
    "a.txt",
    "a (1).txt",
    "a (2).txt",
  ]);
});

test("a picked folder is listed sorted, each folder before what is in it", () => {
  const choice = fromFiles([
    picked("z", "top/z"),
    picked("x", "top/a b/x"),
    picked("y", "top/a/y"),
    picked("x", "top/a/b/x"),
  ]);
  expect(paths(choice)).toEqual([
    "top/",
    "top/a/",
    "top/a/b/",
    "top/a/b/x",
    "top/a/y",
    "top/a b/",
    "top/a b/x",
    "top/z",
  ]);
  expect(choice.chosen[0]?.entry).toMatchObject({ mode: 0o755, mtime: null, size: 0 });
});

test("names that no peer would take are reported, the rest goes on", () => {
  const choice = fromFiles([picked("a\\b"), picked("con.txt"), picked("good")]);
  expect(paths(choice)).toEqual(["con.txt", "good"]);
  expect(choice.problems).toEqual([{ path: "a\\b", reason: "the name holds a backslash" }]);
});

test("a dropped tree arrives with its empty folders", async () => {
  const choice = await fromItems([item("top", { empty: {}, deep: { er: { f: "x" } } })]);
  expect(paths(choice)).toEqual([
    "top/",
    "top/deep/",
    "top/deep/er/",
    "top/deep/er/f",
    "top/empty/",
  ]);
});

test("a dropped folder of more than one batch arrives whole", async () => {
  const many = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`f${index}`, "x"]));
  expect((await fromItems([item("top", many)])).chosen.length).toBe(251);
});

test("a folder that is listed in one go may be as large as it likes", async () => {
  // As Firefox. Always the same file, since creating two hundred thousand takes long.
  const shared = picked("f");
  const file = (resolve: (file: File) => void) => resolve(shared);
  const inner = { isDirectory: false, name: "f", fullPath: "/top/f", file };
  const batches = [Array.from({ length: 200_000 }, () => inner), []];
  const createReader = () => ({
    readEntries: (resolve: (batch: object[]) => void) => resolve(batches.shift() ?? []),
  });
  const top = { isDirectory: true, isFile: false, name: "top", fullPath: "/top", createReader };
  const dropped = { ...item("top", {}), webkitGetAsEntry: () => top as unknown as FileSystemEntry };
  expect(await fromItems([dropped])).toMatchObject({ problems: [] });
});

test("items are taken in the event itself", async () => {
  const gone = item("a", "x");
  const choice = fromItems([gone]);
  gone.getAsFile = () => null;
  expect(paths(await choice)).toEqual(["a"]);
});

test("a dropped file that can't be read is reported", async () => {
  const choice = await fromItems([item("top", { bad: "unreadable", good: "x" })]);
  expect(paths(choice)).toEqual(["top/", "top/good"]);
  expect(choice.problems).toEqual([{ path: "top/bad", reason: "can't be read" }]);
});

test("dropped things of one name get different names, with their content", async () => {
  const choice = await fromItems([item("a", "x"), item("a", { f: "x" }), item("a", { f: "x" })]);
  expect(paths(choice)).toEqual(["a", "a (1)/", "a (1)/f", "a (2)/", "a (2)/f"]);
});

test("strings among the items are no files", async () => {
  const string = { ...item("a", "x"), kind: "string" };
  expect(paths(await fromItems([string]))).toEqual([]);
});

test("a pasted picture is named by the time", async () => {
  const at = new Date(2026, 7, 7, 9, 5, 3);
  expect(paths(await fromItems([item("image.png", "x")], at))).toEqual([
    "pasted 2026-08-07 09.05.03.png",
  ]);
  expect(paths(await fromItems([item("photo.png", "x")], at))).toEqual(["photo.png"]);
});

test("a later choice of the same name gets a number", () => {
  const first = fromFiles([picked("a"), picked("f", "top/f")]);
  const second = fromFiles([picked("f", "top/f"), picked("a")]);
  expect(paths(joinedChoices(first, second))).toEqual([
    "a",
    "top/",
    "top/f",
    "top (1)/",
    "top (1)/f",
    "a (1)",
  ]);
});
