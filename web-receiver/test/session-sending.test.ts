/** The sending page, from the first message to the last, with a peer in memory. */
import { describe, expect, test } from "vitest";
import { Interrupted, PeerCannotSave } from "../src/errors.ts";
import { FRAME_HEADER, MAX_FRAME } from "../src/protocol/limits.ts";
import { memoryPair } from "./memory-peers.ts";
import {
  blocksOf,
  type Changes,
  chosen,
  content,
  has,
  ReceivingPeer,
  sha256,
  startPage,
  until,
} from "./parties.ts";

/** Let a page send files to a peer. */
function transfer(files: Record<string, Uint8Array>, changes: Changes = {}, window?: number) {
  const page = startPage({
    blocks: blocksOf(Object.values(files)),
    ...changes,
    questions: { choose: async () => chosen(files), ...changes.questions },
  });
  return { page, peer: new ReceivingPeer(page.peer, window) };
}

const film = { "film.bin": content(1_000_000) };

describe("files are sent", () => {
  test.each([0, 1, 64_904, 64_905, 1_000_000])("one of %i bytes", async (size) => {
    const { page, peer } = transfer({ "film.bin": content(size) });
    const done = await page.run.finished;
    await peer.ended;
    expect(has(peer.files.get(0), content(size))).toBe(true);
    expect(done).toMatchObject({ ok: true, bytes: size });
    const digest = Buffer.from(sha256(content(size))).toString("hex");
    expect(page.of("file")).toMatchObject([{ status: "ok", bytes: size, sha256: digest }]);
    expect(peer.of("peer-said-bye")).toHaveLength(1);
    expect(page.sources[0]?.closed).toBe(true);
  });

  test("many small ones", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 3000 }, (_, n) => [`f${n}`, content(3, n)]),
    );
    const { page } = transfer(files);
    const done = await page.run.finished;
    expect(done.files.filter(({ status }) => status === "ok")).toHaveLength(3000);
    expect(done.bytes).toBe(3000 * 3);
  });

  test("progress is what the receiver has acknowledged", async () => {
    const { page } = transfer(film);
    await page.run.finished;
    const types = page.events.map(({ type }) => type).filter((type) => type !== "progress");
    expect(types).toEqual(["connected", "manifest", "file", "done"]);
    expect(page.of("connected")).toMatchObject([{ role: "sender", peer: "peer" }]);
    expect(page.of("progress").at(-1)).toMatchObject({ bytes: 1_000_000, total: 1_000_000 });
  });

  test("a peer that takes short frames gets short frames", async () => {
    const pair = memoryPair((message) =>
      typeof message === "string"
        ? message.replace(/"max_frame":\d+/, '"max_frame":1024')
        : message,
    );
    const { page, peer } = transfer(film, { pair });
    expect((await page.run.finished).ok).toBe(true);
    expect(Math.max(...peer.frames)).toBeLessThanOrEqual(1024);
    expect(has(peer.files.get(0), content(1_000_000))).toBe(true);
  });

  test.each([1, 500, MAX_FRAME, 3 * MAX_FRAME + 1])("within a window of %i", async (window) => {
    // The peer's protocol refuses more.
    const { page } = transfer(film, {}, window);
    expect((await page.run.finished).ok).toBe(true);
  });

  test("a clogged channel is waited for", async () => {
    const { page, peer } = transfer({ "film.bin": content(3_000_000) });
    page.connection.channels.data.clog();
    await until(() => page.of("connected").length === 1 && page.sources.length === 1);
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(peer.frames).toEqual([]);
    page.connection.channels.data.unclog();
    expect((await page.run.finished).ok).toBe(true);
  });

  test.each([1, 99_999, 100_000, 250_000, 1_000_000])(
    "what the peer has (%i bytes) is left out",
    async (have) => {
      const { page, peer } = transfer(film);
      peer.answer = () => {
        peer.files.set(0, [...content(1_000_000).subarray(0, have)]);
        peer.protocol.accept(new Map(), new Map([[0, have]]));
      };
      expect((await page.run.finished).ok).toBe(true);
      expect(has(peer.files.get(0), content(1_000_000))).toBe(true);
      const frames = peer.frames.reduce((sum, length) => sum + length - FRAME_HEADER, -32);
      expect(frames).toBe(1_000_000 - have);
      // Both numbers count what the peer had, as it shows them itself.
      const progress = page.of("progress");
      expect(progress[0]).toMatchObject({ total: 1_000_000, bytes: have });
      const all = { total: 1_000_000, bytes: 1_000_000, path: "film.bin", done: 1_000_000 };
      expect(progress.at(-1)).toMatchObject(all);
    },
  );
});

describe("what the receiver does not take", () => {
  test("is skipped, with a reason for each", async () => {
    const files = { a: content(1), b: content(1), c: content(1) };
    const { page, peer } = transfer(files, {
      blocks: blocksOf([content(1)]).map((b) => ({ ...b, number: 2 })),
    });
    peer.answer = () =>
      peer.protocol.accept(
        new Map([
          [0, "declined"],
          [1, "unsafe"],
        ]),
      );
    await page.run.finished;
    expect(page.of("file").map(({ status, reason }) => [status, reason])).toEqual([
      ["skipped", "not wanted"],
      ["failed", "the receiver refuses this name"],
      ["ok", ""],
    ]);
    expect(page.of("failed")[0]?.error.kind).toBe("partly");
  });

  test("declined is reported, and answered with bye", async () => {
    const { page, peer } = transfer(film);
    peer.answer = () => peer.protocol.decline("destination", "no room\u202e");
    await page.run.finished;
    await peer.ended;
    expect(page.of("failed")[0]?.error).toEqual(
      new PeerCannotSave("the other side can't save it: no room\\u202e"),
    );
    expect(peer.of("peer-said-bye")).toHaveLength(1);
  });
});

