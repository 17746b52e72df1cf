/** The handshake of a short code: both sides, wrong words, changed messages, limits. */
import { describe, expect, test } from "vitest";
import {
  AuthenticationFailed,
  IncompatibleVersion,
  LocalProtocolError,
  RemoteProtocolError,
} from "../src/errors.ts";
import { Allocator, Joiner, MAX_BODY } from "../src/rendezvous/handshake.ts";
import { ANSWER, candidate, confirmed, END, flipped, NUMBER, OFFER, WORDS } from "./shortcodes.ts";

const allocate = () => new Allocator(WORDS, NUMBER);

describe("two sides with the same words", () => {
  test("confirm each other and exchange items", () => {
    const [allocator, joiner] = [allocate(), new Joiner(WORDS, NUMBER)];
    const [a0, waiting] = allocator.first;
    expect([a0, waiting.length]).toEqual(["a0", 50]);
    const [b0, offer] = joiner.join(waiting, [OFFER, candidate(1)]);
    expect(b0).toBe("b0");
    expect(allocator.received(b0, offer)).toEqual([OFFER, candidate(1)]);
    expect([allocator.isConfirmed, joiner.isConfirmed]).toEqual([true, false]);
    const [a1, answer] = allocator.seal([ANSWER]);
    expect(a1).toBe("a1");
    expect(joiner.received(a1, answer)).toEqual([ANSWER]);
    expect(joiner.isConfirmed).toBe(true);
    expect(joiner.received(...allocator.seal([candidate(2), END]))).toEqual([candidate(2), END]);
    expect(allocator.received(...joiner.seal([END]))).toEqual([END]);
  });

  test("get messages in their order and once, however they arrive", () => {
    const allocator = allocate();
    const joiner = new Joiner(WORDS, NUMBER);
    const b0 = joiner.join(allocator.first[1], [OFFER]);
    const [b1, b2] = [joiner.seal([candidate(1)]), joiner.seal([END])];
    expect(allocator.received(...b2)).toEqual([]);
    expect(allocator.received("b2", new Uint8Array(7))).toEqual([]);
    expect(allocator.received(...b1)).toEqual([]);
    expect(allocator.isConfirmed).toBe(false);
    expect(allocator.received(...b0)).toEqual([OFFER, candidate(1), END]);
    expect(allocator.received("b0", new Uint8Array(MAX_BODY + 1))).toEqual([]);
    for (const again of [b0, b1, b2]) expect(allocator.received(...again)).toEqual([]);
    const [a1, a2] = [allocator.seal([ANSWER]), allocator.seal([END])];
    expect(joiner.received(...a2)).toEqual([]);
    expect(joiner.isConfirmed).toBe(false);
    expect(joiner.received(...a1)).toEqual([ANSWER, END]);
  });

  test("have other messages in each exchange", () => {
    expect(allocate().first[1]).not.toEqual(allocate().first[1]);
  });
});

describe("one guess", () => {
  test("with wrong words uses the code up for the right words too", () => {
    const allocator = allocate();
    expect(() => confirmed(allocator, "walrus-umpire")).toThrow(AuthenticationFailed);
    expect(() => confirmed(allocator)).toThrow(AuthenticationFailed);
    expect(allocator.isConfirmed).toBe(false);
    expect(() => allocator.seal([ANSWER])).toThrow(AuthenticationFailed);
  });

  test("with another number fails", () => {
    const allocator = allocate();
    const b0 = new Joiner(WORDS, "8").join(allocator.first[1], [OFFER]);
    expect(() => allocator.received(...b0)).toThrow(AuthenticationFailed);
  });

  test("is all that a joiner makes", () => {
    const joiner = new Joiner(WORDS, NUMBER);
    joiner.join(allocate().first[1], [OFFER]);
    expect(() => joiner.join(allocate().first[1], [OFFER])).toThrow(LocalProtocolError);
  });

  test("of an allocator with other words is refused by the joiner", () => {
    // Only a joiner with the same words confirms an allocator, so its answer is that of another.
    const other = new Allocator("walrus-umpire", NUMBER);
    confirmed(other, "walrus-umpire");
    const joiner = new Joiner(WORDS, NUMBER);
    joiner.join(allocate().first[1], [OFFER]);
    expect(() => joiner.received(...other.seal([ANSWER]))).toThrow(AuthenticationFailed);
    expect(joiner.isConfirmed).toBe(false);
  });
});

