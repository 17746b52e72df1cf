/** The receiving page with a peer in memory: what arrives, what is not wanted, bounded memory. */
import { describe, expect, test } from "vitest";
import type { Content } from "../src/content.ts";
import { DestinationError, PeerRefused } from "../src/errors.ts";
import { content, entry, has, SendingPeer, startPage, until } from "./parties.ts";
import { FILM, type Offer, transfer, verdicts } from "./receiving.ts";

describe("files arrive", () => {
  test.each([0, 1, 60_000, 60_001, 1_000_000])("one of %i bytes", async (size) => {
    const { page, peer } = transfer([["film.bin", content(size)]]);
    const done = await page.run.finished;
    await peer.ended;
    expect(has(page.sinks[0]?.files.get(0), content(size))).toBe(true);
    expect(done).toMatchObject({ ok: true, bytes: size });
    expect(peer.of("completed")).toMatchObject([{ ok: true, files: 1, bytes: size }]);
  });

  test("many small ones", async () => {
    const offer: Offer = Array.from({ length: 500 }, (_, n) => [`f${n}`, content(n % 7, n)]);
    const { page, peer } = transfer(offer);
    const done = await page.run.finished;
    expect(done.files).toHaveLength(500);
    expect(done.files.every(({ status, path, saved }) => status === "ok" && path === saved)).toBe(
      true,
    );
    expect(peer.of("verdict-received")).toHaveLength(500);
  });

  test("events come in the order of the story", async () => {
    const { page } = transfer(FILM);
    await page.run.finished;
    const types = page.events.map(({ type }) => type).filter((type) => type !== "progress");
    expect(types).toEqual(["connected", "manifest", "file", "done"]);
    expect(page.of("connected")).toMatchObject([
      { peer: "peer", role: "receiver", path: "memory" },
    ]);
    expect(page.of("progress").at(-1)).toMatchObject({ bytes: 1_000_000, total: 1_000_000 });
  });

  test("a text is emitted and does not count as a saved file", async () => {
    const page = startPage();
    new SendingPeer(
      page.peer,
      [entry("../text", 5, "text")],
      [[0, new TextEncoder().encode("hello")]],
    );
    await page.run.finished;
    expect(page.of("text")).toMatchObject([{ text: "hello", sent: false, kind: "snippet" }]);
  });

  test("nothing is complete before the sink has concluded", async () => {
    const { page, peer } = transfer(FILM, {
      sink: (sink) => {
        sink.withhold = true;
        sink.exports = [{ name: "film.bin", blob: new Blob() }];
      },
    });
    const done = await page.run.finished;
    expect(page.sinks[0]?.finished).toBe(1);
    expect(done.exports).toEqual([{ name: "film.bin", blob: expect.any(Blob) }]);
    expect(peer.of("completed")).toMatchObject([{ ok: true }]);
  });

  test.each([
    ["nothing", []],
    ["only folders", [entry("a", 0, "directory"), entry("a/b", 0, "directory")]],
  ])("%s is complete at once", async (_, entries) => {
    const page = startPage();
    const peer = new SendingPeer(page.peer, entries, []);
    expect(await page.run.finished).toMatchObject({ ok: true, files: [] });
    expect(page.sinks[0]?.finished).toBe(1);
    expect(peer.of("completed")).toMatchObject([{ ok: true, files: 0, bytes: 0 }]);
  });
});

test("the verdict of a file is sent before the next file is handed over", async () => {
  let write = () => {};
  const written = new Promise<void>((resolve) => {
    write = resolve;
  });
  let save = () => {};
  const saved = new Promise<void>((resolve) => {
    save = resolve;
  });
  const handed: string[] = [];
  const { page, peer } = transfer(
    ["a", "b", "c"].map((path) => [path, content(1)]),
    {
      sink: (sink) => {
        sink.ready = () => written;
        const apply = sink.apply.bind(sink);
        sink.apply = async (batch) =>
          (await apply(batch)).map((outcome) => ({
            ...outcome,
            download: { name: outcome.saved, blob: new Blob() },
          }));
      },
      handOver: async ({ name }) => {
        handed.push(name);
        if (name === "c") await saved;
      },
    },
  );
  // Then "b" and "c" are one batch.
  await until(() => peer.protocol.state === "sent", "all frames");
  write();
  await until(() => handed.includes("c"), "the last download");
  await until(() => peer.of("verdict-received").length === 2, "two verdicts");
  save();
  expect((await page.run.finished).ok).toBe(true);
});

