/** The sender's side: one test for each row of its table, and for each rule of its peer. */
import { describe, expect, test } from "vitest";
import type { Entry } from "../src/entry.ts";
import { IncompatibleVersion, LocalProtocolError, UsageError } from "../src/errors.ts";
import { abortReason, decodeFrame } from "../src/protocol/frames.ts";
import * as limits from "../src/protocol/limits.ts";
import { Sender, TRANSITIONS } from "../src/protocol/sender.ts";
import type { TransferState } from "../src/protocol/side.ts";
import {
  accept,
  ack,
  BYE,
  bytes,
  CANCEL,
  COMPLETE,
  DECLINE,
  DIGEST,
  expectTable,
  file,
  hello,
  peerInputs,
  queued,
  verdict,
} from "./peers.ts";

import { ENTRIES, expectDead, expectRefused, HELLO, senderIn } from "./senders.ts";

const STATES = Object.keys(TRANSITIONS) as TransferState[];
const ALIVE = STATES.filter((state) => state !== "new" && TRANSITIONS[state]?.violation);
const OVER: TransferState[] = ["done", "declined", "cancelled"];

describe("table", () => {
  test("sides exchange the names of their devices", () => {
    const sender = new Sender("page/1", limits.WINDOW, "anna's phone");
    sender.start();
    const [sent = ""] = sender.messagesToSend();
    expect(sent.endsWith(',"name":"anna\'s phone"}')).toBe(true);
    const named = hello("receiver").replace(/}$/, ',"name":"ben"}');
    expect(sender.receive(named)).toMatchObject([{ type: "peer-introduced", name: "ben" }]);
  });

  test("table of the sender is that of PROTOCOL.md", () => {
    expectTable(TRANSITIONS, "### Sender");
  });

  describe.each(ALIVE)("while %s", (state) => {
    test.each(peerInputs("receiver"))(
      "sender takes %s only where its table does",
      (input, text) => {
        const sender = senderIn(state);
        const following = TRANSITIONS[state]?.[input];
        if (following === undefined) {
          expectRefused(sender, text, `${input} is not allowed while ${state}`);
        } else if (input === "Complete") {
          expectRefused(sender, text, "complete before all verdicts");
        } else if (input === "Again") {
          expectRefused(sender, text, "asks again for bytes 0 to 1 of file 1");
        } else {
          sender.receive(text);
          expect(sender.state).toBe(following);
        }
      },
    );
  });

  test.each(OVER)("sender that is %s ignores everything", (state) => {
    const sender = senderIn(state);
    for (const text of [...peerInputs("receiver").map(([, text]) => text), "nonsense"]) {
      expect(sender.receive(text)).toEqual([]);
    }
    sender.offer(ENTRIES);
    expect([sender.state, sender.messagesToSend()]).toEqual([state, []]);
  });

  test.each(STATES)("sender that is %s can cancel until the last message", (state) => {
    const sender = senderIn(state);
    sender.cancel("source", "x".repeat(501));
    if (TRANSITIONS[state]?.cancel) {
      const message = "x".repeat(500);
      expect(queued(sender)).toEqual([{ type: "cancel", reason: "source", message }]);
      expect(sender.state).toBe("cancelled");
    } else {
      expect([sender.state, sender.messagesToSend()]).toEqual([state, []]);
    }
  });
});

