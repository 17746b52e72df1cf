/** A second meeting: names, keys and messages of an attempt, with the vectors. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AuthenticationFailed, DcsendError, LocalProtocolError } from "../src/errors.ts";
import { AgainAllocator, AgainJoiner, AgainKeys, tagOf } from "../src/rendezvous/again.ts";
import { decode, type Item } from "../src/rendezvous/items.ts";
import { tagged } from "../src/rendezvous/wire.ts";
import { ANSWER, hex, OFFER, unhex } from "./shortcodes.ts";

const VECTORS = JSON.parse(
  readFileSync(new URL("../../tests/vectors/shortcode-again.json", import.meta.url), "utf-8"),
);
const { values: VALUES, items: ITEMS } = VECTORS;
const KEY = unhex(VECTORS.key);
const bodyOf = (phase: string) =>
  unhex(VECTORS.messages.find((one: { phase: string }) => one.phase === phase).body);
const items = (phase: string): Item[] => decode(unhex(ITEMS[phase]));
const joiner = () => new AgainJoiner(new AgainKeys(KEY), () => unhex(VECTORS.nonce_b));

test("names and keys are those of the vectors", () => {
  const again = new AgainKeys(KEY);
  expect([again.mailbox, again.sides]).toEqual([
    VALUES.mailbox,
    { a: VALUES.side_a, b: VALUES.side_b },
  ]);
  const { aToB, bToA } = again.keys(bodyOf("a0"), bodyOf("b0"));
  expect([hex(aToB), hex(bToA)]).toEqual([VALUES.a_to_b, VALUES.b_to_a]);
  expect(tagOf(bodyOf("a0"))).toBe(VALUES.tag);
});

test("messages are those of the vectors", () => {
  const side = joiner();
  expect(side.join(bodyOf("a0"), items("b0"))).toEqual(["b0", bodyOf("b0")]);
  expect(side.isConfirmed).toBe(false);
  expect(side.received("a1", bodyOf("a1"))).toEqual(items("a1"));
  expect(side.isConfirmed).toBe(true);
  expect(side.seal(items("b1"))).toEqual(["b1", bodyOf("b1")]);
});

test("messages of the allocator are those of the vectors", () => {
  const side = new AgainAllocator(new AgainKeys(KEY), () => unhex(VECTORS.nonce_a));
  expect(side.first).toEqual(["a0", bodyOf("a0")]);
  expect(() => side.seal(items("a1"))).toThrow(LocalProtocolError);
  expect(side.received("b0", bodyOf("b0"))).toEqual(items("b0"));
  expect(side.isConfirmed).toBe(true);
  expect(side.seal(items("a1"))).toEqual(["a1", bodyOf("a1")]);
  expect(side.received("b1", bodyOf("b1"))).toEqual(items("b1"));
});

test("an offer for another attempt is refused", () => {
  const again = new AgainKeys(KEY);
  const [side, other] = [new AgainAllocator(again), new AgainAllocator(again)];
  const offer = new AgainJoiner(again).join(side.first[1], [OFFER]);
  expect(() => other.received(...offer)).toThrow(AuthenticationFailed);
  expect(other.isConfirmed).toBe(false);
});

test("an answer to another attempt is refused", () => {
  const again = new AgainKeys(KEY);
  const allocator = new AgainAllocator(again);
  const side = new AgainJoiner(again);
  allocator.received(...side.join(allocator.first[1], [OFFER]));
  const other = new AgainJoiner(again);
  other.join(allocator.first[1], [OFFER]);
  expect(() => other.received(...allocator.seal([ANSWER]))).toThrow(AuthenticationFailed);
  expect(other.isConfirmed).toBe(false);
});

test("its own offer is no answer", () => {
  const side = joiner();
  const [, offer] = side.join(bodyOf("a0"), [OFFER]);
  const returned = Uint8Array.from([...offer.slice(0, 2), ...offer.slice(18)]);
  expect(() => side.received("a1", returned)).toThrow(AuthenticationFailed);
});

test.each(["", "01", `0100${"00".repeat(15)}`, `0100${"00".repeat(17)}`, `0200${"00".repeat(16)}`])(
  "a0 of another form is refused: %s",
  (body) => {
    expect(() => joiner().join(unhex(body), [OFFER])).toThrow(DcsendError);
  },
);

test("an attempt has one offer", () => {
  const side = joiner();
  side.join(bodyOf("a0"), [OFFER]);
  expect(() => side.join(bodyOf("a0"), [OFFER])).toThrow(LocalProtocolError);
});

test("a phase has the tag of its attempt behind it", () => {
  expect(tagged("b12.0123456789abcdef")).toEqual(["b12", "0123456789abcdef"]);
  for (const other of ["b12", "b64.0123456789abcdef", "a0.0123", "a0.0123456789abcdef.", 7]) {
    expect(tagged(other)).toBeNull();
  }
});
