/** Common parts of the tests of short codes. */
import type { Candidate, Description, SdpType } from "../src/description.ts";
import { type Allocator, Joiner, type Random } from "../src/rendezvous/handshake.ts";
import type { Item } from "../src/rendezvous/items.ts";

export const [WORDS, NUMBER] = ["walrus-umbrella", "7"];

/** Return the bytes of a hexadecimal text. */
export function unhex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Return bytes as lower-case hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Numbers that look random and are the same for the same seed (xorshift of 32 bits). */
export class Seeded {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  /** Return a number from 0 to `end` - 1. */
  below(end: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % end;
  }

  pick<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error("nothing to pick");
    return value;
  }

  readonly bytes: Random = (count) => Uint8Array.from({ length: count }, () => this.below(256));
}

const FINGERPRINT = Uint8Array.from({ length: 32 }, (_, at) => at);

function description(type: SdpType): Description {
  const [ufrag, password] = ["EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"];
  const setup = type === "offer" ? "actpass" : "active";
  return {
    type,
    ufrag,
    password,
    fingerprint: FINGERPRINT,
    setup,
    candidates: [],
    offerMark: null,
  };
}

export const OFFER: Item = { kind: "description", description: description("offer") };
export const ANSWER: Item = { kind: "description", description: description("answer") };
export const END: Item = { kind: "end" };

/** Return a host candidate with this port. */
export function candidate(port: number): Item {
  const value: Candidate = { type: "host", host: "192.0.2.7", port, priority: 2130706431 };
  return { kind: "candidate", candidate: value };
}

/** Let a joiner join with an offer, and pass its b0 to the allocator. */
export function confirmed(allocator: Allocator, words = WORDS): Joiner {
  const joiner = new Joiner(words, NUMBER);
  allocator.received(...joiner.join(allocator.first[1], [OFFER]));
  return joiner;
}

/** Return a copy with one bit changed. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