describe("greeting", () => {
  test("sender starts with hello", () => {
    const sender = new Sender("page/1");
    sender.start();
    expect(sender.messagesToSend()).toEqual([
      '{"type":"hello","versions":[1],"agent":"page/1","role":"sender","features":["browser","again","window"],"max_frame":64960}',
    ]);
    expect(sender.messagesToSend()).toEqual([]);
  });

  test("sender introduces its peer", () => {
    expect(senderIn("greeting").receive(HELLO)).toEqual([
      { type: "peer-introduced", agent: "peer/1", version: 1, features: [], name: "" },
    ]);
  });

  test("sender starts only once", () => {
    const sender = senderIn("greeting");
    expect(() => sender.start()).toThrow(LocalProtocolError);
    expect(() => sender.start()).toThrow("start is impossible while greeting");
  });

  test("sender does not receive before start", () => {
    expect(() => senderIn("new").receive(HELLO)).toThrow("received before start");
  });

  test("sender refuses a peer without a common version", () => {
    const sender = senderIn("greeting");
    expect(() => sender.receive(HELLO.replace("[1]", "[2]"))).toThrow(IncompatibleVersion);
    expect(queued(sender)).toMatchObject([{ type: "cancel", reason: "version" }]);
    expectDead(sender, IncompatibleVersion);
  });

  test("sender refuses a sender", () => {
    const sender = senderIn("greeting");
    expect(() => sender.receive(hello("sender"))).toThrow("both sides want to send");
    expect(queued(sender)).toMatchObject([{ type: "cancel", reason: "protocol" }]);
    expectDead(sender, UsageError);
  });

  test("sender refuses a binary message", () => {
    expectRefused(senderIn("offering"), bytes("{}"), "binary message on the control channel");
  });

  test("sender makes frames as small as the peer accepts", () => {
    const sender = senderIn("greeting", [file("x", 5000)]);
    sender.receive(HELLO.replace("64960", "2000"));
    sender.receive(accept({ window: 40_000 }));
    expect(sender.maxPayload).toBe(1976);
    expect(() => sender.data(0, 0, new Uint8Array(1977))).toThrow("the peer takes 2000");
    expect(sender.data(0, 0, new Uint8Array(1976)).length).toBe(2000);
  });
});

describe("offer", () => {
  /** A sender that has offered nothing yet. */
  function undecided(): Sender {
    const sender = new Sender("page/1");
    sender.start();
    sender.messagesToSend();
    return sender;
  }

  test("manifest goes when the peer is known, if the offer is there first", () => {
    const sender = undecided();
    sender.offer(ENTRIES);
    expect(sender.messagesToSend()).toEqual([]);
    sender.receive(HELLO);
    const entries = ENTRIES.map(({ path, kind, size, mode }) => ({ path, kind, size, mode }));
    expect(queued(sender)).toEqual([{ type: "manifest", entries, last: true }]);
  });

  test("manifest goes with the offer, if the peer is known first", () => {
    const sender = undecided();
    sender.receive(HELLO);
    expect([sender.state, sender.messagesToSend()]).toEqual(["offering", []]);
    sender.offer(ENTRIES);
    expect(queued(sender)).toMatchObject([{ type: "manifest", last: true }]);
    expect(sender.receive(accept())).toMatchObject([{ type: "accepted" }]);
  });

  test.each([
    ["Accept (more follow)", accept({ skip: [[0, "exists"]], last: false })],
    ["Accept (last)", accept()],
    ["Decline", DECLINE],
    ["Ack", ack(0)],
  ])("sender that has offered nothing refuses %s", (input, text) => {
    const sender = undecided();
    sender.receive(HELLO);
    expectRefused(sender, text, `${input} is not allowed before the manifest`);
  });

  test("sender that has offered nothing can be cancelled by the peer", () => {
    const sender = undecided();
    sender.receive(HELLO);
    expect(sender.receive(CANCEL)).toMatchObject([{ type: "cancelled" }]);
    sender.offer(ENTRIES);
    expect(sender.messagesToSend()).toEqual([]);
  });

  test("sender offers once", () => {
    expect(() => senderIn("greeting").offer([])).toThrow("offered twice");
    expect(() => senderIn("sending").offer([])).toThrow(LocalProtocolError);
  });

  test("sender takes at most a million entries, and another choice after that", () => {
    const sender = new Sender("page/1");
    const many = Array<Entry>(limits.MAX_ENTRIES + 1).fill(file("x"));
    expect(() => sender.offer(many)).toThrow(UsageError);
    expect(() => sender.offer(many)).toThrow("1000001 entries");
    const long = Array<Entry>(2049).fill(file("é".repeat(2176)));
    expect(() => sender.offer(long)).toThrow("the paths of 2049 entries are longer together");
    sender.offer(ENTRIES);
  });
});

