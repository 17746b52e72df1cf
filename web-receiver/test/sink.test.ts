/** How a sink writes content, into memory and into one file. */
import { expect, test } from "vitest";
import type { Entry } from "../src/entry.ts";
import { DestinationError, LocalProtocolError } from "../src/errors.ts";
import { hex, inJavaScript, type NewHasher } from "../src/files/hashing.ts";
import { FileSink } from "../src/files/sink.ts";
import { MemoryTarget } from "../src/files/sinks/memory.ts";
import type { Place, Target } from "../src/files/sinks/output.ts";
import { SinglePlace } from "../src/files/sinks/single.ts";
import { bytes, end, endOf, file, hole, text, whole, write } from "./entries.ts";

const HELLO = bytes("hello, world");

function sinkInto(target: Target, ...entries: Entry[]): FileSink {
  return new FileSink(entries, new Set(entries.keys()), new SinglePlace(target), inJavaScript);
}

function memorySink(...entries: Entry[]): FileSink {
  return sinkInto(new MemoryTarget("saved.bin"), ...entries);
}

async function contents(sink: FileSink): Promise<string[]> {
  const { exports } = await sink.finish();
  return Promise.all(exports.map(({ blob }) => blob.text()));
}

test("a file arrives in memory with its name, size and digest", async () => {
  const sink = memorySink(file("a", HELLO.length));
  const [outcome] = await sink.apply(whole(0, HELLO, 5));
  expect(outcome).toMatchObject({ status: "ok", saved: "saved.bin", size: 12, text: null });
  const hasher = inJavaScript();
  hasher.update(HELLO);
  expect(outcome?.sha256).toBe(hex(hasher.digest()));
  expect(await contents(sink)).toEqual(["hello, world"]);
});

test("an empty file arrives", async () => {
  const sink = memorySink(file("a", 0));
  expect(await sink.apply([end(0, bytes(""))])).toMatchObject([{ status: "ok", size: 0 }]);
  expect(await contents(sink)).toEqual([""]);
});

test("a wrong digest is a mismatch and nothing is kept", async () => {
  const sink = memorySink(file("a", 12));
  const [outcome] = await sink.apply([write(0, 0, HELLO.slice()), end(0, bytes("hello, WORLD"))]);
  expect(outcome).toMatchObject({ status: "mismatch", saved: "", size: 12 });
  expect(outcome?.reason).toContain("SHA-256 of the received bytes");
  expect(await contents(sink)).toEqual([]);
});

test("a file that ends too early is a mismatch", async () => {
  const sink = memorySink(file("a", 12));
  expect(await sink.apply(whole(0, bytes("hello")))).toMatchObject([{ status: "mismatch" }]);
});

test("bytes out of order fail the file", async () => {
  const sink = memorySink(file("a", 12));
  expect(await sink.apply([write(0, 1, bytes("x"))])).toMatchObject([
    { status: "failed", reason: "a: received offset 1, expected 0" },
  ]);
});

test("what waits to be written of a file that fails is not written into the next", async () => {
  const sink = memorySink(text("a", 12), text("b", 3));
  const frames = [write(0, 0, bytes("ab")), write(0, 5, bytes("x")), ...whole(1, bytes("abc"))];
  expect(await sink.apply(frames)).toMatchObject([
    { status: "failed", text: null },
    { status: "ok", text: "abc" },
  ]);
});

test("more than announced fails the file", async () => {
  const sink = memorySink(file("a", 3));
  expect(await sink.apply([write(0, 0, bytes("1234"))])).toMatchObject([{ status: "failed" }]);
});

test("what comes for a file that has ended is ignored", async () => {
  const sink = memorySink(file("a", 3));
  await sink.apply([write(0, 1, bytes("x"))]);
  expect(await sink.apply(whole(0, bytes("abc")))).toEqual([]);
});

test("a file that the sender gave up is aborted, its reason made safe", async () => {
  const sink = memorySink(file("a", 3));
  await sink.apply([write(0, 0, bytes("ab"))]);
  const [outcome] = await sink.apply([{ type: "abort", number: 0, reason: "gone\u202e", cost: 0 }]);
  expect(outcome).toMatchObject({
    status: "aborted",
    size: 2,
    reason: "a: the sender aborted it: gone\\u202e",
  });
});

test("a file that never ends fails at the finish", async () => {
  const sink = memorySink(file("a", 3));
  await sink.apply([write(0, 0, bytes("ab"))]);
  const { outcomes, exports } = await sink.finish();
  expect(outcomes).toMatchObject([{ status: "failed" }]);
  expect(exports).toEqual([]);
});

