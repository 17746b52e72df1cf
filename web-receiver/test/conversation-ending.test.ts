/** How a run meets its peer and how it ends, with simulated time. */
import { describe, expect, test } from "vitest";
import { CodeExpired, ConnectionFailed, UsageError } from "../src/errors.ts";
import {
  chosen,
  content,
  entry,
  ReceivingPeer,
  SendingPeer,
  startPage,
  TestSink,
} from "./parties.ts";
import { connected, never, now, pass, simulateTime } from "./simulated-time.ts";

simulateTime();

describe("meeting", () => {
  const failing = (error: Error, expires: number) =>
    startPage({ connect: () => Promise.reject(error), expires, wallClock: () => 1000 });

  test("no answer: the hint names what can be checked", async () => {
    const page = failing(new ConnectionFailed("no answer"), 2000);
    await page.run.finished;
    expect(page.of("failed")[0]?.error.message).toBe("no answer");
    expect(page.of("failed")[0]?.error.hint).toMatch(/still running.*unused.*same network/);
  });

  test("no answer after the expiry of the code: expired", async () => {
    const page = failing(new ConnectionFailed("no answer"), 999);
    await page.run.finished;
    expect(page.of("failed")[0]?.error).toEqual(
      new CodeExpired("no answer, and the code has expired"),
    );
  });

  test("a hint that is there already, and another error, are kept", async () => {
    for (const error of [new ConnectionFailed("no", "do this"), new UsageError("no")]) {
      const page = failing(error, error instanceof UsageError ? 999 : 2000);
      await page.run.finished;
      expect(page.of("failed")[0]?.error).toBe(error);
    }
  });

  test("a peer that does not introduce itself within 15 seconds is given up", async () => {
    const page = startPage({ now });
    await pass(14.9);
    expect(page.events).toEqual([]);
    await pass(0.2);
    expect(page.of("failed")[0]?.error.message).toMatch("did not introduce itself within 15 s");
    await expect(page.peer.channels.control.receive()).rejects.toThrow(ConnectionFailed);
  });

  test("connected is emitted before anything is offered", async () => {
    const page = startPage({ now, questions: { choose: never } });
    new ReceivingPeer(page.peer);
    await pass(0);
    expect(page.events.map(({ type }) => type)).toEqual(["connected"]);
  });
});

describe("the last message", () => {
  /** A page that has received a file, and a peer that reads the last message after `seconds`. */
  function received(seconds: number) {
    const page = startPage({ now, wallClock: now });
    const peer = new SendingPeer(page.peer, [entry("f", 1)], [[0, content(1)]]);
    peer.busy = new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return { page, peer };
  }

  test("is held for a sender that is slow to read it", async () => {
    const { page, peer } = received(14);
    await pass(13.9);
    expect(page.of("file")).toMatchObject([{ status: "ok" }]);
    expect(page.of("done")).toEqual([]);
    await pass(0.2);
    await peer.ended;
    expect(peer.of("completed")).toHaveLength(1);
    expect(page.of("done")).toMatchObject([{ ok: true }]);
  });

  test("is not waited for without end", async () => {
    const { page } = received(60);
    await pass(15.1);
    expect(page.of("done")).toMatchObject([{ ok: true }]);
  });
});

describe("stopping", () => {
  test("takes less than a second, whatever the peer and the disk do", async () => {
    // The peer never closes the connection, and the sink never ends.
    const page = startPage({
      now,
      wallClock: now,
      openSink: async (_destination, entries, wanted) =>
        Object.assign(new TestSink(entries, wanted), {
          close: () => new Promise<never>(() => undefined),
        }),
    });
    new SendingPeer(page.peer, [entry("f", 1)], []);
    await pass(0.1);
    page.run.stop();
    await pass(0.85);
    expect(page.of("done")).toEqual([]);
    await pass(0.1);
    expect(page.of("done")).toHaveLength(1);
  });

  test("leaves a slow sink time to return complete files, though the peer never closes", async () => {
    const left = [{ name: "a.jpg", blob: new Blob(["photo"]) }];
    const page = startPage({
      now,
      wallClock: now,
      openSink: async (_destination, entries, wanted) =>
        Object.assign(new TestSink(entries, wanted), {
          close: () => new Promise((resolve) => setTimeout(() => resolve(left), 500)),
        }),
    });
    new SendingPeer(page.peer, [entry("f", 1)], []);
    await pass(0.1);
    page.run.stop();
    await pass(0.95);
    expect(page.of("done")).toMatchObject([{ ok: false, exports: left }]);
  });

  test("because of an error leaves the peer two seconds to read the reason", async () => {
    const { page } = await connected();
    page.peer.channels.control.send("no message");
    await pass(1.9);
    expect(page.of("done")).toEqual([]);
    await pass(0.2);
    expect(page.of("done")).toHaveLength(1);
  });
});

describe("closing", () => {
  test("a side that received Cancel does not wait", async () => {
    const { page, peer } = await connected();
    peer.protocol.cancel("error");
    peer.flush();
    await pass(0);
    expect(page.of("done")).toHaveLength(1);
  });

  test("a side that sent Cancel waits two seconds for the peer to close", async () => {
    const page = startPage({ now });
    page.peer.channels.control.send('{"type":"bye"}');
    await pass(1.99);
    expect(page.of("done")).toEqual([]);
    await pass(0.02);
    expect(page.of("done")).toHaveLength(1);
  });

  test("the sender waits one second for the receiver to close", async () => {
    const files = { a: new Uint8Array() };
    const { peer: far, ...page } = startPage({
      now,
      questions: { choose: async () => chosen(files) },
    });
    const peer = new ReceivingPeer(far);
    peer.answer = () => peer.protocol.accept(new Map([[0, "declined"]]));
    far.close = () => undefined;
    await pass(0.99);
    expect(peer.of("peer-said-bye")).toHaveLength(1);
    expect(page.of("done")).toEqual([]);
    await pass(0.02);
    expect(page.of("done")).toHaveLength(1);
  });
});
