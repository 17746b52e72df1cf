/** The page's side and the worker's side together, over a MessageChannel. */
import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { DcsendError, DestinationError, LocalProtocolError } from "../src/errors.ts";
import type { Block, Chosen, Source } from "../src/files/contract.ts";
import { openSink, openSource } from "../src/files/disk.ts";
import { hex } from "../src/files/hashing.ts";
import { answer, Caller } from "../src/files/rpc.ts";
import { bytes, directory, file, text, whole, write } from "./entries.ts";

// Node has no such workers, so the work is done in the page, also with a script that can't be
// started.
const HOOKS = { script: "not run here" };

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function chosen(path: string, content: Blob): Chosen {
  return { entry: file(path, content.size), file: content };
}

async function all(source: Source): Promise<Block[]> {
  const blocks: Block[] = [];
  for (let block = await source.next(0); block !== null; block = await source.next(0)) {
    blocks.push(block);
  }
  source.close();
  return blocks;
}

test.each([
  ["handed over", 5000, 0],
  ["copied if they are small", 5, 5],
])("a sink works through the port, and payloads are %s", async (_, size, left) => {
  const content = "x".repeat(size);
  const sink = await openSink(
    { type: "memory", zipped: true },
    [file("a", size)],
    new Set([0]),
    HOOKS,
  );
  const frames = whole(0, bytes(content));
  expect(await sink.apply(frames)).toMatchObject([{ status: "ok", saved: "a" }]);
  expect(frames[0]?.type === "data" && frames[0].payload.length).toBe(left);
  const { exports } = await sink.finish();
  await sink.close();
  await sink.close();
  expect(await exports[0]?.blob.text()).toBe(content);
});

test("frames that are views of one buffer arrive", async () => {
  const content = "abcdef".repeat(1000);
  const sink = await openSink(
    { type: "memory", zipped: true },
    [file("a", 6000)],
    new Set([0]),
    HOOKS,
  );
  const buffer = bytes(`..${content}`);
  const views = [write(0, 0, buffer.subarray(2, 5)), write(0, 3, buffer.subarray(5))];
  const [, last] = whole(0, bytes(content));
  expect(await sink.apply(last === undefined ? views : [...views, last])).toMatchObject([
    { status: "ok" },
  ]);
  await sink.close();
});

test("several files become a zip of their common folder", async () => {
  const entries = [directory("d"), file("d/a", 1), file("d/b", 1), text("t", 2)];
  const sink = await openSink(
    { type: "memory", zipped: true },
    entries,
    new Set([0, 1, 2, 3]),
    HOOKS,
  );
  const batch = [...whole(1, bytes("a")), ...whole(2, bytes("b")), ...whole(3, bytes("hi"))];
  expect(await sink.apply(batch)).toMatchObject([{ number: 3, text: "hi" }]);
  const { outcomes, exports } = await sink.finish();
  expect(outcomes.map(({ saved }) => saved)).toEqual(["d.zip/d/a", "d.zip/d/b"]);
  expect(exports.map(({ name }) => name)).toEqual(["d.zip"]);
  await sink.close();
});

test("a text alone leaves nothing to save", async () => {
  const sink = await openSink(
    { type: "memory", zipped: true },
    [text("t", 2)],
    new Set([0]),
    HOOKS,
  );
  expect(await sink.apply(whole(0, bytes("hi")))).toMatchObject([{ text: "hi" }]);
  expect((await sink.finish()).exports).toEqual([]);
  await sink.close();
});

test("an error keeps its class and hint on the way", async () => {
  const sink = await openSink({ type: "memory", zipped: true }, [file("a", 1)], new Set(), HOOKS);
  await expect(sink.apply(whole(0, bytes("x")))).rejects.toThrow(LocalProtocolError);
  await sink.close();
});

test("a destination that can't be opened is refused at once", async () => {
  vi.stubGlobal("navigator", {
    storage: { getDirectory: () => Promise.reject(new DOMException("", "SecurityError")) },
  });
  const opened = openSink({ type: "private", zipped: true }, [file("a", 1)], new Set([0]), HOOKS);
  await expect(opened).rejects.toThrow(DestinationError);
});

test.each([
  ["locks", { locks: { request: () => new Promise(() => undefined) } }],
  ["storage", { storage: { getDirectory: () => new Promise(() => undefined) } }],
])("a private file system that never opens is given up: %s", async (_, navigator) => {
  vi.stubGlobal("navigator", navigator);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const opened = openSink({ type: "private", zipped: true }, [file("a", 1)], new Set([0]), HOOKS);
  const refused = expect(opened).rejects.toThrow("the browser did not open its storage in 60 s");
  await vi.advanceTimersByTimeAsync(60_000);
  await refused;
});

test("files are read in blocks, the digest with the last", async () => {
  const content = new Uint8Array(25).map((_, at) => at);
  const given = [chosen("a", new Blob([content])), chosen("empty", new Blob([]))];
  const blocks = await all(openSource(given, new Set(), { ...HOOKS, blockSize: 10 }));
  const shape = blocks.map(({ number, offset, payload, digest }) => [
    number,
    offset,
    payload.length,
    digest === null ? null : hex(digest),
  ]);
  const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
  expect(shape).toEqual([
    [0, 0, 10, null],
    [0, 10, 10, null],
    [0, 20, 5, sha256(content)],
    [1, 0, 0, sha256(new Uint8Array())],
  ]);
  expect(Buffer.concat(blocks.map(({ payload }) => payload))).toEqual(Buffer.from(content));
});

test("a file of whole blocks ends with its last one", async () => {
  const given = [chosen("a", new Blob([new Uint8Array(20)]))];
  const blocks = await all(openSource(given, new Set(), { ...HOOKS, blockSize: 10 }));
  expect(blocks.map(({ digest }) => digest === null)).toEqual([true, false]);
});

test("folders and what the receiver skips are not read", async () => {
  const given = [
    { entry: directory("d"), file: null },
    chosen("d/a", new Blob(["a"])),
    chosen("d/b", new Blob(["b"])),
  ];
  const blocks = await all(openSource(given, new Set([1]), HOOKS));
  expect(blocks.map(({ number }) => number)).toEqual([2]);
});

test("a file that is not as announced is given up, the others go on", async () => {
  const changed = { entry: file("a", 5), file: new Blob(["abc"]) };
  const blocks = await all(openSource([changed, chosen("b", new Blob(["b"]))], new Set(), HOOKS));
  expect(blocks.map(({ number, failure }) => [number, failure])).toEqual([
    [0, "changed before it was sent"],
    [1, ""],
  ]);
});

test("what is asked of an end that has failed is refused", async () => {
  const { port1 } = new MessageChannel();
  const caller = new Caller(port1);
  const before = caller.call("x", null);
  caller.fail(new DcsendError("gone"));
  await expect(before).rejects.toThrow("gone");
  await expect(caller.call("x", null)).rejects.toThrow("gone");
  await expect(caller.ready).rejects.toThrow("gone");
  port1.close();
});

test("answers find their calls in any order", async () => {
  const { port1, port2 } = new MessageChannel();
  let release: () => void = () => undefined;
  answer(port2, {
    slow: () =>
      new Promise((resolve) => {
        release = () => resolve({ value: "slow" });
      }),
    fast: async () => ({ value: "fast" }),
  });
  const caller = new Caller(port1);
  await caller.ready;
  const slow = caller.call("slow", null);
  expect(await caller.call("fast", null)).toBe("fast");
  release();
  expect(await slow).toBe("slow");
  port1.close();
});
