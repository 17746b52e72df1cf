/** The encoding of the packed script: bytes, text, and back, through what html changes. */
import { describe, expect, test } from "vitest";
import { encode } from "../build/septets.ts";
import { decode, EXCLUDED } from "../src/septets.ts";

/** Every pair of bytes, so every septet at every shift; `length` cuts it. */
function pairs(length: number): Uint8Array {
  return Uint8Array.from(
    { length },
    (_, at) => ((at >> 1) * (at & 1 ? 1 : 257)) >> (at & 1 ? 0 : 8),
  );
}

describe("septets", () => {
  test("decoding returns the bytes that were encoded, at every length", () => {
    for (let length = 0; length < 600; length++) {
      const bytes = pairs(length);
      expect(decode(encode(bytes))).toEqual(bytes);
    }
    const all = pairs(1 << 17);
    expect(decode(encode(all))).toEqual(all);
  });

  test("an excluded septet at the end adds no byte", () => {
    for (const septet of EXCLUDED) {
      // Seven bytes are eight septets, the last of which is this one.
      const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, septet);
      expect(decode(encode(bytes))).toEqual(bytes);
    }
    expect(decode(encode(new Uint8Array(100)))).toEqual(new Uint8Array(100));
  });

  test("html leaves the text as it is: no NUL, CR or <, and valid UTF-8", () => {
    const text = encode(pairs(1 << 17));
    for (const one of ["\0", "\r", "<"]) expect(text).not.toContain(one);
    expect(new TextDecoder("utf-8", { fatal: true }).decode(new TextEncoder().encode(text))).toBe(
      text,
    );
  });

  test("seven bits take one byte", () => {
    const { length } = new TextEncoder().encode(encode(pairs(70_000)));
    expect(length).toBeLessThanOrEqual(80_002);
  });
});
