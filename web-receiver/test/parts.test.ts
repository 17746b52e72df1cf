/** Parts in the private file system, through the page's and the worker's side of a sink. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Bytes, Content } from "../src/content.ts";
import type { Entry } from "../src/entry.ts";
import type { Sink } from "../src/files/contract.ts";
import { openSink } from "../src/files/disk.ts";
import { INTERVAL } from "../src/files/journal.ts";
import { cleanPrivate, KeptParts, lockName, privateParts } from "../src/files/leftovers.ts";
import { matching, startOf } from "../src/files/parts.ts";
import { end, file, hole, whole, write } from "./entries.ts";
import { FakeFile, FakeFolder, FakeLocks } from "./handles.ts";

const MIB = 1 << 20;
const SIZE = 3 * INTERVAL + 5;
const CONTENT = new Uint8Array(SIZE).map((_, at) => (at * 31) ^ (at >> 13));
const FILM = file("film.mkv", SIZE);

let root: FakeFolder;
let locks: FakeLocks;
let persisted: number;

beforeEach(() => {
  root = new FakeFolder("");
  locks = new FakeLocks();
  persisted = 0;
  const persist = async () => {
    persisted += 1;
    return true;
  };
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => root, persist }, locks });
});

afterEach(() => vi.unstubAllGlobals());

function open(...entries: Entry[]): Promise<Sink> {
  return openSink({ type: "private", zipped: false }, entries, new Set(entries.keys()));
}

/** The bytes [start, end) of a file, in portions of 1 MiB. */
function pieces(start: number, stop: number, content = CONTENT, number = 0): Content[] {
  const found: Content[] = [];
  for (let at = start; at < stop; at += MIB) {
    found.push(write(number, at, content.slice(at, Math.min(at + MIB, stop))));
  }
  return found;
}

/** Receive the first bytes; the page is closed, or the run ends. */
async function interrupt(size: number, entry = FILM): Promise<void> {
  const sink = await open(entry);
  await sink.apply(pieces(0, size));
  await sink.close();
}

async function finish(sink: Sink): Promise<Buffer> {
  const { exports } = await sink.finish();
  await sink.close();
  return Buffer.from((await exports[0]?.blob.arrayBuffer()) ?? new ArrayBuffer(0));
}

/** The file of that name in the only folder. */
function stored(name: string): FakeFile {
  const top = root.inside.get("dcsend") as FakeFolder;
  const [folder] = [...top.inside.values()] as FakeFolder[];
  const found = folder?.inside.get(name);
  if (!(found instanceof FakeFile)) throw new Error(`no ${name}`);
  return found;
}

/** Change a byte of the content. */
function flip(offset: number): void {
  const { content } = stored("content");
  content.set([(content[offset] ?? 0) ^ 1], offset);
}

