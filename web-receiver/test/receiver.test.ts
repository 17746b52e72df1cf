/** The receiver's side: one test for each row of its table; its greeting, manifest and answer. */

import { describe, expect, test } from "vitest";
import { NOTHING_LEFT_OUT } from "../src/entry.ts";
import { IncompatibleVersion, UsageError } from "../src/errors.ts";
import { encodeData } from "../src/protocol/frames.ts";
import * as limits from "../src/protocol/limits.ts";
import { Receiver, TRANSITIONS } from "../src/protocol/receiver.ts";
import type { TransferState } from "../src/protocol/side.ts";
import {
  BYE,
  bytes,
  DECLINE,
  expectTable,
  file,
  folder,
  hello,
  MANIFEST,
  MANIFEST_PART,
  peerInputs,
  queued,
} from "./peers.ts";
import {
  expectFailed,
  expectFrameRefused,
  expectRefused,
  HELLO,
  NONE,
  receiverIn,
} from "./receivers.ts";

const STATES = Object.keys(TRANSITIONS) as TransferState[];
const ALIVE = STATES.filter((state) => state !== "new" && TRANSITIONS[state]?.violation);

describe("table", () => {
  test("table of the receiver is that of PROTOCOL.md", () => {
    expectTable(TRANSITIONS, "### Receiver");
  });

  describe.each(ALIVE)("while %s", (state) => {
    test.each(peerInputs("sender"))(
      "receiver takes %s only where its table does",
      (input, text) => {
        const receiver = receiverIn(state);
        const following = TRANSITIONS[state]?.[input];
        if (following === undefined) {
          expectRefused(receiver, text, `${input} is not allowed while ${state}`);
        } else {
          receiver.receive(text);
          expect(receiver.state).toBe(following);
        }
      },
    );
  });

  test.each(ALIVE.filter((state) => state !== "receiving"))(
    "receiver that is %s takes no frames",
    (state) => {
      const frame = encodeData(1, 0, bytes("x"));
      expectFrameRefused(receiverIn(state), frame, "Frame is not allowed while");
    },
  );

  test.each<TransferState>(["done", "cancelled"])(
    "receiver that is %s ignores everything",
    (state) => {
      const receiver = receiverIn(state);
      for (const text of [...peerInputs("sender").map(([, text]) => text), "nonsense"]) {
        expect(receiver.receive(text)).toEqual([]);
      }
      expect(receiver.receiveFrame("nonsense")).toEqual([]);
      receiver.verdict(1, "ok");
      expect([receiver.state, receiver.messagesToSend()]).toEqual([state, []]);
    },
  );

  test.each(STATES)("receiver that is %s can cancel until its last message", (state) => {
    const receiver = receiverIn(state);
    receiver.cancel("destination", "x".repeat(501));
    if (TRANSITIONS[state]?.cancel) {
      const message = "x".repeat(500);
      expect(queued(receiver)).toEqual([{ type: "cancel", reason: "destination", message }]);
      expect(receiver.state).toBe("cancelled");
    } else {
      expect([receiver.state, receiver.messagesToSend()]).toEqual([state, []]);
    }
  });
});

