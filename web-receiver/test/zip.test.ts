/** Zips, read by Python's zipfile, and files that are left out of them. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Entry } from "../src/entry.ts";
import { inJavaScript, type NewHasher } from "../src/files/hashing.ts";
import { FileSink } from "../src/files/sink.ts";
import { MemoryTarget } from "../src/files/sinks/memory.ts";
import type { Target } from "../src/files/sinks/output.ts";
import { ZipPlace } from "../src/files/sinks/zip.ts";
import { endRecords, ZipFormat } from "../src/files/zipformat.ts";
import { bytes, directory, end, endOf, file, hole, whole, write } from "./entries.ts";

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

test("no path in a zip is that of a file and of a folder", async () => {
  const entries = ["a", "a/b", "d/x", "D", "d (1)/y"].map((path) => file(path, 1));
  const sink = zipSink([...entries, directory("A"), directory("d")]);
  const early = await sink.apply(entries.flatMap((_, number) => whole(number, bytes("x"))));
  const reason = "something else of that name is in the way";
  expect(early).toMatchObject([
    { number: 1, status: "failed", reason },
    { number: 4, status: "failed", reason },
  ]);
  const { outcomes, exports } = await sink.finish();
  expect(outcomes.map(({ number, saved, reason }) => [number, saved || reason])).toEqual([
    [5, reason],
    [0, "all.zip/a"],
    [2, "all.zip/d/x"],
    [3, "all.zip/D (1)"],
  ]);
  const read = await members(exports[0]?.blob);
  expect(read.map(([name]) => name)).toEqual(["a", "d/x", "D (1)", "d/"]);
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
    { type: "abort", number: 0, reason: "", cost: 0 },
    { type: "abort", number: 1, reason: "", cost: 0 },
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

/** Digests are not tested here, and for a hundred thousand files they take long. */
const unhashed: NewHasher = () => ({
  update() {},
  digest: () => new Uint8Array(32),
  copy: unhashed,
});

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dcsend-zip-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

const ZEROS = new Uint8Array(1 << 20);

/** A zip on the disk, where blocks of zeros take no room. */
class DiskTarget extends MemoryTarget implements Target {
  readonly path = join(folder, "a.zip");
  /** Bytes of the largest piece. */
  largest = 0;
  readonly #file = openSync(this.path, "w");
  #position = 0;

