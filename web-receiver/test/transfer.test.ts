/** Whole transfers: Sender and Receiver joined by a Link, without network and disk. */
import { describe, expect, test } from "vitest";
import { type Entry, NOTHING_LEFT_OUT } from "../src/entry.ts";
import { UsageError } from "../src/errors.ts";
import * as limits from "../src/protocol/limits.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import { Sender } from "../src/protocol/sender.ts";
import type { Side } from "../src/protocol/side.ts";
import { Link, type Plan } from "./link.ts";
import { bytes, file, folder } from "./peers.ts";

const FULL = limits.MAX_PAYLOAD_WITH_DIGEST;

/** Return a function for numbers below 2^32 without a short period. */
function random(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
    return state;
  };
}

/** Bytes without a short period, none of them 0. */
function content(size: number, seed = 0): Uint8Array {
  const next = random(seed + size);
  const bytes = new Uint8Array(size); // `from` with a function takes ten times as long
  for (let at = 0; at < size; at++) bytes[at] = (next() >>> 8) % 255 || 1;
  return bytes;
}

/** A link that is about to send these contents. */
function linkFor(contents: readonly Uint8Array[], plan: Plan = {}): Link {
  const entries = contents.map(({ length }, number) => file(`${number}.bin`, length));
  return new Link(entries, contents, plan);
}

/** Both sides have ended without an error, with this last message. */
function expectDone(link: Link, ok: boolean, files: number, sum: number): void {
  expect([link.sender.state, link.receiver.state]).toEqual(["done", "done"]);
  expect(link.senderEvents.at(-1)).toEqual({ type: "completed", ok, files, bytes: sum });
  expect(link.receiverEvents.at(-1)).toEqual({ type: "peer-said-bye" });
}

/** The receiver's disk has exactly these contents. */
function expectSaved(link: Link, contents: Record<number, Uint8Array>): void {
  const { files } = link;
  expect([...files.keys()].map(String).sort()).toEqual(Object.keys(contents).sort());
  for (const [number, wanted] of Object.entries(contents)) {
    expect(files.get(Number(number))?.equals(wanted), `file ${number}`).toBe(true);
  }
}

