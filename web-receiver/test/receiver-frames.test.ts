/** The receiver's side: the frames and their rules, verdicts, and the last message. */

import { describe, expect, test } from "vitest";
import type { Bytes } from "../src/content.ts";
import { crc32 } from "../src/crc32.ts";
import { IntegrityError } from "../src/errors.ts";
import { encodeAbort, encodeData, encodeHole } from "../src/protocol/frames.ts";
import type { Status } from "../src/protocol/messages.ts";
import type { Receiver } from "../src/protocol/receiver.ts";
import { bytes, CANCEL, DIGEST, queued } from "./peers.ts";
import { expectFailed, expectFrameRefused, NONE, receiverIn } from "./receivers.ts";

/** A receiver that expects three files, of 5, 0 and 2 bytes, then a stream. */
function receiverOfThree(have: Map<number, number> = new Map()): Receiver {
  const receiver = receiverIn("waiting");
  const entries = [
    { path: "a", kind: "file", size: 5 },
    { path: "d", kind: "directory", size: 0 },
    { path: "b", kind: "file", size: 0 },
    { path: "c", kind: "file", size: 2 },
    { path: "s", kind: "file", size: null },
  ];
  receiver.receive(JSON.stringify({ type: "manifest", entries, last: true }));
  receiver.accept(NONE, have);
  return receiver;
}

/** A BATCH frame; its digests do not match its contents. */
function batch(number: number, ...contents: string[]): Bytes {
  const content = bytes(contents.join(""));
  const frame = new Uint8Array(24 + content.length + 32 * contents.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, 4);
  view.setUint32(4, number);
  view.setUint32(12, contents.length);
  view.setUint32(16, content.length);
  frame.set(content, 24);
  for (const place of contents.keys()) frame.set(DIGEST, 24 + content.length + 32 * place);
  view.setUint32(20, crc32(view, 0, frame.length));
  return frame;
}

/** The event of a receiver for a whole file. */
function ended(number: number, content: string, cost: number): object {
  const payload = bytes(content);
  return {
    ...{ type: "end", number, payload },
    ...{ size: payload.length, digest: DIGEST, cost },
  };
}

