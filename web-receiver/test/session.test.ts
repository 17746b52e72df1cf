/** The receiving page, from the first message to the last, with a peer in memory. */
import { describe, expect, test } from "vitest";
import {
  ConnectionFailed,
  DestinationError,
  IntegrityError,
  Interrupted,
  PeerRefused,
} from "../src/errors.ts";
import type { Content } from "../src/files/contract.ts";
import { memoryPair } from "./memory-peers.ts";
import { type Changes, content, entry, noRoom, SendingPeer, startPage, until } from "./parties.ts";

type Offer = [path: string, bytes: Uint8Array][];

/** Let a peer offer files to a page. */
function transfer(offer: Offer, changes: Changes = {}, window?: number) {
  const page = startPage(changes);
  const entries = offer.map(([path, bytes]) => entry(path, bytes.length));
  const contents = offer.map(([, bytes], number) => [number, bytes] as const);
  return { page, peer: new SendingPeer(page.peer, entries, contents, window) };
}

const verdicts = (page: ReturnType<typeof startPage>) =>
  page.of("file").map(({ path, status }) => `${path}: ${status}`);

const FILM: Offer = [["film.bin", content(1_000_000)]];

describe("files arrive", () => {
  test.each([0, 1, 60_000, 60_001, 1_000_000])("one of %i bytes", async (size) => {
    const { page, peer } = transfer([["film.bin", content(size)]]);
    const done = await page.run.finished;
    await peer.ended;
    expect(page.sinks[0]?.files.get(0)).toEqual([...content(size)]);
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
    expect(peer.of("file-judged")).toHaveLength(500);
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

describe("what goes wrong", () => {
  test("other bytes are a mismatch on both sides", async () => {
    const { page, peer } = transfer(FILM);
    peer.wrong = "digest";
    const done = await page.run.finished;
    expect(done.ok).toBe(false);
    expect(verdicts(page)).toEqual(["film.bin: mismatch"]);
    expect(page.of("failed")[0]?.error).toBeInstanceOf(IntegrityError);
    expect(peer.of("file-judged")).toMatchObject([{ number: 0, status: "mismatch" }]);
  });

  test("a file that the sender gives up fails alone", async () => {
    const { page, peer } = transfer(FILM);
    peer.wrong = "abort";
    await page.run.finished;
    expect(page.of("file")).toMatchObject([{ path: "film.bin", status: "failed" }]);
    expect(page.of("failed")[0]?.error.kind).toBe("source");
    expect(peer.of("completed")).toMatchObject([{ ok: false, files: 0 }]);
  });

  test("a folder that can't be created is reported on both sides", async () => {
    const page = startPage({
      sink: (sink) => {
        const rest = { saved: "", size: 0, sha256: "", text: null };
        sink.extra = [{ number: 0, status: "failed", reason: "a file is in its place", ...rest }];
      },
    });
    const peer = new SendingPeer(
      page.peer,
      [entry("d", 0, "directory"), entry("d/f", 1)],
      [[1, content(1)]],
    );
    await page.run.finished;
    expect(verdicts(page).sort()).toEqual(["d/f: ok", "d: failed"]);
    expect(
      peer
        .of("file-judged")
        .map(({ status }) => status)
        .sort(),
    ).toEqual(["failed", "ok"]);
  });

  test("a last file that fails before its end completes nothing before the folders", async () => {
    const rest = { status: "failed", saved: "", size: 0, sha256: "", text: null } as const;
    const page = startPage({
      sink: (sink) => {
        sink.extra = [{ number: 0, reason: "a file is in its place", ...rest }];
        const outcomes = [{ number: 1, reason: "can't be made", ...rest }];
        sink.apply = async () => outcomes.splice(0);
      },
    });
    const peer = new SendingPeer(
      page.peer,
      [entry("d", 0, "directory"), entry("d/f", 200_000)],
      [[1, content(200_000)]],
      65_000,
    );
    await page.run.finished;
    expect(verdicts(page).sort()).toEqual(["d/f: failed", "d: failed"]);
    expect(peer.of("file-judged").map(({ number }) => number)).toEqual([1, 0]);
    expect(peer.of("completed")).toMatchObject([{ ok: false, files: 0 }]);
  });

  test("a byte changed on the way ends both sides with integrity", async () => {
    const pair = memoryPair((message) => {
      if (typeof message !== "string") message[30] = (message[30] ?? 0) ^ 1;
      return message;
    });
    const { page, peer } = transfer(FILM, { pair });
    await page.run.finished;
    await peer.ended;
    expect(page.of("failed")[0]?.error).toBeInstanceOf(IntegrityError);
    expect(peer.of("cancelled")).toMatchObject([{ reason: "integrity" }]);
    expect(page.sinks[0]?.closed).toBe(1);
  });

  test("a full disk cancels with the reason", async () => {
    const { page, peer } = transfer(FILM, {
      sink: (sink) => {
        sink.ready = () => Promise.reject(noRoom());
      },
    });
    await page.run.finished;
    await peer.ended;
    expect(peer.of("cancelled")).toMatchObject([
      { reason: "destination", message: noRoom().message },
    ]);
    expect(page.of("failed").map(({ error }) => error)).toEqual([noRoom()]);
    expect(page.sinks[0]?.closed).toBe(1);
  });

  test("an unexpected error is reported with its cause", async () => {
    const { page, peer } = transfer(FILM, { openSink: () => Promise.reject(new TypeError("oh")) });
    await page.run.finished;
    expect(page.of("failed")[0]?.error).toMatchObject({
      kind: "unexpected",
      cause: new TypeError("oh"),
    });
    expect(peer.of("declined")).toMatchObject([{ reason: "error" }]);
  });

  test("a first message that is no hello is a violation", async () => {
    const page = startPage();
    page.peer.channels.control.send('{"type":"bye"}');
    await page.run.finished;
    expect(page.of("failed")[0]?.error.kind).toBe("protocol");
    expect(await page.peer.channels.control.receive()).toMatch('"hello"');
    expect(await page.peer.channels.control.receive()).toMatch(/"cancel".*"protocol"/);
  });

  test("a verdict that the sink forgot is not taken for done", async () => {
    const { page } = transfer(FILM, {
      sink: (sink) => {
        sink.apply = async () => [];
      },
    });
    expect((await page.run.finished).ok).toBe(false);
    expect(page.of("failed")[0]?.error.kind).toBe("bug");
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

describe("ended early", () => {
  test.each([
    ["folders", [entry("d", 0, "directory")]],
    ["files", [entry("f", 1)]],
  ])("a connection lost after the last word changes nothing: %s", async (_, entries) => {
    const pair = memoryPair((message) => {
      if (typeof message === "string" && message.includes('"complete"')) pair[0].cut();
      return message;
    });
    const page = startPage({ pair });
    new SendingPeer(page.peer, entries, entries[0]?.kind === "file" ? [[0, content(1)]] : []);
    expect(await page.run.finished).toMatchObject({ ok: true });
  });

  test("a peer that cancels ends the run, with a text that is safe to show", async () => {
    const { page, peer } = transfer(FILM, { questions: { decide: () => new Promise(() => {}) } });
    await until(() => page.of("manifest").length === 1);
    peer.protocol.cancel("error", "disk \u001b[31mbroke");
    peer.flush();
    await page.run.finished;
    expect(page.of("failed")[0]?.error).toEqual(
      new PeerRefused("the other side stopped: disk \\x1b[31mbroke"),
    );
  });

  test("an answer that comes too late makes nothing", async () => {
    let accept = () => {};
    const { page, peer } = transfer(FILM, {
      questions: {
        decide: () =>
          new Promise((resolve) => {
            accept = () =>
              resolve({ skip: new Map(), destination: { type: "memory", zipped: true } });
          }),
      },
    });
    await until(() => page.of("manifest").length === 1);
    peer.protocol.cancel("interrupted");
    peer.flush();
    await page.run.finished;
    accept();
    await new Promise((resolve) => setImmediate(resolve));
    expect(page.sinks).toEqual([]);
    expect(page.events.at(-1)?.type).toBe("done");
  });

  test("stopping sends Cancel at once", async () => {
    const { page, peer } = transfer(FILM, { questions: { decide: () => new Promise(() => {}) } });
    await until(() => page.of("manifest").length === 1);
    page.run.stop();
    await page.run.finished;
    await peer.ended;
    expect(peer.of("cancelled")).toMatchObject([{ reason: "interrupted" }]);
    expect(page.of("failed")[0]?.error).toBeInstanceOf(Interrupted);
  });

  test("leaving sends Cancel before the call returns", async () => {
    const { page, peer } = transfer(FILM, { questions: { decide: () => new Promise(() => {}) } });
    await until(() => page.of("manifest").length === 1);
    const sent: unknown[] = [];
    const { control } = page.connection.channels;
    const send = control.send.bind(control);
    control.send = (message) => {
      sent.push(message);
      return send(message);
    };
    page.run.leave();
    expect(sent).toEqual([expect.stringMatching(/"cancel".*"interrupted".*page was closed/)]);
    await page.run.finished;
    expect(peer.of("cancelled")).toMatchObject([{ reason: "interrupted" }]);
  });

  test("leaving and stopping before the connection end the run, and a late connection is closed", async () => {
    const [connection, peer] = memoryPair();
    let answer = () => {};
    const page = startPage({
      connect: () =>
        new Promise((resolve) => {
          answer = () => resolve(connection);
        }),
    });
    page.run.leave();
    page.run.stop();
    page.run.say("nobody hears it");
    expect((await page.run.finished).ok).toBe(false);
    expect(page.events.map(({ type }) => type)).toEqual(["failed", "done"]);
    answer();
    await expect(peer.channels.text.receive()).rejects.toThrow(ConnectionFailed);
  });

  test("stopping while it dials ends the dial, which would spend the code", async () => {
    let dialed: AbortSignal | undefined;
    const page = startPage({
      connect: (signal) => {
        dialed = signal;
        return new Promise(() => {});
      },
    });
    expect(dialed?.aborted).toBe(false);
    page.run.stop();
    await page.run.finished;
    expect(dialed?.aborted).toBe(true);
  });

  test("after the end nothing has an effect", async () => {
    const { page } = transfer(FILM);
    await page.run.finished;
    const { length } = page.events;
    page.run.stop();
    page.run.leave();
    page.run.say("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(page.events).toHaveLength(length);
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
    const page = startPage({ pair });
    const offer = [entry("a", 100_000), entry("d", 0, "directory"), entry("b", 0)];
    const peer = new SendingPeer(page.peer, offer, [
      [0, content(100_000)],
      [2, content(0)],
    ]);
    const done = await page.run.finished;
    await peer.ended;
    expect(page.of("done")).toEqual([done]);
    expect(page.events.at(-1)).toBe(done);
    expect(page.of("failed")).toHaveLength(done.ok ? 0 : 1);
    // A file that the sender counts as complete is complete here.
    if (peer.of("completed").length > 0) expect(done.ok).toBe(true);
    for (const sink of page.sinks) expect(sink.closed).toBeGreaterThan(0);
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
