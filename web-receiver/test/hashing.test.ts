/** Both implementations of SHA-256 against that of Node. */
import { createHash } from "node:crypto";
import { afterEach, expect, test, vi } from "vitest";
import { hex, inJavaScript, loadHashing } from "../src/files/hashing.ts";

const PIECES: readonly (readonly number[])[] = [
  [],
  [0],
  [1],
  [63, 1, 1],
  [64],
  [16384, 16385, 3],
  [100_000, 1, 0, 200_000],
];

afterEach(() => vi.unstubAllGlobals());

function contents(sizes: readonly number[]): Uint8Array[] {
  return sizes.map((size, index) => new Uint8Array(size).map((_, at) => at * 31 + index));
}

test.each(PIECES)("both implementations agree with Node on pieces of %j…", async (...sizes) => {
  const pieces = contents(sizes);
  const expected = createHash("sha256").update(Buffer.concat(pieces)).digest("hex");
  for (const newHasher of [await loadHashing(), inJavaScript]) {
    const hasher = newHasher();
    for (const piece of pieces) hasher.update(piece);
    expect(hex(hasher.digest())).toBe(expected);
  }
});

test("hasher after hasher starts afresh", async () => {
  const newHasher = await loadHashing();
  newHasher().update(new Uint8Array(1000));
  expect(hex(newHasher().digest())).toBe(createHash("sha256").digest("hex"));
});

test("without WebAssembly the one in JavaScript is used", async () => {
  vi.stubGlobal("WebAssembly", undefined);
  expect(await loadHashing()).toBe(inJavaScript);
});

test("with WebAssembly it is used", async () => {
  expect(await loadHashing()).not.toBe(inJavaScript);
});

test("hashers that are used in turns, and copies, are independent", async () => {
  for (const newHasher of [await loadHashing(), inJavaScript]) {
    const [one, other] = [newHasher(), newHasher()];
    const expected = createHash("sha256");
    for (const piece of contents([100, 70, 1])) {
      one.update(piece);
      other.update(piece.slice(0, 3));
      expected.update(piece);
    }
    const copy = one.copy();
    one.update(new Uint8Array(5));
    expect(hex(copy.copy().digest())).toBe(expected.copy().digest("hex"));
    expect(hex(copy.digest())).toBe(expected.copy().digest("hex"));
    expect(hex(one.digest())).toBe(expected.update(new Uint8Array(5)).digest("hex"));
    expect(hex(other.digest())).toHaveLength(64);
  }
});