describe("frames", () => {
  test("receiver takes content", () => {
    const receiver = receiverIn("receiving");
    const take = (frame: Bytes) => {
      const [event, ...others] = receiver.receiveFrame(frame);
      expect(others).toEqual([]);
      return event;
    };
    expect(take(encodeData(1, 0, bytes("he")))).toEqual({
      type: "data",
      number: 1,
      offset: 0,
      payload: bytes("he"),
      cost: 26,
    });
    expect(take(encodeHole(1, 2, 2))).toEqual({
      type: "hole",
      number: 1,
      offset: 2,
      length: 2,
      cost: 24,
    });
    expect(take(encodeData(1, 4, bytes("o"), DIGEST))).toEqual({
      type: "end",
      number: 1,
      payload: bytes("o"),
      size: 5,
      digest: DIGEST,
      cost: 57,
    });
    expect(take(encodeAbort(2, 0, "fort"))).toEqual({
      type: "abort",
      number: 2,
      reason: "fort",
      cost: 28,
    });
    expect(receiver.state).toBe("received");
    expect(receiver.received).toBe(26 + 24 + 57 + 28);
  });

  test("receiver takes the end alone", () => {
    const receiver = receiverIn("receiving");
    receiver.receiveFrame(encodeData(1, 0, bytes("hello")));
    const [event] = receiver.receiveFrame(encodeData(1, 5, bytes(""), DIGEST));
    expect(event).toMatchObject({ type: "end", payload: bytes(""), size: 5, cost: 56 });
  });

  test("receiver takes whole files together", () => {
    const receiver = receiverOfThree();
    expect(receiver.receiveFrame(batch(0, "hello", "", "yo"))).toEqual([
      ended(0, "hello", 61),
      ended(2, "", 32),
      ended(3, "yo", 34),
    ]);
    expect(receiver.received).toBe(61 + 32 + 34);
    receiver.receiveFrame(encodeData(4, 0, bytes(""), DIGEST));
    expect(receiver.state).toBe("received");
  });

  test("each file of a batch can be handed over to a worker by itself", () => {
    const events = receiverOfThree().receiveFrame(batch(0, "hello", "", "yo"));
    const buffers = events.map((event) => "payload" in event && event.payload.buffer);
    expect(new Set(buffers).size).toBe(3);
  });

  test.each<[string, Bytes, Map<number, number>]>([
    ["the first is not due", batch(2, "", "yo"), new Map()],
    ["other sizes", batch(0, "hello", "", "y"), new Map()],
    ["one is left out", batch(0, "hello", "yo"), new Map()],
    ["a stream has no size", batch(0, "hello", "", "yo", ""), new Map()],
    ["more than there are", batch(0, "hello", "", "yo", "", ""), new Map()],
    ["one is there in part", batch(0, "hello", "", "yo"), new Map([[3, 1]])],
    ["the first is there in part", batch(0, "hello", ""), new Map([[0, 1]])],
  ])("receiver refuses a batch that is not due: %s", (_, frame, have) => {
    expectFrameRefused(receiverOfThree(have), frame, "that is not due");
  });

  test("receiver refuses a batch in the middle of a file", () => {
    const receiver = receiverOfThree();
    receiver.receiveFrame(encodeData(0, 0, bytes("he")));
    expectFrameRefused(receiver, batch(0, "llo"), "that is not due");
  });

  test.each<[string, Bytes | string]>([
    ["of 2 at 0, while 1 at 0 is due", encodeData(2, 0, bytes("x"))],
    ["of 0 at 0, while 1 at 0 is due", encodeData(0, 0, bytes("x"))],
    ["of 99 at 0, while 1 at 0 is due", encodeData(99, 0, bytes("x"))],
    ["of 1 at 1, while 1 at 0 is due", encodeData(1, 1, bytes("x"))],
    ["more than its 5 bytes", encodeData(1, 0, bytes("hello!"))],
    ["more than its 5 bytes", encodeData(1, 0, bytes("hello!"), DIGEST)],
    ["less than its 5 bytes", encodeData(1, 0, bytes("hell"), DIGEST)],
    ["less than its 5 bytes", encodeData(1, 0, bytes(""), DIGEST)],
    ["more than its 5 bytes", encodeHole(1, 0, 6)],
    ["of 1 at 1, while 1 at 0 is due", encodeHole(1, 1, 1)],
    ["of 2 at 0, while 1 at 0 is due", encodeAbort(2, 0, "")],
    ["of 1 at 1, while 1 at 0 is due", encodeAbort(1, 1, "")],
    ["data message of 0 bytes is not a frame", bytes("")],
    ["text message on the data channel", "text"],
  ])("receiver refuses a frame out of turn: %s", (reason, frame) => {
    expectFrameRefused(receiverIn("receiving"), frame, reason);
  });

  test("receiver refuses a frame twice", () => {
    const receiver = receiverIn("receiving");
    const frame = encodeData(1, 0, bytes("he"));
    receiver.receiveFrame(frame);
    expectFrameRefused(receiver, frame, "of 1 at 0, while 1 at 2 is due");
  });

  test("receiver refuses a frame of a skipped file", () => {
    const receiver = receiverIn("deciding");
    receiver.accept(new Map([[1, "exists"]]));
    expectFrameRefused(receiver, encodeData(1, 0, bytes("x")), "of 1 at 0, while 2 at 0 is due");
  });

  test("receiver refuses content it already has", () => {
    const receiver = receiverIn("deciding");
    receiver.accept(NONE, new Map([[1, 3]]));
    expectFrameRefused(
      receiver,
      encodeData(1, 0, bytes("hello")),
      "of 1 at 0, while 1 at 3 is due",
    );
  });

  test("receiver refuses a damaged frame", () => {
    const receiver = receiverIn("receiving");
    const frame = encodeData(1, 0, bytes("hello"));
    frame[28] = 0;
    expect(() => receiver.receiveFrame(frame)).toThrow(IntegrityError);
    expectFailed(receiver, IntegrityError, "integrity");
  });
});

