/** The window: its arithmetic, and its limits on each side. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { encodeData, encodeHole, holeCost } from "../src/protocol/frames.ts";
import * as limits from "../src/protocol/limits.ts";
import type { Receiver } from "../src/protocol/receiver.ts";
import { Sender } from "../src/protocol/sender.ts";
import { Window } from "../src/protocol/window.ts";
import { accept, ack, bytes, file } from "./peers.ts";
import { expectFrameRefused, receiverIn, WINDOW } from "./receivers.ts";
import { expectRefused, HELLO, senderIn } from "./senders.ts";

describe("arithmetic", () => {
  /** A window of 100 bytes, 60 of them in flight. */
  function window(): Window {
    const window = new Window(100);
    window.send(60);
    return window;
  }

  test("frames go until the window is full", () => {
    expect(window().room(50)).toBe(40);
    expect([window().allows(40), window().allows(41)]).toEqual([true, false]);
  });

  test("acknowledgement makes room", () => {
    const full = window();
    full.send(40);
    expect([full.room(50), full.allows(1)]).toEqual([0, false]);
    full.acknowledge(20);
    expect(full.room(50)).toBe(20);
  });

  test("one frame may go when nothing is in flight", () => {
    const small = new Window(10);
    expect([small.room(50), small.allows(5000)]).toEqual([50, true]);
    small.send(50);
    expect(small.room(50)).toBe(0);
  });

  test("window may shrink below what is in flight", () => {
    const shrunk = window();
    shrunk.shrink(30);
    expect(shrunk.room(50)).toBe(0);
  });

  test.each([
    [19, "acknowledges 19 bytes after 20"],
    [20, ""],
    [60, ""],
    [61, "acknowledges 61 bytes, only 60 were sent"],
  ])("acknowledgement of %i of 60 bytes after 20 has the fault %j", (total, fault) => {
    const acknowledged = window();
    acknowledged.acknowledge(20);
    expect(acknowledged.fault(total)).toBe(fault);
  });
});

describe("sender", () => {
  test("window of an ack takes the place of that of accept", () => {
    const sender = senderIn("offering", [file("a", 1000)]);
    sender.receive(accept({ window: 50 }));
    expect(sender.maxPayload).toBe(limits.MIN_FRAME - limits.FRAME_HEADER);
    sender.data(0, 0, bytes("a"));
    expect(sender.sendable()).toBe(25);
    sender.receive('{"type":"ack","bytes":0,"window":9007199254740991}');
    expect(sender.sendable()).toBe(limits.WINDOW - 25);
    expect(sender.maxPayload).toBe(limits.MAX_FRAME - limits.FRAME_HEADER);
    sender.receive('{"type":"ack","bytes":0,"window":100}');
    expect(sender.sendable()).toBe(75);
  });

  test("sender waits when the window is full", () => {
    const sender = senderIn("sending", [file("x", 5000)]);
    expect(sender.sendable()).toBe(limits.MAX_FRAME); // one frame is always allowed
    sender.data(0, 0, new Uint8Array(900));
    expect(sender.sendable()).toBe(1000 - 924);
    expect(() => sender.data(0, 900, new Uint8Array(100))).toThrow("doesn't fit the window");
  });

  test("sender goes on when frames are acknowledged", () => {
    const sender = senderIn("sending", [file("x", 5000)]);
    sender.data(0, 0, new Uint8Array(900));
    expect(sender.receive(ack(924))).toEqual([{ type: "acknowledged", bytes: 924 }]);
    expect(sender.acknowledged).toBe(924);
    expect(sender.sendable()).toBe(limits.MAX_FRAME);
  });

  test("sender keeps to its own window if that is smaller", () => {
    const sender = new Sender("page/1", 200);
    sender.offer([file("x", null)]);
    sender.start();
    sender.receive(HELLO);
    sender.receive(accept());
    sender.data(0, 0, new Uint8Array(100));
    expect(sender.sendable()).toBe(200 - 124);
  });

  test("sender keeps to the smallest window that any part of the answer names", () => {
    const sender = senderIn("offering");
    sender.receive(accept({ window: 50, skip: [[0, "exists"]], last: false }));
    sender.receive(accept({ window: 900 }));
    sender.data(1, 0, bytes("h"));
    expect(sender.sendable()).toBe(50 - 25);
  });

  test.each([3, 1000, 2 ** 53 - 1])(
    "sender refuses an ack of %i bytes it has not sent",
    (total) => {
      expectRefused(senderIn("sending"), ack(total), `acknowledges ${total} bytes, only 0`);
    },
  );

  test("sender refuses an ack that falls", () => {
    const sender = senderIn("sending");
    sender.data(1, 0, bytes("he"));
    sender.receive(ack(26));
    expectRefused(sender, ack(25), "acknowledges 25 bytes after 26");
  });
});