describe("what goes wrong", () => {
  test("a file that can't be read is given up, the others go on", async () => {
    const [first, second] = blocksOf([content(10), content(20)]);
    if (first === undefined || second === undefined) throw new Error("no blocks");
    const { page, peer } = transfer(
      { a: content(10), b: content(20) },
      {
        blocks: [
          { ...first, payload: new Uint8Array(), digest: null, failure: "vanished" },
          second,
        ],
      },
    );
    await page.run.finished;
    expect(page.of("file").map(({ path, status, reason }) => [path, status, reason])).toEqual([
      ["a", "failed", "vanished"],
      ["b", "ok", ""],
    ]);
    expect(has(peer.files.get(1), content(20))).toBe(true);
  });

  test.each([
    ["mismatch", "integrity", "the receiver received different bytes"],
    ["failed", "destination", "the receiver could not save it"],
  ] as const)("the verdict %s is an error of kind %s", async (status, kind, reason) => {
    const { page, peer } = transfer(film);
    peer.verdictOf = () => status;
    await page.run.finished;
    expect(page.of("file")).toMatchObject([{ status, reason }]);
    expect(page.of("failed")[0]?.error.kind).toBe(kind);
  });

  test.each([
    [0, 100_000],
    [1, 100_000],
    [0, 4_000_000],
  ])("a file that fails at the receiver is not sent to its end: %i", async (bad, blockSize) => {
    const names = bad === 0 ? ["large", "small"] : ["small", "large"];
    const files = { large: content(3_000_000), small: content(20) };
    const ordered = Object.fromEntries(
      names.map((name) => [name, files[name as keyof typeof files]]),
    );
    const blocks = blocksOf(Object.values(ordered), blockSize);
    const { page, peer } = transfer(ordered, { blocks }, 4 * MAX_FRAME);
    peer.refuses.add(bad);
    await page.run.finished;
    await peer.ended;
    const statuses = page.of("file").map(({ path, status }) => `${path}: ${status}`);
    expect(statuses.sort()).toEqual(["large: failed", "small: ok"]);
    expect(peer.files.get(bad)?.length).toBeLessThan(1_000_000);
    expect(has(peer.files.get(1 - bad), content(20))).toBe(true);
    expect(peer.of("peer-said-bye")).toHaveLength(1);
  });

  test("a source that breaks cancels with the reason", async () => {
    const { page, peer } = transfer(film, {
      openSource: () => ({ next: () => Promise.reject(new TypeError("oh")), close: () => {} }),
    });
    await page.run.finished;
    await peer.ended;
    expect(peer.of("cancelled")).toMatchObject([{ reason: "error" }]);
    expect(page.of("failed")).toHaveLength(1);
  });

  test.each([null, []])("choosing %j cancels", async (nothing) => {
    const { page, peer } = transfer(film, { questions: { choose: async () => nothing } });
    await page.run.finished;
    await peer.ended;
    expect(peer.of("cancelled")).toMatchObject([{ reason: "interrupted" }]);
    expect(page.of("failed")[0]?.error).toBeInstanceOf(Interrupted);
  });

  test("a peer that cancels while the person chooses ends it", async () => {
    const { page, peer } = transfer(film, { questions: { choose: () => new Promise(() => {}) } });
    await until(() => page.of("connected").length === 1);
    peer.protocol.cancel("interrupted");
    peer.flush();
    await page.run.finished;
    expect(page.of("failed")[0]?.error.message).toBe("the other side cancelled");
  });
});

/** Run transfers, and act at the first, second, … message, until one ends before that. */
async function atEveryStep(act: (page: ReturnType<typeof startPage>) => void): Promise<number> {
  for (let step = 1; step < 200; step++) {
    let left = step;
    const pair = memoryPair((message) => {
      left -= 1;
      if (left === 0) queueMicrotask(() => act(page));
      return message;
    });
    const { page, peer } = transfer({ a: content(100_000), b: content(0) }, { pair });
    const done = await page.run.finished;
    await peer.ended;
    expect(page.of("done")).toEqual([done]);
    expect(page.events.at(-1)).toBe(done);
    expect(page.of("failed")).toHaveLength(done.ok ? 0 : 1);
    // A run is ok only after the verdicts of the receiver.
    if (done.ok) expect(peer.protocol.state).toMatch(/completed|done/);
    if (left > 0) return step;
  }
  throw new Error("no transfer came to its end");
}

describe("at every step", () => {
  test("a cut connection fails once and is done once", async () => {
    expect(await atEveryStep((page) => page.connection.cut())).toBeGreaterThan(8);
  });

  test("stopping fails once and is done once", async () => {
    expect(await atEveryStep((page) => page.run.stop())).toBeGreaterThan(8);
  });
});