describe("what is not wanted", () => {
  test("declining sends Decline and opens nothing", async () => {
    const { page, peer } = transfer(FILM, { questions: { decide: async () => null } });
    const done = await page.run.finished;
    expect(done.ok).toBe(false);
    expect(page.of("failed").map(({ error }) => error)).toEqual([new PeerRefused("you declined")]);
    expect(peer.of("declined")).toMatchObject([{ reason: "declined" }]);
    expect(page.sinks).toEqual([]);
  });

  test("files that are not wanted, unsafe names and links are skipped", async () => {
    const page = startPage({
      questions: {
        decide: async () => ({
          skip: new Map([[0, "declined"]]),
          destination: { type: "memory" as const, zipped: true },
        }),
      },
    });
    const entries = [entry("a", 1), entry("../b", 1), entry("l", 0, "link"), entry("c", 1)];
    const peer = new SendingPeer(
      page.peer,
      entries,
      [0, 1, 3].map((n) => [n, content(1, n)]),
    );
    await page.run.finished;
    expect(peer.of("accepted")[0]?.skip).toEqual(
      new Map([
        [0, "declined"],
        [1, "unsafe"],
        [2, "unsupported"],
      ]),
    );
    expect(page.sinks[0]?.opened.wanted).toEqual(new Set([3]));
    expect(verdicts(page)).toEqual(["a: skipped", "../b: failed", "l: skipped", "c: ok"]);
    expect(page.of("warning")[0]?.message).toMatch("2 of 4 can't be saved; ../b: it leads out");
    expect(page.of("failed")[0]?.error.kind).toBe("partly");
  });

  test("a destination that can't be opened is declined before a byte comes", async () => {
    const { page, peer } = transfer(FILM, {
      openSink: () => Promise.reject(new DestinationError("no room")),
    });
    await page.run.finished;
    expect(peer.of("declined")).toMatchObject([{ reason: "destination", message: "no room" }]);
    expect(page.of("failed")[0]?.error).toEqual(new DestinationError("no room"));
  });
});

describe("memory is bounded", () => {
  test("nothing is acknowledged before it is written", async () => {
    const window = 200_000;
    const release: (() => void)[] = [];
    const sizes: number[] = [];
    const { page, peer } = transfer(FILM, {
      window,
      sink: (sink) => {
        sink.ready = () => new Promise((resolve) => release.push(resolve));
      },
    });
    await until(() => release.length === 1 && peer.most > window - 60_056, "a full window");
    expect(peer.protocol.acknowledged).toBe(0);
    const finished = page.run.finished.then(() => true);
    while (!(await Promise.race([finished, new Promise((r) => setImmediate(() => r(false)))]))) {
      for (const go of release.splice(0)) go();
    }
    for (const batch of page.sinks[0]?.batches ?? []) sizes.push(batch.length);
    expect(peer.most).toBeLessThanOrEqual(window);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(window / 60_000);
    expect((await page.run.finished).ok).toBe(true);
  });

  test("a batch is a part of what is pending, so that acknowledgements keep coming", async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { page, peer } = transfer([["film.bin", content(4_000_000)]], {
      sink: (sink) => {
        sink.ready = () => gate;
      },
    });
    await until(() => peer.most >= 4_000_000, "all of it on the way");
    release();
    await page.run.finished;
    const lengths = (page.sinks[0]?.batches ?? []).map((batch: readonly Content[]) => batch.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(18);
  });
});
