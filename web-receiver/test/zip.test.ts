/** Zips, read back by Python's zipfile, and what is left out of them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Entry } from "../src/entry.ts";
import { inJavaScript } from "../src/files/hashing.ts";
import { FileSink } from "../src/files/sink.ts";
import { MemoryTarget } from "../src/files/sinks/memory.ts";
import { ZipPlace } from "../src/files/sinks/zip.ts";
import { bytes, directory, end, file, whole, write } from "./entries.ts";

const READ = `
import hashlib, json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    print(json.dumps([[i.filename, i.file_size, hashlib.sha256(z.read(i)).hexdigest(),
        oct(i.external_attr >> 16), i.date_time[0]] for i in z.infolist()]))
`;

function zipSink(entries: readonly Entry[], target = new MemoryTarget("all.zip")): FileSink {
  return new FileSink(entries, new Set(entries.keys()), new ZipPlace(target), inJavaScript);
}

/** Name, size, digest, mode and year of each member, as Python reads them. */
async function members(blob: Blob | undefined): Promise<readonly (readonly unknown[])[]> {
  const folder = mkdtempSync(join(tmpdir(), "dcsend-zip-"));
  try {
    const path = join(folder, "a.zip");
    writeFileSync(path, new Uint8Array((await blob?.arrayBuffer()) ?? []));
    return JSON.parse(execFileSync("python3", ["-c", READ, path], { encoding: "utf-8" }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("files, empty files, folders and Unicode names arrive in a zip", async () => {
  const big = new Uint8Array(10 << 20).map((_, at) => at * 7);
  const entries = [
    directory("d"),
    file("d/süß 文件 🎉.txt", 5),
    file("d/empty", 0),
    file("d/big", big.length),
    file("d/a?", 1),
    file("d/A*", 1),
    file("stream", null),
  ];
  const sink = zipSink(entries);
  const operations = [
    ...whole(1, bytes("hello")),
    ...whole(2, bytes("")),
    ...whole(3, big),
    ...whole(4, bytes("x")),
    ...whole(5, bytes("y")),
    ...whole(6, big),
  ];
  for (const operation of operations) expect(await sink.apply([operation])).toEqual([]);
  const { outcomes, exports } = await sink.finish();
  expect(outcomes.map(({ number, status, saved }) => [number, status, saved])).toEqual([
    [1, "ok", "all.zip/d/süß 文件 🎉.txt"],
    [2, "ok", "all.zip/d/empty"],
    [3, "ok", "all.zip/d/big"],
    [4, "ok", "all.zip/d/a_"],
    [5, "ok", "all.zip/d/A_ (1)"],
    [6, "ok", "all.zip/stream"],
  ]);
  expect(exports.map(({ name }) => name)).toEqual(["all.zip"]);
  const read = await members(exports[0]?.blob);
  expect(read.map(([name]) => name)).toEqual([
    "d/süß 文件 🎉.txt",
    "d/empty",
    "d/big",
    "d/a_",
    "d/A_ (1)",
    "stream",
    "d/",
  ]);
  expect(read[2]?.slice(1)).toEqual([big.length, outcomes[2]?.sha256, "0o100644", 2023]);
  expect(read[5]?.[2]).toBe(outcomes[5]?.sha256);
});

test("a small file with a wrong digest is left out", async () => {
  const sink = zipSink([file("bad", 3), file("good", 3)]);
  expect(await sink.apply([write(0, 0, bytes("abc")), end(0, bytes("abd"))])).toMatchObject([
    { number: 0, status: "mismatch" },
  ]);
  await sink.apply(whole(1, bytes("abc")));
  const { outcomes, exports } = await sink.finish();
  expect(outcomes).toMatchObject([{ number: 1, status: "ok" }]);
  expect((await members(exports[0]?.blob)).map(([name]) => name)).toEqual(["good"]);
});

test("a large file that fails takes the zip with it", async () => {
  const big = new Uint8Array(9 << 20);
  const sink = zipSink([file("good", 3), file("bad", big.length), file("late", 3)]);
  await sink.apply(whole(0, bytes("abc")));
  await sink.apply([write(1, 0, big.slice())]);
  const outcomes = await sink.apply([end(1, bytes("other"))]);
  expect(outcomes.map(({ number, status }) => [number, status])).toEqual([
    [1, "mismatch"],
    [0, "failed"],
  ]);
  expect(outcomes[1]?.reason).toContain("zip is lost");
  expect(await sink.apply(whole(2, bytes("abc")))).toMatchObject([{ number: 2, status: "failed" }]);
  expect(await sink.finish()).toEqual({ outcomes: [], exports: [] });
});

test("a zip of nothing is not made", async () => {
  const sink = zipSink([file("a", 1), file("b", 1)]);
  await sink.apply([
    { type: "abort", number: 0, reason: "" },
    { type: "abort", number: 1, reason: "" },
  ]);
  expect((await sink.finish()).exports).toEqual([]);
});

test("bytes count as written only when the target has written them", async () => {
  const target = new MemoryTarget("all.zip");
  const gates: (() => void)[] = [];
  const writeNow = target.write.bind(target);
  target.write = async (pieces) => {
    await new Promise<void>((resolve) => gates.push(resolve));
    await writeNow(pieces);
  };
  const sink = zipSink([file("a", 9 << 20), file("b", 1)], target);
  let written = false;
  const applied = sink.apply([write(0, 0, new Uint8Array(1 << 20))]).then(() => {
    written = true;
  });
  await expect.poll(() => gates.length).toBe(1);
  expect(written).toBe(false);
  gates[0]?.();
  await applied;
  expect(written).toBe(true);
  await sink.close();
});

test("a target that is full ends the run", async () => {
  const target = new MemoryTarget("all.zip");
  target.write = () => Promise.reject(new DOMException("", "QuotaExceededError"));
  const sink = zipSink([file("a", 9 << 20), file("b", 1)], target);
  const piece = write(0, 0, new Uint8Array(1 << 20));
  await expect(sink.apply([piece])).rejects.toThrow("no room");
});

test("a hole of 1 GiB needs no such memory", { timeout: 60_000 }, async () => {
  let size = 0;
  let largest = 0;
  const target = new MemoryTarget("all.zip");
  target.write = async (pieces) => {
    for (const { length } of pieces) {
      size += length;
      largest = Math.max(largest, length);
    }
  };
  const length = 2 ** 30;
  const noHash = () => ({ update: () => undefined, digest: () => new Uint8Array(32) });
  const entries = [file("a", length), file("b", 1)];
  const sink = new FileSink(entries, new Set([0, 1]), new ZipPlace(target), noHash);
  await sink.apply([
    { type: "hole", number: 0, offset: 0, length },
    { type: "end", number: 0, size: length, digest: new Uint8Array(32) },
  ]);
  await sink.finish();
  expect(size).toBeGreaterThan(length);
  expect(largest).toBe(1 << 20);
});