describe("transfer", () => {
  test.each([0, 1, FULL - 1, FULL, FULL + 1, 2 * FULL, limits.WINDOW, limits.WINDOW + 1])(
    "file of %i bytes arrives",
    (size) => {
      const link = linkFor([content(size)]);
      link.run();
      expectDone(link, true, 1, size);
      expectSaved(link, { 0: content(size) });
    },
  );

  test("both sides are introduced", () => {
    const link = linkFor([bytes("x")]);
    link.run();
    expect(link.senderEvents[0]).toMatchObject({ type: "peer-introduced", agent: "receiver/1" });
    expect(link.receiverEvents[0]).toMatchObject({ type: "peer-introduced", agent: "sender/1" });
  });

  test("nothing completes", () => {
    const link = linkFor([]);
    link.run();
    expectDone(link, true, 0, 0);
  });

  test("tree keeps the order and every field", () => {
    const entries: Entry[] = [
      { ...folder("d"), mode: 0o700, mtime: 5 },
      { ...file('d/ä"\\\n', 3), mode: 0o755, mtime: -1 },
      { ...file("d/l"), kind: "link", target: "ä", mode: 0o777 },
      { ...file("d/sparse", 9), stored: 0 },
      { ...file("note", 2), kind: "text" },
    ];
    const contents = [bytes(""), bytes("abc"), bytes(""), new Uint8Array(9), bytes("hi")];
    const link = new Link(entries, contents);
    link.run();
    expectDone(link, true, 3, 14);
    expect(link.receiverEvents).toContainEqual({
      type: "manifest-received",
      entries,
      leftOut: NOTHING_LEFT_OUT,
    });
    expectSaved(link, { 1: bytes("abc"), 3: new Uint8Array(9), 4: bytes("hi") });
  });

  test("many files arrive, though the manifest is split", () => {
    const contents = Array.from({ length: 3000 }, (_, number) => bytes(String(number)));
    const link = linkFor(contents);
    link.run();
    expectDone(
      link,
      true,
      3000,
      contents.map(({ length }) => length).reduce((a, b) => a + b),
    );
    expectSaved(link, { ...contents });
  });

  test("stream learns its size at the end", () => {
    const stream = content(3 * FULL + 5);
    const link = new Link([file("-", null)], [stream]);
    link.run();
    expectDone(link, true, 1, stream.length);
    expectSaved(link, { 0: stream });
  });

  test("aborted file leaves the others", () => {
    const abort = new Map([
      [0, FULL],
      [2, 0],
    ]);
    const link = linkFor([content(FULL + 1), bytes("whole"), content(9)], { abort });
    link.run();
    expectDone(link, false, 1, 5);
    expect(Object.fromEntries(link.verdicts)).toEqual({ 0: "failed", 1: "ok", 2: "failed" });
  });

  test("what is skipped is left out", () => {
    const skip = new Map([
      [0, "exists"],
      [2, "unsafe"],
      [3, "declined"],
    ]);
    const link = linkFor([..."abcd"].map(bytes), { skip });
    link.run();
    expectDone(link, true, 1, 1);
    expectSaved(link, { 1: bytes("b") });
  });

  test("only skipped files complete", () => {
    const link = linkFor([bytes("a")], { skip: new Map([[0, "exists"]]) });
    link.run();
    expectDone(link, true, 0, 0);
  });

  test.each([1, FULL, 2 * FULL, 2 * FULL + 7])("file goes on from %i bytes", (offset) => {
    const whole = content(2 * FULL + 7);
    const link = linkFor([whole], { have: new Map([[0, offset]]) });
    link.run();
    expectDone(link, true, 1, whole.length);
    expectSaved(link, { 0: whole });
    expect(link.receiver.received).toBeLessThan(whole.length - offset + 200);
  });

  test("very many skips and offsets split the answer", () => {
    const contents = Array.from({ length: 2500 }, (_, number) => bytes(String(number + 1000)));
    const odd = (_: unknown, number: number) => number % 2 === 1;
    const numbers = contents.map((_, number) => number);
    const skip = new Map(numbers.filter((number) => !odd(0, number)).map((n) => [n, "exists"]));
    const have = new Map(numbers.filter(odd).map((number) => [number, 2]));
    const link = linkFor(contents, { skip, have });
    link.run();
    expectDone(link, true, 1250, 5000);
    expectSaved(
      link,
      Object.fromEntries(numbers.filter(odd).map((n) => [n, bytes(String(n + 1000))])),
    );
  });

  test("file that changed is noticed", () => {
    const link = linkFor([content(9), content(8)], { damaged: [0] });
    link.run();
    expectDone(link, false, 1, 8);
    expect(Object.fromEntries(link.verdicts)).toEqual({ 0: "mismatch", 1: "ok" });
  });

  test("file that can't be saved leaves the others", () => {
    const link = linkFor([content(3 * FULL), content(8), content(7)], { unsaved: [0, 2] });
    link.run();
    expectDone(link, false, 1, 8);
    expect(Object.fromEntries(link.verdicts)).toEqual({ 0: "failed", 1: "ok", 2: "failed" });
  });

  test("declined transfer ends with bye", () => {
    const link = linkFor([bytes("x")], { decline: "destination" });
    link.run();
    expect(link.senderEvents.at(-1)).toEqual({
      type: "declined",
      reason: "destination",
      message: "no room",
    });
    expect([link.sender.state, link.receiver.state]).toEqual(["declined", "done"]);
  });

  test.each([1, 100, FULL + 56, 3 * FULL])("window of %i bytes is kept", (window) => {
    const link = linkFor([content(6 * FULL)], { window });
    link.run();
    expectSaved(link, { 0: content(6 * FULL) });
    expect(link.largestFlight).toBeLessThanOrEqual(Math.max(window, FULL + 56));
  });

  test("everything arrives in any order of events", () => {
    for (let seed = 0; seed < 100; seed++) {
      const next = random(seed);
      const below = (limit: number) => (next() >>> 4) % limit;
      const contents = Array.from({ length: below(7) }, () => content(below(41), seed));
      const link = linkFor(contents, { payload: 1 + below(20), window: 1 + below(300) });
      for (let steps = 0; steps < 300; steps++) link.step(below(7));
      link.run();
      const sum = contents.map(({ length }) => length).reduce((a, b) => a + b, 0);
      expectDone(link, true, contents.length, sum);
      expectSaved(link, { ...contents });
    }
  });
});