describe("a refusal", () => {
  test("ends the joiner at once with the words as the reason", () => {
    const allocator = allocate();
    const joiner = new Joiner("walrus-umpire", NUMBER);
    const b0 = joiner.join(allocator.first[1], [OFFER]);
    expect(() => allocator.received(...b0)).toThrow(AuthenticationFailed);
    expect(allocator.refusal()).toEqual(["a1", Uint8Array.of(1, 0)]);
    const refused = () => joiner.received(...allocator.refusal());
    expect(refused).toThrow("the words of the code are wrong");
    expect(refused).toThrow(expect.objectContaining({ hint: expect.stringMatching(/new code$/) }));
    expect(() => joiner.seal([END])).toThrow(AuthenticationFailed);
    expect(joiner.isConfirmed).toBe(false);
  });

  test("is there only for a message that is not authentic and before a1", () => {
    expect(() => allocate().refusal()).toThrow(LocalProtocolError);
    const malformed = allocate();
    expect(() => malformed.received("b0", Uint8Array.of(1, 0))).toThrow(RemoteProtocolError);
    expect(() => malformed.refusal()).toThrow(LocalProtocolError);
    const answered = allocate();
    const joiner = confirmed(answered);
    expect(() => answered.refusal()).toThrow(LocalProtocolError);
    answered.seal([ANSWER]);
    expect(() => answered.received("b1", new Uint8Array(528))).toThrow(AuthenticationFailed);
    expect(() => answered.refusal()).toThrow(LocalProtocolError);
    expect(joiner.isConfirmed).toBe(false);
  });
});

describe("two mailboxes with the same a0", () => {
  test("have one guess together", () => {
    const allocator = allocate();
    const right = new Joiner(WORDS, NUMBER);
    const b0 = right.join(allocator.first[1], [OFFER]);
    expect(() => confirmed(allocator, "walrus-umpire")).toThrow(AuthenticationFailed);
    expect(() => allocator.received(...b0)).toThrow(AuthenticationFailed);
    expect(allocator.isConfirmed).toBe(false);
  });

  test("have one joiner together and open nothing of the second", () => {
    const allocator = allocate();
    const first = confirmed(allocator);
    const second = new Joiner(WORDS, NUMBER);
    expect(allocator.received(...second.join(allocator.first[1], [OFFER]))).toEqual([]);
    const [a1, answer] = allocator.seal([ANSWER]);
    expect(() => second.received(a1, answer)).toThrow(AuthenticationFailed);
    expect(first.received(a1, answer)).toEqual([ANSWER]);
    expect(allocator.received(...first.seal([END]))).toEqual([END]);
  });
});

describe("a changed message", () => {
  test("b0 is refused, whatever bit of it was changed", () => {
    // Every 37th bit: each field is hit, and each try costs two multiplications.
    for (let bit = 8; bit < 8 * (98 + 528); bit += 37) {
      const allocator = allocate();
      const [b0, body] = new Joiner(WORDS, NUMBER).join(allocator.first[1], [OFFER]);
      // The highest bit of a share has no meaning (RFC 7748, 5), but is part of what Tb confirms.
      expect(() => allocator.received(b0, flipped(body, bit))).toThrow(AuthenticationFailed);
      expect(allocator.isConfirmed).toBe(false);
    }
  });

  test("a0 has no effect but that the words do not fit", () => {
    for (let bit = 8; bit < 8 * 50; bit += 29) {
      const allocator = allocate();
      const joiner = new Joiner(WORDS, NUMBER);
      const b0 = joiner.join(flipped(allocator.first[1], bit), [OFFER]);
      expect(() => allocator.received(...b0)).toThrow(AuthenticationFailed);
    }
  });

  test("a1 is refused, whatever bit of it was changed", () => {
    // Flags are reserved: no tag of the answer covers them, and they have no meaning.
    const allocator = allocate();
    const joiners = Array.from({ length: 40 }, () => new Joiner(WORDS, NUMBER));
    for (const [count, joiner] of joiners.entries()) {
      const shown = count === 0 ? allocator : allocate();
      shown.received(...joiner.join(shown.first[1], [OFFER]));
      const [a1, body] = shown.seal([ANSWER]);
      const bit = 16 + ((count * 127) % (8 * (body.length - 2)));
      expect(() => joiner.received(a1, flipped(body, bit))).toThrow(AuthenticationFailed);
      expect(() => joiner.received(a1, body)).toThrow(AuthenticationFailed);
    }
  });

  test("of another phase is refused in this one", () => {
    const allocator = allocate();
    const joiner = confirmed(allocator);
    const [, b1] = joiner.seal([candidate(1)]);
    const [, b2] = joiner.seal([END]);
    expect(b1).not.toEqual(b2);
    expect(() => allocator.received("b1", b2)).toThrow(AuthenticationFailed);
  });
});

