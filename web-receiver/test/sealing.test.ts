/** Sealed messages of a short code: keys, padding, authentication. */
import { describe, expect, test } from "vitest";
import { AuthenticationFailed, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import {
  derive,
  isSealedSize,
  openSealed,
  type Phase,
  parsePhase,
  phaseName,
  seal,
} from "../src/rendezvous/sealing.ts";
import { MAX_PHASES } from "../src/rendezvous/wire.ts";
import { flipped, hex } from "./shortcodes.ts";

const KEYS = derive(new Uint8Array(64).fill(7));
const PHASE: Phase = { side: "b", number: 3 };

describe("a phase", () => {
  test("is read by its name", () => {
    for (const name of ["a0", "b0", "a9", "b10", "a63"]) {
      const phase = parsePhase(name);
      expect(phase && phaseName(phase)).toBe(name);
    }
  });

  test.each(["", "a", "c1", "a01", "a-1", "b64", "b99", "a100", "A1", "a1 ", "a1\n", "pake", "a١"])(
    "is no other text: %j",
    (name) => {
      expect(parsePhase(name)).toBeNull();
    },
  );
});

test("both directions and later connections have keys of their own", () => {
  const keys = [KEYS.aToB, KEYS.bToA, KEYS.again].map(hex);
  expect(new Set(keys).size).toBe(3);
  for (const key of keys) expect(key).toHaveLength(64);
});

test.each([
  [0, 528],
  [1, 528],
  [512, 528],
  [513, 1040],
  [2048, 2064],
])("a plaintext of %i bytes is padded with zeros: %i bytes", (length, size) => {
  const plaintext = new Uint8Array(length).fill(1);
  const sealed = seal(KEYS.aToB, PHASE, plaintext);
  expect(sealed).toHaveLength(size);
  const opened = openSealed(KEYS.aToB, PHASE, sealed);
  expect(hex(opened)).toBe(hex(plaintext).padEnd(2 * (size - 16), "0"));
});

test("a plaintext that is too long is not sealed", () => {
  expect(() => seal(KEYS.aToB, PHASE, new Uint8Array(2049))).toThrow(LocalProtocolError);
});

test("only lengths that sealing produces are opened", () => {
  const sizes = Array.from({ length: 3000 }, (_, size) => size).filter(isSealedSize);
  expect(sizes).toEqual([528, 1040, 1552, 2064]);
  for (const size of [0, 16, 527, 529, 2576]) {
    expect(() => openSealed(KEYS.aToB, PHASE, new Uint8Array(size))).toThrow(RemoteProtocolError);
  }
});

test("a message of the other direction, of another phase or of other keys is refused", () => {
  const sealed = seal(KEYS.aToB, PHASE, new Uint8Array());
  const others = derive(new Uint8Array(64).fill(8));
  const attempts: [Uint8Array, Phase][] = [
    [KEYS.bToA, PHASE],
    [others.aToB, PHASE],
    [KEYS.aToB, { side: "a", number: 3 }],
    [KEYS.aToB, { side: "b", number: 2 }],
    [KEYS.aToB, { side: "b", number: MAX_PHASES - 1 }],
  ];
  for (const [key, phase] of attempts) {
    expect(() => openSealed(key, phase, sealed)).toThrow(AuthenticationFailed);
  }
});

test("a message with any bit changed is refused", () => {
  const sealed = seal(KEYS.aToB, PHASE, Uint8Array.of(3, 0, 0));
  for (let bit = 0; bit < 8 * sealed.length; bit += 7) {
    expect(() => openSealed(KEYS.aToB, PHASE, flipped(sealed, bit))).toThrow(AuthenticationFailed);
  }
});