describe("end before the end", () => {
  /** A transfer with every kind of entry and message, about forty steps long. */
  function smallTransfer(): Link {
    const contents = ["abcdefghij", "", "givenup", "skipped", "x"].map(bytes);
    const abort = new Map([[2, 4]]);
    return linkFor(contents, { payload: 4, abort, skip: new Map([[3, "exists"]]), window: 100 });
  }

  /** The same, after so many steps. */
  function linkAfter(steps: number): Link {
    const link = smallTransfer();
    for (let step = 0; step < steps; step++) expect(link.step()).toBe(true);
    return link;
  }

  const STEPS = Array.from({ length: smallTransfer().run() + 1 }, (_, steps) => steps);
  const OVER = ["done", "cancelled"];

  test.each(STEPS)("cancel of the sender after %i steps ends both sides", (steps) => {
    const link = linkAfter(steps);
    link.sender.cancel("interrupted", "ctrl-c");
    link.run();
    expect(OVER).toContain(link.sender.state);
    expect(OVER).toContain(link.receiver.state);
    const last = link.senderEvents.at(-1)?.type;
    if (link.sender.state === "done") expect(last).toBe("completed");
  });

  test.each(STEPS)("cancel of the receiver after %i steps ends both sides", (steps) => {
    const link = linkAfter(steps);
    link.receiver.cancel("destination", "disk full");
    link.run();
    expect(OVER).toContain(link.sender.state);
    expect(OVER).toContain(link.receiver.state);
    const last = link.receiverEvents.at(-1)?.type;
    if (link.receiver.state === "done") expect(last).toBe("peer-said-bye");
  });

  test.each(STEPS)("both may cancel at once, after %i steps", (steps) => {
    const link = linkAfter(steps);
    link.sender.cancel("interrupted");
    link.receiver.cancel("destination");
    link.run();
    expect(OVER).toContain(link.sender.state);
    expect(OVER).toContain(link.receiver.state);
  });

  test.each(STEPS)("cut after %i steps is never taken for done", (steps) => {
    const link = linkAfter(steps);
    link.cut();
    link.run();
    if (link.sender.state === "completed" || link.sender.state === "done") {
      expect(link.files.get(0)?.toString()).toBe("abcdefghij");
      expect(["completed", "done"]).toContain(link.receiver.state);
    } else {
      expect(link.receiver.state).not.toBe("done");
    }
  });

  test("cancel carries the reason", () => {
    const link = linkAfter(1);
    link.receiver.cancel("destination", "disk full");
    link.run();
    const cancelled = { type: "cancelled", reason: "destination", message: "disk full" };
    expect(link.senderEvents).toContainEqual(cancelled);
  });
});

describe("roles", () => {
  /** Let the two exchange Hello; return what each of them throws. */
  function exchange(first: Side, second: Side): unknown[] {
    first.start();
    second.start();
    const [fromFirst, fromSecond] = [first.messagesToSend(), second.messagesToSend()];
    const thrown: unknown[] = [];
    const deliver = (side: Side, messages: readonly string[]) => {
      try {
        for (const message of messages) side.receive(message);
      } catch (error) {
        thrown.push(error);
      }
    };
    deliver(second, fromFirst);
    deliver(first, fromSecond);
    return thrown;
  }

  test("two senders refuse each other", () => {
    const thrown = exchange(new Sender("a"), new Sender("b"));
    expect(thrown).toEqual([expect.any(UsageError), expect.any(UsageError)]);
  });

  test("two receivers refuse each other", () => {
    const thrown = exchange(new Receiver("a"), new Receiver("b"));
    expect(thrown).toEqual([expect.any(UsageError), expect.any(UsageError)]);
  });

  test("a sender and a receiver throw nothing", () => {
    expect(exchange(new Sender("a"), new Receiver("b"))).toEqual([]);
  });
});

test("very many entries and skips take no time that grows with the square", () => {
  const entries = Array.from({ length: 200_000 }, (_, number) => file(`${number}`, 1));
  const skip = new Map(entries.map((_, number) => [number, "exists"]));
  const link = new Link(entries, [], { skip });
  link.run();
  expectDone(link, true, 0, 0);
}, 30_000);