test("bytes for an entry that is not wanted are a bug", async () => {
  const sink = new FileSink(
    [file("a", 1)],
    new Set(),
    new SinglePlace(new MemoryTarget("a")),
    inJavaScript,
  );
  await expect(sink.apply([write(0, 0, bytes("x"))])).rejects.toThrow(LocalProtocolError);
});

test("a text is given back and not saved", async () => {
  const sink = memorySink(text("t", 6));
  expect(await sink.apply(whole(0, bytes("grüß")))).toMatchObject([
    { status: "ok", text: "grüß", saved: "" },
  ]);
  expect(await contents(sink)).toEqual([]);
});

test("a text longer than 1 MiB fails", async () => {
  const sink = memorySink(text("t", 2 ** 30));
  const [outcome] = await sink.apply([hole(0, 0, 2 ** 21)]);
  expect(outcome).toMatchObject({ status: "failed", reason: "a text is too long to show" });
});

test("a hole is zeros", async () => {
  const sink = memorySink(file("a", 2_500_004));
  const content = new Uint8Array(2_500_004);
  content.set(bytes("ab"), 0);
  content.set(bytes("yz"), 2_500_002);
  const [outcome] = await sink.apply([
    write(0, 0, bytes("ab")),
    hole(0, 2, 2_500_000),
    write(0, 2_500_002, bytes("yz")),
    end(0, content),
  ]);
  expect(outcome).toMatchObject({ status: "ok" });
  const { exports } = await sink.finish();
  const saved = new Uint8Array((await exports[0]?.blob.arrayBuffer()) ?? []);
  expect(Buffer.compare(saved, content)).toBe(0);
});

test("more than a fold of memory keeps its order", async () => {
  const content = new Uint8Array(40 << 20).map((_, at) => at >> 16);
  const sink = memorySink(file("a", content.length));
  await sink.apply(whole(0, content, 1 << 20));
  const { exports } = await sink.finish();
  const saved = new Uint8Array((await exports[0]?.blob.arrayBuffer()) ?? []);
  expect(Buffer.compare(saved, content)).toBe(0);
});

/** A target that fails at writing. */
function failing(error: unknown): Target {
  const target = new MemoryTarget("a");
  return Object.assign(target, { write: () => Promise.reject(error) });
}

test("a full disk ends the run, and every later call", async () => {
  const sink = sinkInto(failing(new DOMException("", "QuotaExceededError")), file("a", 3));
  await expect(sink.apply(whole(0, bytes("abc")))).rejects.toThrow("no room for a");
  await expect(sink.apply([])).resolves.toEqual([]);
  await expect(sink.apply(whole(0, bytes("abc")))).rejects.toThrow(DestinationError);
  await expect(sink.finish()).rejects.toThrow(DestinationError);
});

test("another error fails one file, with a text", async () => {
  const sink = sinkInto(failing(new DOMException("", "NotFoundError")), file("a\n", 3));
  expect(await sink.apply([write(0, 0, bytes("abc"))])).toMatchObject([
    { status: "failed", reason: "can't write a\\n: its place has gone" },
  ]);
});

test("links fail, since browsers make none", async () => {
  const link = { ...file("l", 0), kind: "link" as const, target: "a" };
  const sink = memorySink(link);
  expect((await sink.finish()).outcomes).toMatchObject([{ number: 0, status: "failed" }]);
});

test("more files than a call has arguments are returned at the end of a zip", async () => {
  const count = 150_000;
  const output = {
    ...{ saved: "", write: async () => undefined, skip: async () => undefined },
    ...{ finish: async () => undefined, discard: async () => undefined },
  };
  const place: Place = {
    ...{
      withholds: true,
      spoiled: "",
      open: async () => output,
      makeFolder: async () => undefined,
    },
    ...{ finish: async () => [], discard: async () => [] },
  };
  const entries = Array.from({ length: count }, (_, number) => file(`${number}`, 0));
  const { digest } = end(0, bytes(""));
  // So many real digests would take long.
  const newHasher: NewHasher = () => ({ update() {}, digest: () => digest, copy: newHasher });
  const sink = new FileSink(entries, new Set(entries.keys()), place, newHasher);
  await sink.apply(entries.map((_, number) => endOf(number, 0, digest)));
  expect((await sink.finish()).outcomes.length).toBe(count);
});
