/** Chosen folders, chosen files, and the private file system, on handles in memory. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Entry } from "../src/entry.ts";
import { inJavaScript } from "../src/files/hashing.ts";
import { FileSink } from "../src/files/sink.ts";
import { FolderPlace } from "../src/files/sinks/folder.ts";
import type { Place } from "../src/files/sinks/output.ts";
import { openPicked } from "../src/files/sinks/picker.ts";
import { cleanPrivate, lockName, PrivateTarget } from "../src/files/sinks/private.ts";
import { SinglePlace } from "../src/files/sinks/single.ts";
import { bytes, directory, end, file, whole, write } from "./entries.ts";
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
  return sinkInto(new FolderPlace(folder as unknown as FileSystemDirectoryHandle), ...entries);
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

test("an unsafe name is refused at the last door, too", async () => {
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
  await sink.apply([
    write(0, 0, bytes("ab")),
    { type: "hole", number: 0, offset: 2, length: 3 },
    write(0, 5, bytes("z")),
  ]);
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

test("an empty file that the picker made goes away again", async () => {
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
    { type: "hole", number: 0, offset: 1, length: 3 },
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

test("private folders of pages that are gone are deleted, others kept", async () => {
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

test("a private folder that can't be deleted keeps no other", async () => {
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
