/** The receiving page with a peer in memory: what fails, and what ends early, at every step. */
import { describe, expect, test } from "vitest";
import { ConnectionFailed, IntegrityError, Interrupted, PeerRefused } from "../src/errors.ts";
import { memoryPair } from "./memory-peers.ts";
import { content, entry, noRoom, SendingPeer, startPage, until } from "./parties.ts";
import { FILM, transfer, verdicts } from "./receiving.ts";

describe("what goes wrong", () => {
  test("other bytes are a mismatch on both sides", async () => {
    const { page, peer } = transfer(FILM);
    peer.wrong = "digest";
    const done = await page.run.finished;
    expect(done.ok).toBe(false);
    expect(verdicts(page)).toEqual(["film.bin: mismatch"]);
    expect(page.of("failed")[0]?.error).toBeInstanceOf(IntegrityError);
    expect(peer.of("verdict-received")).toMatchObject([{ number: 0, status: "mismatch" }]);
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
        .of("verdict-received")
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
    expect(peer.of("verdict-received").map(({ number }) => number)).toEqual([1, 0]);
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
    page.run.sendLine("after the end");
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
    page.run.sendLine("late");
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