describe("receiver", () => {
  /** A receiver that expects a stream, number 2. */
  function receiverOfStream(): Receiver {
    const receiver = receiverIn("deciding");
    receiver.accept(new Map([[1, "exists"]]));
    receiver.messagesToSend();
    return receiver;
  }

  test("receiver refuses more than the window", () => {
    const receiver = receiverOfStream();
    receiver.receiveFrame(encodeData(2, 0, new Uint8Array(WINDOW - 24)));
    const frame = encodeData(2, WINDOW - 24, bytes("x"));
    expectFrameRefused(receiver, frame, "doesn't fit the window");
  });

  test("receiver takes one frame larger than the window", () => {
    const [event] = receiverOfStream().receiveFrame(encodeData(2, 0, new Uint8Array(WINDOW)));
    expect(event?.cost).toBe(WINDOW + 24);
  });

  test("receiver counts only acknowledgements that have left", () => {
    const receiver = receiverOfStream();
    receiver.receiveFrame(encodeData(2, 0, new Uint8Array(WINDOW - 24)));
    receiver.written(WINDOW);
    const frame = encodeData(2, WINDOW - 24, bytes("x"));
    expectFrameRefused(receiver, frame, "doesn't fit the window");
  });

  test("receiver acknowledges once for all that is written", () => {
    const receiver = receiverIn("receiving");
    receiver.receiveFrame(encodeData(1, 0, bytes("he")));
    receiver.receiveFrame(encodeData(1, 2, bytes("llo")));
    receiver.written(26);
    receiver.written(27);
    expect(receiver.messagesToSend()).toEqual(['{"type":"ack","bytes":53}']);
    expect(receiver.messagesToSend()).toEqual([]);
  });

  test("receiver cannot write more than it got", () => {
    expect(() => receiverIn("receiving").written(1)).toThrow("wrote more than received");
  });

  const COSTS: readonly (readonly [number, number])[] = JSON.parse(
    readFileSync(new URL("../../tests/vectors/hole-cost.json", import.meta.url), "utf8"),
  );

  test.each(COSTS)("hole of %i bytes takes %i of the window", (length, cost) => {
    expect(holeCost(length)).toBe(cost);
    const [event] = receiverOfStream().receiveFrame(encodeHole(2, 0, length));
    expect(event?.cost).toBe(cost);
  });

  test("receiver refuses more holes than the window", () => {
    const receiver = receiverOfStream();
    receiver.receiveFrame(encodeHole(2, 0, 300 * 1024));
    receiver.receiveFrame(encodeHole(2, 300 * 1024, 52 * 1024));
    expect(receiver.received).toBe(WINDOW);
    expectFrameRefused(receiver, encodeHole(2, 352 * 1024, 1), "doesn't fit the window");
  });

  test("receiver refuses a stream of holes", () => {
    const receiver = receiverOfStream();
    const take = (frame: ReturnType<typeof encodeHole>) => {
      for (const { cost } of receiver.receiveFrame(frame)) receiver.written(cost);
      receiver.messagesToSend();
    };
    const at = limits.MAX_HOLE;
    take(encodeHole(2, 0, at));
    take(encodeData(2, at, bytes("content")));
    take(encodeHole(2, at + 7, 7));
    expectFrameRefused(receiver, encodeHole(2, at + 14, 1), "more holes than content");
  });
});