describe("answer", () => {
  test("sender reports what is skipped and what the receiver has", () => {
    const sender = senderIn("offering");
    expect(sender.receive(accept({ skip: [[0, "unsafe"]], last: false }))).toEqual([]);
    const skip = new Map([
      [0, "unsafe"],
      [2, "exists"],
    ]);
    expect(sender.receive(accept({ skip: [[2, "exists"]], have: [[1, 3]] }))).toEqual([
      { type: "accepted", skip, have: new Map([[1, 3]]) },
    ]);
  });

  test.each([
    [{ skip: [[3, "exists"]] }, "skips 3, which is not offered"],
    [
      {
        skip: [
          [1, "exists"],
          [1, "unsafe"],
        ],
      },
      "names an entry twice",
    ],
    [
      {
        have: [
          [1, 1],
          [1, 2],
        ],
      },
      "names an entry twice",
    ],
    [{ have: [[1, 6]] }, "has 6 bytes of file 1"],
    [{ have: [[0, 1]] }, "has a part of 0, which is no file"],
    [{ have: [[3, 1]] }, "has a part of 3, which is no file"],
    [{ have: [[1, 1]], skip: [[1, "exists"]] }, "has a part of 1"],
    [{ skip: [0, 1, 2, 3].map((number) => [number, "exists"]) }, "more entries than there are"],
  ])("sender refuses an answer to another offer: %j", (fields, reason) => {
    expectRefused(senderIn("offering"), accept(fields), reason);
  });

  test("sender refuses a number that two parts name", () => {
    const sender = senderIn("offering");
    sender.receive(accept({ skip: [[1, "exists"]], last: false }));
    expectRefused(sender, accept({ skip: [[1, "exists"]] }), "names an entry twice");
  });

  test("sender answers decline with bye", () => {
    const sender = senderIn("offering");
    expect(sender.receive(DECLINE)).toEqual([
      { type: "declined", reason: "declined", message: "no" },
    ]);
    expect(sender.messagesToSend()).toEqual([BYE]);
  });
});

describe("frames", () => {
  test.each<[number, number, string, Uint8Array | null, string]>([
    [2, 0, "", DIGEST, "of 2 at 0, while 1 at 0 is due"],
    [0, 0, "x", null, "of 0 at 0, while 1 at 0 is due"],
    [1, 1, "x", null, "of 1 at 1, while 1 at 0 is due"],
    [1, 0, "hello!", null, "more than its 5 bytes"],
    [1, 0, "hell", DIGEST, "less than its 5 bytes"],
    [1, 0, "", null, "must be the last of its file"],
  ])("sender makes no frame out of turn: %i at %i, %j", (number, offset, text, digest, reason) => {
    const sender = senderIn("sending");
    expect(() => sender.data(number, offset, bytes(text), digest)).toThrow(LocalProtocolError);
    expect(() => sender.data(number, offset, bytes(text), digest)).toThrow(reason);
    expect(sender.data(1, 0, bytes("hello"), DIGEST).length).toBe(24 + 5 + 32);
  });

  test("sender starts at what the receiver has", () => {
    const sender = senderIn("offering");
    sender.receive(accept({ have: [[1, 3]] }));
    expect(decodeFrame(sender.data(1, 3, bytes("lo"), DIGEST)).offset).toBe(3);
  });

  test("sender gives a file up and goes on with the next", () => {
    const sender = senderIn("sending");
    sender.data(1, 0, bytes("hell"));
    expect(() => sender.abort(2, "gone")).toThrow("of 2 at 4, while 1 at 4 is due");
    const frame = decodeFrame(sender.abort(1, "gone"));
    expect([frame.number, frame.offset, abortReason(frame.payload)]).toEqual([1, 4, "gone"]);
    expect(decodeFrame(sender.data(2, 0, bytes(""), DIGEST)).number).toBe(2);
    expect(sender.state).toBe("sent");
  });

  test.each<TransferState>(["offering", "sent"])("sender makes no frame while %s", (state) => {
    const sender = senderIn(state);
    expect(() => sender.data(1, 0, bytes("hello"))).toThrow(
      `send frame is impossible while ${state}`,
    );
    expect(sender.sendable()).toBe(0);
  });
});

