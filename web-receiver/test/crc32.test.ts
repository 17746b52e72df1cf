/** CRC-32: known values, and every length and start against a simple loop. */
import { expect, test } from "vitest";
import { crc32 } from "../src/crc32.ts";

function plain(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const BYTES = Uint8Array.from({ length: 200 }, (_, place) => (place * 151 + 7) % 256);
const VIEW = new DataView(BYTES.buffer);

test("crc of nothing is 0", () => {
  expect(crc32(VIEW, 0, 0)).toBe(0);
});

test("crc of the check string is that of the catalogues", () => {
  const view = new DataView(new TextEncoder().encode("123456789").buffer);
  expect(crc32(view, 0, 9)).toBe(0xcbf43926);
});

test("crc is that of the plain loop for every length and start", () => {
  for (let start = 0; start < 20; start++) {
    for (let end = start; end <= BYTES.length; end++) {
      expect(crc32(VIEW, start, end)).toBe(plain(BYTES.subarray(start, end)));
    }
  }
});

test("crc goes on from what came before", () => {
  for (let middle = 0; middle <= BYTES.length; middle++) {
    expect(crc32(VIEW, middle, 200, crc32(VIEW, 0, middle))).toBe(plain(BYTES));
  }
});
