/** Chosen folders, chosen files, and the private file system, on handles in memory. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Entry } from "../src/entry.ts";
import type { Existing } from "../src/files/contract.ts";
import { findExisting } from "../src/files/existing.ts";
import { inJavaScript } from "../src/files/hashing.ts";
import { cleanPrivate, lockName } from "../src/files/leftovers.ts";
import { FileSink } from "../src/files/sink.ts";
import { EachPlace } from "../src/files/sinks/each.ts";
import { FolderPlace } from "../src/files/sinks/folder.ts";
import { MemoryTarget } from "../src/files/sinks/memory.ts";
import type { Place } from "../src/files/sinks/output.ts";
import { openPicked } from "../src/files/sinks/picker.ts";
import { PrivateTarget } from "../src/files/sinks/private.ts";
import { SinglePlace } from "../src/files/sinks/single.ts";
import { bytes, directory, end, file, hole, text, whole, write } from "./entries.ts";
import { FakeFile, FakeFolder, FakeLocks } from "./handles.ts";

const WRONG = [write(0, 0, bytes("abc")), end(0, bytes("abd"))];

let root: FakeFolder;
let locks: FakeLocks;

beforeEach(() => {
  root = new FakeFolder("");
  locks = new FakeLocks();
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => root }, locks });
});

afterEach(() => vi.unstubAllGlobals());

function sinkInto(place: Place, ...entries: Entry[]): FileSink {
  return new FileSink(entries, new Set(entries.keys()), place, inJavaScript);
}

function folderSink(folder: FakeFolder, ...entries: Entry[]): FileSink {
  return sinkIntoFolder(folder, "rename", ...entries);
}

function sinkIntoFolder(folder: FakeFolder, existing: Existing, ...entries: Entry[]): FileSink {
  return sinkInto(
    new FolderPlace(folder as unknown as FileSystemDirectoryHandle, existing),
    ...entries,
  );
}

async function picked(handle: FakeFile, ...entries: Entry[]): Promise<FileSink> {
  const target = await openPicked(handle as unknown as FileSystemFileHandle);
  return sinkInto(new SinglePlace(target), ...entries);
}

test("files and empty folders arrive in a chosen folder", async () => {
  const folder = new FakeFolder("Downloads");
  const sink = folderSink(folder, directory("d"), file("d/e/a?", 3), directory("empty"));
  expect(await sink.apply(whole(1, bytes("abc")))).toMatchObject([
    { status: "ok", saved: "Downloads/d/e/a_" },
  ]);
  expect(await sink.finish()).toEqual({ outcomes: [], exports: [] });
  expect(folder.tree()).toEqual({ "d/": "", "d/e/": "", "d/e/a_": "abc", "empty/": "" });
});

test("a file that is there already is not touched", async () => {
  const folder = new FakeFolder("Downloads");
  const old = await folder.getFileHandle("a.txt", { create: true });
  old.content = bytes("old");
  await folder.getDirectoryHandle("a (1).txt", { create: true });
  const sink = folderSink(folder, file("a.txt", 3));
  expect(await sink.apply(whole(0, bytes("new")))).toMatchObject([
    { saved: "Downloads/a (2).txt" },
  ]);
  expect(folder.tree()).toEqual({ "a.txt": "old", "a (1).txt/": "", "a (2).txt": "new" });
});

test("a wrong digest leaves nothing in a chosen folder", async () => {
  const folder = new FakeFolder("Downloads");
  const sink = folderSink(folder, file("a", 3));
  expect(await sink.apply(WRONG)).toMatchObject([{ status: "mismatch" }]);
  expect(folder.tree()).toEqual({});
});

test("an unsafe name is refused by the place, too", async () => {
  const folder = new FakeFolder("Downloads");
  const sink = folderSink(folder, file("../a", 3));
  expect(await sink.apply(whole(0, bytes("abc")))).toMatchObject([
    { status: "failed", reason: "the path holds '..'" },
  ]);
  expect(folder.tree()).toEqual({});
});

test("a name that the browser refuses fails one file", async () => {
  const folder = new FakeFolder("Downloads");
  folder.getFileHandle = () => Promise.reject(new TypeError("Name is not allowed."));
  const sink = folderSink(folder, file("a.lnk", 3));
  expect(await sink.apply(whole(0, bytes("abc")))).toMatchObject([
    { status: "failed", reason: "the browser doesn't allow this name" },
  ]);
});

test("a file where a folder must be fails one file", async () => {
  const folder = new FakeFolder("Downloads");
  await folder.getFileHandle("d", { create: true });
  const sink = folderSink(folder, file("d/a", 3), file("b", 3));
  const outcomes = await sink.apply([...whole(0, bytes("abc")), ...whole(1, bytes("abc"))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["failed", "ok"]);
});

test("closing in the middle of a file removes it", async () => {
  const folder = new FakeFolder("Downloads");
  const sink = folderSink(folder, file("a", 3));
  await sink.apply([write(0, 0, bytes("ab"))]);
  await sink.close();
  expect(folder.tree()).toEqual({});
});

test("a chosen file gets its content at the end, with holes as zeros", async () => {
  const handle = new FakeFile("mine.bin");
  const content = bytes("ab\0\0\0z");
  const sink = await picked(handle, file("a", 6));
  await sink.apply([write(0, 0, bytes("ab")), hole(0, 2, 3), write(0, 5, bytes("z"))]);
  expect(handle.content.length).toBe(0);
  expect(await sink.apply([end(0, content)])).toMatchObject([{ status: "ok", saved: "mine.bin" }]);
  expect(handle.content).toEqual(content);
});

test("a chosen file that held something keeps it when the digest is wrong", async () => {
  const handle = new FakeFile("mine.bin");
  handle.content = bytes("before");
  const remove = vi.fn(async () => undefined);
  Object.assign(handle, { remove });
  const sink = await picked(handle, file("a", 3));
  expect(await sink.apply(WRONG)).toMatchObject([{ status: "mismatch" }]);
  expect(new TextDecoder().decode(handle.content)).toBe("before");
  expect(handle.busy).toBe(false);
  expect(remove).not.toHaveBeenCalled();
});

test("an empty file that the picker created is removed", async () => {
  const remove = vi.fn(async () => undefined);
  const sink = await picked(Object.assign(new FakeFile("mine.bin"), { remove }), file("a", 3));
  await sink.apply(WRONG);
  expect(remove).toHaveBeenCalledOnce();
});

test("a file in the private file system is exported and outlives the sink", async () => {
  const sink = sinkInto(
    new SinglePlace(await PrivateTarget.open("id", "film.mkv")),
    file("film.mkv", 5),
  );
  await sink.apply([
    write(0, 0, bytes("a")),
    hole(0, 1, 3),
    write(0, 4, bytes("b")),
    end(0, bytes("a\0\0\0b")),
  ]);
  const { exports } = await sink.finish();
  await sink.close();
  expect(exports.map(({ name }) => name)).toEqual(["film.mkv"]);
  expect(await exports[0]?.blob.text()).toBe("a\0\0\0b");
  expect(Object.keys(root.tree())).toContain("dcsend/id/content");
});

test("what is unfinished in the private file system is deleted at the close", async () => {
  const sink = sinkInto(new SinglePlace(await PrivateTarget.open("id", "a")), file("a", 5));
  await sink.apply([write(0, 0, bytes("a"))]);
  await sink.close();
  expect(root.tree()).toEqual({ "dcsend/": "" });
});

test("a short write means a full disk", async () => {
  const target = await PrivateTarget.open("id", "a");
  const folder = await (await root.getDirectoryHandle("dcsend")).getDirectoryHandle("id");
  const full = await folder.getFileHandle("content");
  full.busy = false;
  full.createSyncAccessHandle = async () => ({
    read: () => 0,
    write: () => 1,
    truncate: () => undefined,
    flush: () => undefined,
    close: () => undefined,
  });
  await target.discard();
  const again = root.getDirectoryHandle("dcsend");
  (await again).inside.set("id", folder);
  const sink = sinkInto(new SinglePlace(await PrivateTarget.open("id", "a")), file("a", 5));
  await expect(sink.apply([write(0, 0, bytes("ab"))])).rejects.toThrow("no room");
});

test("private folders of pages that are gone are deleted and others kept", async () => {
  await PrivateTarget.open("dead", "a");
  await PrivateTarget.open("alive", "a");
  locks.held.add(lockName("alive"));
  await cleanPrivate();
  expect(root.tree()).toEqual({ "dcsend/": "", "dcsend/alive/": "", "dcsend/alive/content": "" });
});

test("what the downloads may still be copying is kept for a while", async () => {
  const target = await PrivateTarget.open("done", "a");
  await target.write([bytes("abc")]);
  await target.finish();
  await cleanPrivate();
  expect(root.tree()).toMatchObject({ "dcsend/done/content": "abc" });
  await cleanPrivate(Date.now() + 3_600_000);
  expect(root.tree()).toEqual({ "dcsend/": "" });
});

test("a private folder that can't be deleted does not prevent deleting others", async () => {
  await PrivateTarget.open("held", "a");
  await PrivateTarget.open("dead", "a");
  const top = await root.getDirectoryHandle("dcsend");
  const remove = top.removeEntry.bind(top);
  top.removeEntry = (name) =>
    name === "held" ? Promise.reject(new DOMException("", "InvalidStateError")) : remove(name);
  await cleanPrivate();
  expect([...top.inside.keys()]).toEqual(["held"]);
});

test("cleaning where there is no private file system does nothing", async () => {
  vi.stubGlobal("navigator", {});
  await expect(cleanPrivate()).resolves.toBeUndefined();
});

test("loose files go into a target each, and one that fails leaves the others", async () => {
  const each = new EachPlace((name, number) => PrivateTarget.open("id", name, `content-${number}`));
  const sink = sinkInto(each, file("a?", 3), file("a*", 3), file("bad", 3));
  const outcomes = await sink.apply([
    ...whole(0, bytes("abc")),
    ...whole(1, bytes("xyz")),
    write(2, 0, bytes("abc")),
    end(2, bytes("abd")),
  ]);
  expect(outcomes.map(({ status, saved, download }) => [status, saved, download?.name])).toEqual([
    ["ok", "a_", "a_"],
    ["ok", "a_ (1)", "a_ (1)"],
    ["mismatch", "", undefined],
  ]);
  expect(await outcomes[0]?.download?.blob.text()).toBe("abc");
  const { exports } = await sink.finish();
  expect(exports.map(({ name }) => name)).toEqual(["a_", "a_ (1)"]);
  expect(await Promise.all(exports.map(({ blob }) => blob.text()))).toEqual(["abc", "xyz"]);
  // Also if the result of finish() was not used, because the person stopped the run.
  expect((await sink.close()).map(({ name }) => name)).toEqual(["a_", "a_ (1)"]);
  expect(root.tree()).toEqual({
    "dcsend/": "",
    "dcsend/id/": "",
    "dcsend/id/content-0": "abc",
    "dcsend/id/content-1": "xyz",
    "dcsend/id/complete": "",
  });
});

test("a loose file that can't be read afterwards fails alone, and by its name", async () => {
  const each = new EachPlace((name, number) => PrivateTarget.open("id", name, `content-${number}`));
  const sink = sinkInto(each, file("a", 3), file("b", 3), file("c", 3));
  await sink.apply([...whole(0, bytes("abc")), write(1, 0, bytes("abc"))]);
  const folder = await (await root.getDirectoryHandle("dcsend")).getDirectoryHandle("id");
  const lost = await folder.getFileHandle("content-1");
  lost.getFile = () => Promise.reject(new DOMException("", "NotFoundError"));
  const outcomes = await sink.apply([end(1, bytes("abc")), ...whole(2, bytes("xyz"))]);
  expect(outcomes.map(({ number, status, reason }) => [number, status, reason])).toEqual([
    [1, "failed", "can't write b: its place has gone"],
    [2, "ok", ""],
  ]);
  expect((await sink.finish()).exports.map(({ name }) => name)).toEqual(["a", "c"]);
  expect((await sink.close()).map(({ name }) => name)).toEqual(["a", "c"]);
});

test("loose files that were complete are there when the run fails", async () => {
  const each = new EachPlace(async (name) => new MemoryTarget(name));
  const sink = sinkInto(each, file("a", 3), file("b", 3));
  await sink.apply([...whole(0, bytes("abc")), write(1, 0, bytes("x"))]);
  expect((await sink.close()).map(({ name }) => name)).toEqual(["a"]);
});

test("a file that exists is replaced if the person chooses that, once the new one is complete", async () => {
  const folder = new FakeFolder("Downloads");
  for (const name of ["a", "b"]) {
    (await folder.getFileHandle(name, { create: true })).content = bytes("old");
  }
  const sink = sinkIntoFolder(folder, "overwrite", file("a", 3), file("A", 3), file("b", 3));
  await sink.apply([write(0, 0, bytes("new"))]);
  expect(folder.tree()).toEqual({ a: "old", b: "old" });
  await sink.apply([
    end(0, bytes("new")),
    ...whole(1, bytes("two")),
    write(2, 0, bytes("abc")),
    end(2, bytes("abd")),
  ]);
  // A file of this run is not replaced, and a damaged one replaces nothing.
  expect(folder.tree()).toEqual({ a: "new", A: "two", b: "old" });
});

test("a file of this run is not replaced by another one that is saved under the same name", async () => {
  const folder = new FakeFolder("Downloads");
  (await folder.getFileHandle("b_", { create: true })).content = bytes("old");
  const sink = sinkIntoFolder(folder, "overwrite", file("b?", 3), file("b*", 3));
  await sink.apply([...whole(0, bytes("one")), ...whole(1, bytes("two"))]);
  expect(folder.tree()).toEqual({ b_: "one", "b_ (1)": "two" });
});

test("files that exist are found, in folders too, and each folder is listed once", async () => {
  const folder = new FakeFolder("Downloads");
  const deep = await folder.getDirectoryHandle("d", { create: true });
  await folder.getFileHandle("a", { create: true });
  await folder.getDirectoryHandle("e", { create: true });
  await deep.getFileHandle("b_", { create: true });
  const listings = vi.spyOn(deep, "keys");
  const entries = [
    ...[file("a", 1), file("A", 1), directory("d"), file("d/b?", 1), file("d/c", 1)],
    ...[file("e", 1), file("new/a", 1), file("../a", 1), text("a", 1)],
  ];
  const handle = folder as unknown as FileSystemDirectoryHandle;
  expect(await findExisting(handle, entries, new Set(entries.keys()))).toEqual([0, 3]);
  expect(await findExisting(handle, entries, new Set([4]))).toEqual([]);
  expect(listings).toHaveBeenCalledTimes(2);
});