describe("verdicts and the last message", () => {
  test("sender passes verdicts on", () => {
    expect(senderIn("sent").receive(verdict([2, "ok"], [1, "mismatch"]))).toEqual([
      { type: "verdict-received", number: 2, status: "ok" },
      { type: "verdict-received", number: 1, status: "mismatch" },
    ]);
  });

  test.each<[[number, string][], string]>([
    [[[0, "ok"]], "verdict ok on 0, which is no file"],
    [
      [
        [0, "failed"],
        [0, "failed"],
      ],
      "verdict failed on 0, which has one",
    ],
    [[[3, "failed"]], "verdict failed on 3, which is not to be sent"],
    [
      [
        [1, "ok"],
        [1, "ok"],
      ],
      "verdict ok on 1, which has one",
    ],
  ])("sender refuses a verdict: %j", (files, reason) => {
    expectRefused(senderIn("sent"), verdict(...files), reason);
  });

  test("sender gets the verdict of a folder that could not be created", () => {
    const sender = senderIn("sent");
    expect(sender.receive(verdict([0, "failed"]))).toMatchObject([{ number: 0 }]);
    sender.receive(verdict([1, "ok"], [2, "ok"]));
    // With `ok` true.
    expectRefused(sender, COMPLETE, "complete doesn't match the verdicts");
  });

  test.each(["ok", "mismatch"])("sender refuses an early verdict: %s", (status) => {
    const reason = `verdict ${status} on 1, which has not ended`;
    expectRefused(senderIn("sending"), verdict([1, status]), reason);
  });

  test("sender refuses ok for an aborted file", () => {
    const sender = senderIn("sending");
    sender.abort(1, "gone");
    expectRefused(sender, verdict([1, "ok"]), "which has not ended");
  });

  test("sender takes an early failure", () => {
    const sender = senderIn("sending");
    expect(sender.receive(verdict([1, "failed"]))).toMatchObject([{ status: "failed" }]);
    sender.data(1, 0, bytes("hello"), DIGEST);
  });

  test("sender ends with bye", () => {
    const sender = senderIn("sent");
    sender.receive(verdict([1, "ok"], [2, "ok"]));
    expect(sender.receive(COMPLETE)).toEqual([{ type: "completed", ok: true, files: 2, bytes: 5 }]);
    sender.end();
    expect(sender.messagesToSend()).toEqual([BYE]);
  });

  test("sender does not end before the last message", () => {
    expect(() => senderIn("sent").end()).toThrow("end is impossible while sent");
  });

  test.each([{ ok: false }, { files: 1 }, { files: 3 }, { bytes: 4 }, { bytes: 0 }])(
    "sender refuses a last word that contradicts the verdicts: %j",
    (wrong) => {
      const sender = senderIn("sent");
      sender.receive(verdict([1, "ok"], [2, "ok"]));
      const lastWord = JSON.stringify({ ...JSON.parse(COMPLETE), ...wrong });
      expectRefused(sender, lastWord, "complete doesn't match the verdicts");
    },
  );

  test("sender gets the reason of the receiver's cancel", () => {
    const sender = senderIn("sending");
    expect(sender.receive(CANCEL)).toEqual([
      { type: "cancelled", reason: "interrupted", message: "ctrl-c" },
    ]);
    expect(sender.messagesToSend()).toEqual([]);
  });
});