describe("greeting and manifest", () => {
  test("receiver starts with hello", () => {
    const receiver = new Receiver("page/1");
    receiver.start();
    expect(receiver.messagesToSend()).toEqual([
      '{"type":"hello","versions":[1],"agent":"page/1","role":"receiver","features":["browser"],"max_frame":64960}',
    ]);
  });

  test("receiver introduces its peer", () => {
    expect(receiverIn("greeting").receive(HELLO)).toEqual([
      { type: "peer-introduced", agent: "peer/1", version: 1, features: [], name: "" },
    ]);
  });

  test("receiver refuses a peer without a common version", () => {
    const receiver = receiverIn("greeting");
    expect(() => receiver.receive(HELLO.replace("[1]", "[2]"))).toThrow(IncompatibleVersion);
    expectFailed(receiver, IncompatibleVersion, "version");
  });

  test("receiver refuses a receiver", () => {
    const receiver = receiverIn("greeting");
    expect(() => receiver.receive(hello("receiver"))).toThrow("both sides want to receive");
    expectFailed(receiver, UsageError, "protocol");
  });

  test("receiver does not receive before start", () => {
    expect(() => new Receiver("a").receive("{}")).toThrow("received before start");
    expect(() => new Receiver("a").receiveFrame("{}")).toThrow("received before start");
  });

  test("receiver refuses a binary message", () => {
    expectRefused(receiverIn("waiting"), bytes("{}"), "binary message on the control channel");
  });

  test("receiver joins the parts of the manifest", () => {
    const receiver = receiverIn("waiting");
    const entries = [folder("d"), file("d/a", 5), file("d/b", null)];
    expect(receiver.receive(MANIFEST_PART)).toEqual([]);
    expect(receiver.receive(MANIFEST)).toEqual([
      {
        type: "manifest-received",
        entries: [...entries, ...entries],
        leftOut: NOTHING_LEFT_OUT,
      },
    ]);
  });

  test("receiver refuses a manifest of more than a million entries", () => {
    const receiver = receiverIn("waiting");
    const entries = Array(1250).fill({ path: "a", kind: "file", size: 1 });
    const part = JSON.stringify({ type: "manifest", entries, last: false });
    for (let count = 0; count < limits.MAX_ENTRIES; count += entries.length) {
      receiver.receive(part);
    }
    expectRefused(receiver, MANIFEST_PART, "manifest has more than 1000000 entries");
  }, 120_000);

  test("receiver refuses names of more than 8 MiB and 256 bytes for each entry", () => {
    const receiver = receiverIn("waiting");
    // 2048 entries of 4096 + 256 bytes, 34 of whose characters have two bytes, and one more byte.
    const link = {
      kind: "link",
      size: 0,
      path: "é".repeat(34) + "a".repeat(4028),
      target: "b".repeat(256),
    };
    const part = JSON.stringify({ type: "manifest", entries: Array(8).fill(link), last: false });
    for (let count = 0; count < 2048; count += 8) receiver.receive(part);
    const one = { ...link, path: "a".repeat(256), target: "b" };
    const last = JSON.stringify({ type: "manifest", entries: [one], last: true });
    expectRefused(receiver, last, "manifest has names of more than 8388608 bytes");
  });

  test("receiver refuses a manifest of more than 256 MiB", () => {
    const receiver = receiverIn("waiting");
    const part = MANIFEST_PART.replace("{", `{"x":"${"x".repeat(65_000)}",`);
    for (let sum = part.length; sum <= limits.MAX_MANIFEST; sum += part.length) {
      receiver.receive(part);
    }
    expectRefused(receiver, part, "manifest is longer than 268435456 bytes");
  }, 30_000);
});

describe("answer", () => {
  test("receiver accepts", () => {
    const receiver = receiverIn("deciding");
    receiver.accept(new Map([[0, "exists"]]), new Map([[1, 3]]));
    expect(receiver.messagesToSend()).toEqual([
      '{"type":"accept","window":400,"skip":[[0,"exists"]],"have":[[1,3]],"last":true}',
    ]);
  });

  test.each<[Record<number, string>, Record<number, number>, string]>([
    [{ 3: "exists" }, {}, "skips 3"],
    [{ [-1]: "exists" }, {}, "skips -1"],
    [{ 1: "ugly" }, {}, "can't send this accept"],
    [{}, { 0: 1 }, "has a part of 0"],
    [{}, { 1: 0 }, "has 0 bytes"],
    [{}, { 1: 6 }, "has 6 bytes"],
    [{ 1: "exists" }, { 1: 1 }, "has a part of 1"],
  ])("receiver accepts only what is offered: %j, %j", (skip, have, reason) => {
    const map = <T>(record: Record<number, T>) =>
      new Map(Object.entries(record).map(([number, value]) => [Number(number), value]));
    expect(() => receiverIn("deciding").accept(map(skip), map(have))).toThrow(reason);
  });

  test("receiver declines", () => {
    const receiver = receiverIn("deciding");
    receiver.decline("declined", "no");
    expect(receiver.messagesToSend()).toEqual([DECLINE]);
    expect(receiver.receive(BYE)).toEqual([{ type: "peer-said-bye" }]);
  });

  test.each<TransferState>(["waiting", "receiving"])(
    "receiver that is %s accepts nothing",
    (state) => {
      expect(() => receiverIn(state).accept(NONE)).toThrow(`accept is impossible while ${state}`);
    },
  );

  test("receiver of nothing completes at once", () => {
    const receiver = receiverIn("deciding");
    receiver.accept(
      new Map([
        [1, "exists"],
        [2, "exists"],
      ]),
    );
    expect(queued(receiver).map(({ type }) => type)).toEqual(["accept", "complete"]);
  });
});
