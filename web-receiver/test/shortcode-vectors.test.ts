/** The handshake of a short code with the vectors that every implementation runs. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DcsendError, LocalProtocolError } from "../src/errors.ts";
import { Allocator, Joiner, type Random } from "../src/rendezvous/handshake.ts";
import { decode, encode, type Item } from "../src/rendezvous/items.ts";
import { derive, openSealed, parsePhase } from "../src/rendezvous/sealing.ts";
import { pack } from "../src/signaling/blob.ts";
import { hex, OFFER, unhex } from "./shortcodes.ts";

/** Items as the vectors have them, or the kind of an error. */
type Result = string | readonly Readonly<Record<string, unknown>>[];

interface Sequence {
  readonly comment: string;
  readonly role: "allocator" | "joiner";
  readonly words?: string;
  readonly number?: string;
  readonly received: readonly { phase: string; body: string; result: Result }[];
  readonly confirmed: boolean;
  readonly refusal?: string;
}

const VECTORS = JSON.parse(
  readFileSync(new URL("../../tests/vectors/shortcode-handshake.json", import.meta.url), "utf-8"),
);
const MESSAGES: readonly { phase: string; items: Result; body: string }[] = VECTORS.messages;
const SEQUENCES: readonly Sequence[] = VECTORS.sequences;
const ITEMS: readonly { comment: string; plaintext: string; result: Result }[] = VECTORS.items;
const BODIES = new Map(MESSAGES.map(({ phase, body }) => [phase, unhex(body)]));
const KEYS = derive(unhex(VECTORS.values.ISK));
const MAPPINGS = ["unknown", "none", "endpoint-independent", "address-dependent"];
const UDP = ["unknown", "works", "blocked"];

const random =
  (scalar: string): Random =>
  (count) =>
    unhex(count === 16 ? VECTORS.sid : VECTORS[scalar]);
const allocator = (words = VECTORS.words, number = VECTORS.number) =>
  new Allocator(words, number, random("ya"));
const joiner = (words = VECTORS.words, number = VECTORS.number) =>
  new Joiner(words, number, random("yb"));

/** Return an item as the vectors have it. */
function shown(item: Item): Readonly<Record<string, unknown>> {
  switch (item.kind) {
    case "description":
      return { type: "description", packed: hex(pack(item.description)) };
    case "candidate": {
      const { type, ...rest } = item.candidate;
      return { type: "candidate", kind: type, ...rest };
    }
    case "end":
      return { type: "end" };
    case "bye":
      return { type: "bye", reason: item.reason, message: item.message };
    case "network": {
      const [mapping, udp] = [MAPPINGS.indexOf(item.mapping), UDP.indexOf(item.udp)];
      return { type: "network", mapping, udp };
    }
  }
}

/** Return the items of a step, or the kind of its error. */
function resultOf(step: () => Item[]): Result {
  try {
    return step().map(shown);
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    return error.kind;
  }
}

/** Return the body of the refusal in hexadecimal; undefined if there is to be none. */
function refusalOf(side: Allocator): string | undefined {
  try {
    const [phase, body] = side.refusal();
    expect(phase).toBe("a1");
    return hex(body);
  } catch (error) {
    if (!(error instanceof LocalProtocolError)) throw error;
    return undefined;
  }
}

function body(phase: string): Uint8Array<ArrayBuffer> {
  return BODIES.get(phase) ?? new Uint8Array();
}

/** Return the items of a message of the vectors. */
function content(name: string): Item[] {
  const phase = parsePhase(name);
  if (phase === null) throw new Error(`no phase ${name}`);
  const sealed = body(name).slice({ b0: 98, a1: 66 }[name] ?? 0);
  return decode(openSealed(phase.side === "a" ? KEYS.aToB : KEYS.bToA, phase, sealed));
}

test("the keys are those of the vectors", () => {
  expect(Object.values(KEYS).map(hex)).toEqual(
    ["a_to_b", "b_to_a", "again"].map((name) => VECTORS.values[name]),
  );
});

test("both sides write every message of the vectors", () => {
  const [one, other] = [allocator(), joiner()];
  expect(one.first).toEqual(["a0", body("a0")]);
  expect(other.join(body("a0"), content("b0"))).toEqual(["b0", body("b0")]);
  one.received("b0", body("b0"));
  for (const { phase, items } of MESSAGES.slice(2)) {
    expect(content(phase).map(shown)).toEqual(items);
    const side = phase.startsWith("a") ? one : other;
    expect(side.seal(content(phase))).toEqual([phase, body(phase)]);
  }
});

describe("what a side receives has its result", () => {
  const named = SEQUENCES.map((one): [string, Sequence] => [`${one.role}: ${one.comment}`, one]);
  test.each(named)("%s", (_name, { role, words, number, received, confirmed, refusal }) => {
    const side = (role === "allocator" ? allocator : joiner)(words, number);
    for (const { phase, body, result } of received) {
      const found = resultOf(() => {
        if (!(side instanceof Joiner) || phase !== "a0") return side.received(phase, unhex(body));
        side.join(unhex(body), [OFFER]);
        return [];
      });
      expect(found).toEqual(result);
    }
    expect(side.isConfirmed).toBe(confirmed);
    if (side instanceof Allocator) expect(refusalOf(side)).toBe(refusal);
  });
});

test.each(ITEMS)("items have their result: $comment", ({ plaintext, result }) => {
  const found = resultOf(() => decode(unhex(plaintext)));
  expect(found).toEqual(result);
  if (typeof result === "string") return;
  // Written again, without padding and unknown items, they are read as the same.
  expect(decode(encode(decode(unhex(plaintext)))).map(shown)).toEqual(result);
});