describe("a reflected share", () => {
  test("is refused by the joiner", () => {
    const scalar = new Uint8Array(32).fill(9);
    const sid = new Uint8Array(16).fill(9);
    const random = (count: number) => (count === 16 ? sid : scalar).slice();
    const a0 = new Allocator(WORDS, NUMBER, random).first[1];
    const joiner = new Joiner(WORDS, NUMBER, random);
    expect(() => joiner.join(a0, [OFFER])).toThrow("the share of this side");
  });

  test("is refused by the allocator", () => {
    const allocator = allocate();
    const body = new Uint8Array(98 + 528);
    body.set([1, 0]);
    body.set(allocator.first[1].subarray(18), 2);
    expect(() => allocator.received("b0", body)).toThrow("the share of this side");
  });
});

test("a share of low order is refused by both", () => {
  const a0 = new Uint8Array(50);
  a0[0] = 1;
  expect(() => new Joiner(WORDS, NUMBER).join(a0, [OFFER])).toThrow(RemoteProtocolError);
  const b0 = new Uint8Array(98 + 528);
  b0[0] = 1;
  expect(() => allocate().received("b0", b0)).toThrow(RemoteProtocolError);
});

test("another version is reported, other flags are accepted", () => {
  const a0 = allocate().first[1];
  const later = Uint8Array.of(2, ...a0.subarray(1));
  expect(() => new Joiner(WORDS, NUMBER).join(later, [OFFER])).toThrow(IncompatibleVersion);
  const flagged = Uint8Array.of(1, 0x80, ...a0.subarray(2));
  expect(new Joiner(WORDS, NUMBER).join(flagged, [OFFER])[0]).toBe("b0");
  const allocator = allocate();
  const [b0, body] = new Joiner(WORDS, NUMBER).join(allocator.first[1], [OFFER]);
  expect(() => allocator.received(b0, Uint8Array.of(2, ...body.subarray(1)))).toThrow(
    IncompatibleVersion,
  );
});

describe("format and limits", () => {
  test("messages of another length are refused", () => {
    for (const length of [0, 1, 49, 51]) {
      const a0 = new Uint8Array(length).fill(1);
      expect(() => new Joiner(WORDS, NUMBER).join(a0, [OFFER])).toThrow(RemoteProtocolError);
    }
    for (const length of [0, 1, 98, 98 + 527, MAX_BODY + 1]) {
      const body = new Uint8Array(length).fill(1);
      expect(() => allocate().received("b0", body)).toThrow(RemoteProtocolError);
    }
  });

  test.each(["a1", "b64", "c0", "pake", ""])("the allocator refuses the phase %j", (phase) => {
    expect(() => allocate().received(phase, new Uint8Array())).toThrow(RemoteProtocolError);
  });

  test("the joiner refuses messages before it has joined", () => {
    const joiner = new Joiner(WORDS, NUMBER);
    expect(() => joiner.received("a1", new Uint8Array(600))).toThrow(RemoteProtocolError);
  });

  test("nothing is sealed before there is a key", () => {
    expect(() => allocate().seal([ANSWER])).toThrow(LocalProtocolError);
    expect(() => new Joiner(WORDS, NUMBER).seal([END])).toThrow(LocalProtocolError);
  });

  test("b0 has an offer, and a1 an answer or a bye", () => {
    const a0 = allocate().first[1];
    for (const items of [[], [ANSWER], [END], [END, OFFER], [OFFER, OFFER]]) {
      expect(() => new Joiner(WORDS, NUMBER).join(a0, items)).toThrow(LocalProtocolError);
    }
    const allocator = allocate();
    const joiner = confirmed(allocator);
    for (const items of [[], [OFFER], [END], [ANSWER, ANSWER]]) {
      expect(() => allocator.seal(items)).toThrow(LocalProtocolError);
    }
    const bye = { kind: "bye", reason: "error", message: "no" } as const;
    expect(joiner.received(...allocator.seal([bye]))).toEqual([bye]);
    expect(() => allocator.seal([ANSWER])).toThrow(LocalProtocolError);
  });

  test("there are at most 64 messages and 32 candidates of one side", () => {
    const allocator = allocate();
    const joiner = confirmed(allocator);
    allocator.received(
      ...joiner.seal(Array.from({ length: 32 }, (_, port) => candidate(port + 1))),
    );
    expect(() => joiner.seal([candidate(99)])).toThrow(LocalProtocolError);
    for (let number = 2; number < 64; number++) allocator.received(...joiner.seal([]));
    expect(() => joiner.seal([])).toThrow(LocalProtocolError);
  });
});