  override async write(pieces: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    for (const piece of pieces) {
      this.largest = Math.max(this.largest, piece.length);
      if (piece.length < ZEROS.length || Buffer.compare(piece, ZEROS) !== 0) {
        writeSync(this.#file, piece, 0, piece.length, this.#position);
      }
      this.#position += piece.length;
    }
  }

  override async finish(): Promise<void> {
    ftruncateSync(this.#file, this.#position);
    closeSync(this.#file);
  }

  override async exports() {
    return [];
  }
}

/** Return Python's value of the expression `what` over the open zip `z` and the bytes `end`. */
function asked(path: string, what: string): unknown {
  const script = `
import json, os, sys, zipfile
with open(sys.argv[1], "rb") as f:
    f.seek(max(0, os.path.getsize(sys.argv[1]) - 98))
    end = f.read()
with zipfile.ZipFile(sys.argv[1]) as z:
    print(json.dumps(${what}))`;
  return JSON.parse(execFileSync("python3", ["-c", script, path], { encoding: "utf-8" }));
}

test("a zip of more than 65 535 files has all of them", async () => {
  const count = 65_600;
  const entries = Array.from({ length: count }, (_, number) => file(`d/${number}`, 3));
  const target = new DiskTarget("a.zip");
  const sink = new FileSink(entries, new Set(entries.keys()), new ZipPlace(target), unhashed);
  const digest = new Uint8Array(32);
  await sink.apply(
    entries.flatMap((_, number) => [write(number, 0, bytes("abc")), endOf(number, 3, digest)]),
  );
  expect((await sink.finish()).outcomes.length).toBe(count);
  expect(
    asked(target.path, "[z.read('d/65599').decode(), len(z.infolist()), end[:4].hex()]"),
  ).toEqual(["abc", count, "504b0606"]);
  // It reads everything, warns of any extra byte, and uses the count of the zip64 record.
  const { error, stdout } = spawnSync("unzip", ["-tq", target.path], { encoding: "utf-8" });
  // Absent where scripts/system-tools.sh could not install it; never in CI.
  if (error === undefined || process.env.CI === "true") {
    expect(stdout).toContain("No errors detected");
  }
});

test("a file and an offset of 4 GiB are found again, and take no such memory", async () => {
  const large = 2 ** 32 + 5;
  const entries = [file("large", large), file("d/after", 3), file("stream", null)];
  const target = new DiskTarget("a.zip");
  const sink = new FileSink(entries, new Set([0, 1, 2]), new ZipPlace(target), unhashed);
  const digest = new Uint8Array(32);
  await sink.apply([
    hole(0, 0, large),
    endOf(0, large, digest),
    write(1, 0, bytes("abc")),
    endOf(1, 3, digest),
    hole(2, 0, 9 << 20),
    endOf(2, 9 << 20, digest),
  ]);
  await sink.finish();
  const read =
    "[[i.file_size, i.extra.hex()] for i in z.infolist()] + [z.read('d/after').decode(), len(z.read('stream'))]";
  expect(asked(target.path, read)).toEqual([
    [large, "0100100005000000010000000500000001000000"],
    [3, expect.stringMatching(/^01000800/)],
    [9 << 20, expect.stringMatching(/^01000800/)],
    "abc",
    9 << 20,
  ]);
  expect(target.largest).toBe(1 << 20);
});

test.each([
  [65_534, 5, 7, false],
  [65_535, 5, 7, true],
  [1, 2 ** 32 - 2, 7, false],
  [1, 2 ** 32 - 1, 7, true],
  [1, 5, 2 ** 32 - 2, false],
  [1, 5, 2 ** 32 - 1, true],
])("%d members, a directory of %d bytes at %d: zip64 is %j", (members, size, offset, wide) => {
  const record = endRecords(members, size, offset);
  const view = new DataView(record.buffer);
  expect(record.length).toBe(wide ? 98 : 22);
  const short = record.length - 22;
  expect(view.getUint32(short, true)).toBe(0x06054b50);
  expect(view.getUint16(short + 10, true)).toBe(Math.min(members, 0xffff));
  expect(view.getUint32(short + 12, true)).toBe(Math.min(size, 0xffffffff));
  expect(view.getUint32(short + 16, true)).toBe(Math.min(offset, 0xffffffff));
  if (!wide) return;
  const numbers = [24, 32, 40, 48].map((at) => Number(view.getBigUint64(at, true)));
  expect(numbers).toEqual([members, members, size, offset]);
  expect(Number(view.getBigUint64(64, true))).toBe(offset + size);
});

test("a file that was complete before it was written needs no sizes behind it", () => {
  const format = new ZipFormat();
  const header = format.whole({ name: "a", mode: 0o644, time: new Date(2023, 0, 1) }, [
    bytes("abc"),
  ]);
  const view = new DataView(header.buffer);
  expect([view.getUint16(6, true), view.getUint32(14, true), view.getUint32(22, true)]).toEqual([
    1 << 11,
    0x352441c2,
    3,
  ]);
});

test("a zip of which a part could not be written is lost, with all that is in it", async () => {
  const target = new MemoryTarget("all.zip");
  const sink = zipSink([file("a", 3), file("b", 9 << 20), file("c", 3)], target);
  await sink.apply(whole(0, bytes("abc")));
  target.write = () => Promise.reject(new DOMException("", "NotFoundError"));
  const outcomes = await sink.apply([write(1, 0, new Uint8Array(1 << 20))]);
  expect(outcomes.map(({ number, status }) => [number, status])).toEqual([
    [1, "failed"],
    [0, "failed"],
  ]);
  expect(await sink.finish()).toEqual({ outcomes: [], exports: [] });
});

test("thirty thousand names that become one are numbered in time that grows with their number", async () => {
  const names = new Set<string>();
  const place = new ZipPlace(new MemoryTarget("all.zip"));
  for (let count = 0; count < 30_000; count++) names.add((await place.open(file("?", 1))).saved);
  expect(names.size).toBe(30_000);
  expect(names).toContain("all.zip/_ (29999)");
  // 1 s on an idle machine; with the square of the number, minutes.
}, 30_000);