function journal(): Record<string, number>[] {
  const lines = new TextDecoder().decode(stored("journal").content).trim().split("\n");
  return lines.slice(1).map((line) => JSON.parse(line));
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("a transfer that ends early leaves a part, which the next one continues", async () => {
  await interrupt(2 * INTERVAL + 1000);
  expect(journal().map(({ offset }) => offset)).toEqual([
    INTERVAL,
    2 * INTERVAL,
    2 * INTERVAL + 1000,
  ]);
  expect(locks.held.size).toBe(0);
  expect(persisted).toBe(1);
  await cleanPrivate(Date.now() + 1e12);
  const sink = await open(FILM);
  const start = 2 * INTERVAL + 1000;
  expect(sink.have).toEqual(new Map([[0, start]]));
  expect(sink.digests).toEqual([
    [0, INTERVAL, sha256(CONTENT.subarray(0, INTERVAL))],
    [0, start, sha256(CONTENT.subarray(0, start))],
  ]);
  const outcomes = await sink.apply([...pieces(start, SIZE), end(0, CONTENT)]);
  expect(outcomes).toMatchObject([{ status: "ok", size: SIZE, sha256: sha256(CONTENT) }]);
  expect(Buffer.compare(await finish(sink), CONTENT)).toBe(0);
  expect(await privateParts.list()).toEqual([]);
  // The downloads may be copying it.
  expect([...locks.held].length).toBe(1);
  await cleanPrivate();
  expect(stored("content").content.length).toBe(SIZE);
});

test("a killed page leaves what the journal has, although its last line may be torn", async () => {
  const sink = await open(FILM);
  await sink.apply(pieces(0, 2 * INTERVAL + 1000));
  const lines = stored("journal");
  lines.content = lines.content.slice(0, -10);
  locks.held.clear();
  for (const name of ["content", "journal"]) stored(name).busy = false;
  const next = await open(FILM);
  expect(next.have).toEqual(new Map([[0, INTERVAL]]));
  await next.apply([...pieces(INTERVAL, SIZE), end(0, CONTENT)]);
  expect(Buffer.compare(await finish(next), CONTENT)).toBe(0);
});

test("what was there is verified between portions, and lines are of the bytes since the last", async () => {
  await interrupt(INTERVAL);
  let sink = await open(FILM);
  await sink.apply(pieces(INTERVAL, 2 * INTERVAL));
  expect(sink.findings?.checked).toEqual({ path: "film.mkv", done: 0, total: INTERVAL });
  expect(journal().at(-1)).toMatchObject({ offset: 2 * INTERVAL, from: INTERVAL });
  await vi.waitFor(async () => {
    await sink.apply([]);
    expect(sink.findings?.checked).toBe(null);
  });
  await sink.apply(pieces(2 * INTERVAL, SIZE - 5));
  expect(journal().at(-1)).toEqual({
    offset: SIZE - 5,
    sha256: sha256(CONTENT.subarray(0, SIZE - 5)),
  });
  await sink.close();
  sink = await open(FILM);
  expect(sink.have).toEqual(new Map([[0, SIZE - 5]]));
  await sink.apply([...pieces(SIZE - 5, SIZE), end(0, CONTENT)]);
  expect(Buffer.compare(await finish(sink), CONTENT)).toBe(0);
});

/** A repaired range. */
function repair(offset: number, payload: Bytes, length = payload.length): Content {
  return { type: "repair", number: 0, offset, length, payload, cost: 0 };
}

test("changed bytes are reported, and the file ends when they have come again", async () => {
  await interrupt(3 * INTERVAL);
  flip(INTERVAL + 7);
  const sink = await open(FILM);
  expect(await sink.apply([...pieces(3 * INTERVAL, SIZE), end(0, CONTENT)])).toEqual([]);
  expect(sink.findings?.damage).toEqual([[0, { start: INTERVAL, end: 2 * INTERVAL }]]);
  const middle = INTERVAL + MIB;
  expect(await sink.apply([repair(INTERVAL, CONTENT.slice(INTERVAL, middle))])).toEqual([]);
  expect(sink.findings?.damage).toEqual([]);
  const outcomes = await sink.apply([repair(middle, CONTENT.slice(middle, 2 * INTERVAL))]);
  expect(outcomes).toMatchObject([{ status: "ok", sha256: sha256(CONTENT) }]);
  expect(Buffer.compare(await finish(sink), CONTENT)).toBe(0);
});

test("zeros can come again without content", async () => {
  const empty = new Uint8Array(SIZE);
  const first = await open(FILM);
  await first.apply([hole(0, 0, INTERVAL)]);
  await first.close();
  stored("content").content[7] = 1;
  const sink = await open(FILM);
  await sink.apply([hole(0, INTERVAL, SIZE - INTERVAL), end(0, empty)]);
  const [outcome] = await sink.apply([repair(0, new Uint8Array(), INTERVAL)]);
  expect(outcome).toMatchObject({ status: "ok", sha256: sha256(empty) });
  await sink.close();
});

test("changed bytes that do not come fail the file, and what precedes them stays", async () => {
  await interrupt(3 * INTERVAL);
  flip(INTERVAL + 7);
  const sink = await open(FILM);
  await sink.apply([...pieces(3 * INTERVAL, SIZE), end(0, CONTENT)]);
  const [outcome] = await sink.apply([repair(INTERVAL, new Uint8Array())]);
  expect(outcome).toMatchObject({
    status: "failed",
    reason: "film.mkv: bytes 8 to 17 MB of its part were changed on the disk; try again",
  });
  await sink.close();
  expect(stored("content").content.length).toBe(INTERVAL);
  expect((await privateParts.list()).map(startOf)).toEqual([INTERVAL]);
});

test("a run that ends before the first content leaves the part as it was", async () => {
  await interrupt(2 * INTERVAL);
  await (await open(FILM)).close();
  expect((await privateParts.list()).map(startOf)).toEqual([2 * INTERVAL]);
});

test("a run that ends while changed bytes are awaited leaves them to the next one", async () => {
  await interrupt(3 * INTERVAL);
  flip(7);
  for (const rest of [pieces(3 * INTERVAL, SIZE), []]) {
    const sink = await open(FILM);
    await sink.apply([...rest, end(0, CONTENT)]);
    expect(sink.findings?.damage).toEqual([[0, { start: 0, end: INTERVAL }]]);
    await sink.close();
    expect((await privateParts.list()).map(startOf)).toEqual([SIZE]);
  }
});

test("a changed source begins again, in the same part", async () => {
  await interrupt(2 * INTERVAL);
  const other = CONTENT.slice().reverse();
  const sink = await open(FILM);
  await sink.apply([
    { type: "restart", number: 0, offset: 2 * INTERVAL, cost: 0 },
    ...pieces(0, INTERVAL, other),
  ]);
  expect(sink.findings).toEqual({ damage: [], checked: null });
  expect(journal()).toEqual([{ offset: INTERVAL, sha256: sha256(other.subarray(0, INTERVAL)) }]);
  // What was asked for before is of no use.
  expect(await sink.apply([repair(0, new Uint8Array())])).toEqual([]);
  const [outcome] = await sink.apply([...pieces(INTERVAL, SIZE, other), end(0, other)]);
  expect(outcome).toMatchObject({ status: "ok", sha256: sha256(other) });
  await sink.close();
});

test("other content than the sender's leaves no part", async () => {
  await interrupt(2 * INTERVAL);
  const sink = await open(FILM);
  const other = CONTENT.slice();
  other.set([1, 2, 3]);
  const outcomes = await sink.apply([...pieces(2 * INTERVAL, SIZE), end(0, other)]);
  expect(outcomes).toMatchObject([{ status: "mismatch" }]);
  await sink.close();
  expect(root.tree()).toEqual({ "dcsend/": "" });
});

test("a full disk ends the transfer, and the part stays", async () => {
  await interrupt(INTERVAL);
  stored("content").room = 2 * INTERVAL;
  const sink = await open(FILM);
  await expect(sink.apply(pieces(INTERVAL, SIZE))).rejects.toMatchObject({
    message: "no room on the disk",
    hint: "make room, then try again",
  });
  await sink.close();
  expect((await privateParts.list()).map(startOf)).toEqual([2 * INTERVAL]);
});

test("another file of that name, size or time is not continued", async () => {
  await interrupt(INTERVAL);
  for (const change of [{ path: "other" }, { size: SIZE + 1 }, { mtime: 1 }]) {
    const sink = await open({ ...FILM, ...change });
    expect(sink.have).toEqual(new Map());
    await sink.close();
  }
  expect((await privateParts.list()).length).toBe(1);
});

test("loose files are continued each, and a small one is not kept", async () => {
  const entries = [FILM, file("small", 3), { ...FILM, path: "second" }];
  const first = await open(...entries);
  await first.apply(whole(0, CONTENT));
  await first.apply([...whole(1, new Uint8Array(3)), ...pieces(0, INTERVAL, CONTENT, 2)]);
  await first.close();
  const sink = await open(...entries);
  expect(sink.have).toEqual(new Map([[2, INTERVAL]]));
  await sink.apply([...whole(0, CONTENT), ...whole(1, new Uint8Array(3))]);
  const rest = [...pieces(INTERVAL, SIZE, CONTENT, 2), { ...end(2, CONTENT) }];
  expect(await sink.apply(rest)).toMatchObject([{ status: "ok", saved: "second" }]);
  await sink.close();
});

test("a part that another tab writes is busy: it is not continued and not deleted", async () => {
  await interrupt(INTERVAL);
  const [part] = await privateParts.list();
  locks.held.add(lockName(part?.id ?? ""));
  expect((await privateParts.list()).map(({ busy }) => busy)).toEqual([true]);
  await privateParts.remove(part?.id ?? "");
  const sink = await open(FILM);
  expect(sink.have).toEqual(new Map());
  await sink.close();
  expect((await privateParts.list()).map(({ id }) => id)).toEqual([part?.id]);
});

test("an offer does not wait for a list of parts that does not come, and shows it later", async () => {
  vi.useFakeTimers();
  let arrive: (parts: []) => void = () => {};
  const list = () => new Promise<[]>((resolve) => (arrive = resolve));
  let shown = 0;
  const looking = new KeptParts({ list, remove: async () => {} }).look([FILM], () => {
    shown += 1;
    return true;
  });
  await vi.advanceTimersByTimeAsync(5000);
  await looking;
  arrive([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(shown).toBe(1);
  vi.useRealTimers();
});

test("a part is deleted with its folder", async () => {
  await interrupt(INTERVAL);
  for (const { id } of await privateParts.list()) await privateParts.remove(id);
  expect(root.tree()).toEqual({ "dcsend/": "" });
});

test("the longest of several parts of a file is continued, and by one entry alone", () => {
  const part = (id: string, offset: number, busy = false) => {
    return { id, file: FILM, points: [{ offset, start: 0, sha256: "", end: 0 }], time: 0, busy };
  };
  const parts = [part("a", 1), part("b", 3), part("c", 2), part("d", 9, true)];
  const found = matching(parts, [FILM, FILM], new Set([0, 1]));
  expect([...found].map(([number, { id }]) => [number, id])).toEqual([[0, "b"]]);
  expect(matching(parts, [FILM], new Set()).size).toBe(0);
});