describe("verdicts and the last message", () => {
  test("receiver sends verdicts together after the acknowledgement", () => {
    const receiver = receiverIn("receiving");
    receiver.receiveFrame(encodeData(1, 0, bytes("hello"), DIGEST));
    receiver.verdict(1, "mismatch");
    receiver.verdict(2, "failed");
    receiver.written(61);
    expect(receiver.messagesToSend()).toEqual([
      '{"type":"ack","bytes":61}',
      '{"type":"verdict","files":[[1,"mismatch"],[2,"failed"]]}',
    ]);
  });

  test("receiver completes after the last verdict", () => {
    const receiver = receiverIn("received");
    receiver.verdict(2, "ok");
    receiver.written(receiver.received);
    receiver.verdict(1, "ok");
    expect(receiver.messagesToSend()).toEqual([
      `{"type":"ack","bytes":${receiver.received}}`,
      '{"type":"verdict","files":[[2,"ok"],[1,"ok"]]}',
      '{"type":"complete","ok":true,"files":2,"bytes":5}',
    ]);
  });

  test("receiver completes when the last frame is written", () => {
    const receiver = receiverIn("received");
    receiver.verdict(2, "ok");
    receiver.verdict(1, "ok");
    receiver.written(receiver.received - 1);
    expect(receiver.state).toBe("received");
    receiver.written(1);
    expect(receiver.state).toBe("completed");
  });

  test("receiver counts the size of a stream", () => {
    const receiver = receiverIn("receiving");
    receiver.receiveFrame(encodeData(1, 0, bytes("hello"), DIGEST));
    receiver.receiveFrame(encodeData(2, 0, bytes("abc"), DIGEST));
    receiver.verdict(1, "ok");
    receiver.verdict(2, "ok");
    receiver.written(receiver.received);
    expect(queued(receiver).at(-1)).toMatchObject({ ok: true, files: 2, bytes: 8 });
  });

  test("receiver completes with a folder that could not be made", () => {
    const receiver = receiverIn("received");
    receiver.verdict(0, "failed");
    receiver.verdict(1, "ok");
    receiver.verdict(2, "ok");
    receiver.written(receiver.received);
    expect(receiver.messagesToSend()).toEqual([
      `{"type":"ack","bytes":${receiver.received}}`,
      '{"type":"verdict","files":[[0,"failed"],[1,"ok"],[2,"ok"]]}',
      '{"type":"complete","ok":false,"files":2,"bytes":5}',
    ]);
  });

  test("receiver completes after the last frame of a failed file", () => {
    const receiver = receiverIn("receiving");
    receiver.verdict(1, "failed");
    receiver.verdict(2, "failed");
    expect(receiver.state).toBe("receiving");
    receiver.receiveFrame(encodeAbort(1, 0, ""));
    receiver.receiveFrame(encodeData(2, 0, bytes("x"), DIGEST));
    receiver.verdict(0, "failed"); // folders are created last
    receiver.written(receiver.received);
    expect(queued(receiver).at(-1)).toMatchObject({ ok: false, files: 0, bytes: 0 });
  });

  test.each<[number, Status, string]>([
    [0, "ok", "verdict ok on 0, which is no file"],
    [3, "ok", "verdict ok on 3, which is not to be sent"],
    [-1, "ok", "verdict ok on -1, which is not to be sent"],
    [1, "ok", "verdict ok on 1, which has not ended"],
    [1, "mismatch", "verdict mismatch on 1, which has not ended"],
  ])("receiver cannot give %i the verdict %s", (number, status, reason) => {
    expect(() => receiverIn("receiving").verdict(number, status)).toThrow(reason);
  });

  test("receiver gives a file one verdict", () => {
    const receiver = receiverIn("received");
    receiver.verdict(1, "ok");
    expect(() => receiver.verdict(1, "ok")).toThrow("verdict ok on 1, which has one");
  });

  test("receiver gets the reason of the sender's cancel", () => {
    expect(receiverIn("receiving").receive(CANCEL)).toEqual([
      { type: "cancelled", reason: "interrupted", message: "ctrl-c" },
    ]);
  });

  test("cancel that crosses the last message counts as bye", () => {
    expect(receiverIn("completed").receive(CANCEL)).toEqual([{ type: "peer-said-bye" }]);
  });
});
