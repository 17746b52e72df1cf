/**
 * QR codes of at most 106 bytes: byte mode, versions 1 to 5 with error correction level L, whose data
 * is one block, and mask 0 (ISO/IEC 18004). Imports nothing.
 */

/** Codewords of data and of error correction, by version. */
const BLOCKS = [
  [19, 7],
  [34, 10],
  [55, 15],
  [80, 20],
  [108, 26],
] as const;

/** The bits of the format: level L, mask 0. */
const FORMAT = 0x77c4;

/** Return the rows of modules, true if dark, without quiet zone; null if `text` is too long. */
export function qrCode(text: string): readonly (readonly boolean[])[] | null {
  const bytes = [...new TextEncoder().encode(text)];
  // Mode, length and end take two bytes.
  const version = BLOCKS.findIndex(([most]) => bytes.length + 2 <= most);
  const [most, checks] = BLOCKS[version] ?? [0, 0];
  if (most === 0) return null;
  const halves = [4, ...[bytes.length, ...bytes].flatMap((byte) => [byte >> 4, byte & 15]), 0];
  const data = Array.from({ length: most }, (_, at) => {
    const [high, low] = halves.slice(2 * at);
    // After the end two values alternate.
    if (high === undefined || low === undefined) return (at - bytes.length) % 2 ? 0x11 : 0xec;
    return (high << 4) | low;
  });
  const words = [...data, ...remainder(data, checks)];
  const size = 21 + 4 * version;
  const rows = Array.from({ length: size }, (_row, y) =>
    Array.from({ length: size }, (_module, x) => fixed(x, y, size)),
  );
  let bit = 0;
  // Pairs of columns from the right, upwards and downwards in turn; column 6 is left out.
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    const isUp = ((right + 1) & 2) === 0;
    for (let step = 0; step < 2 * size; step++) {
      const x = right - (step & 1);
      const y = isUp ? size - 1 - (step >> 1) : step >> 1;
      const row = rows[y] ?? [];
      if (row[x] !== null) continue;
      const value = ((words[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;
      bit += 1;
      row[x] = (value === 1) !== ((x + y) % 2 === 0);
    }
  }
  return rows.map((row) => row.map(Boolean));
}

/** Return whether a module of a pattern, or of the format, is dark; null for one of the data. */
function fixed(x: number, y: number, size: number): boolean | null {
  const far = size - 4;
  const ring = Math.min(distance(x, y, 3, 3), distance(x, y, far, 3), distance(x, y, 3, far));
  if (ring < 5) return ring !== 2 && ring !== 4;
  const small = distance(x, y, size - 7, size - 7);
  if (size > 21 && small < 3) return small !== 1;
  if (x === 6 || y === 6) return (x + y) % 2 === 0;
  if (x === 8 && y === size - 8) return true;
  return formatBit(x, y, size);
}

/** The format is along column 8 and along row 8, there in reverse. */
function formatBit(x: number, y: number, size: number): boolean | null {
  const place = x === 8 ? y : y === 8 ? x : 9;
  if (place > 8 && place < size - 8) return null;
  const bit = place > 8 ? place - size + 15 : place > 6 ? place - 1 : place;
  return ((FORMAT >> (x === 8 ? bit : 14 - bit)) & 1) === 1;
}

function distance(x: number, y: number, left: number, top: number): number {
  return Math.max(Math.abs(x - left), Math.abs(y - top));
}
/** Return the codewords of error correction: the remainder in GF(256) (Reed and Solomon). */
function remainder(data: readonly number[], checks: number): number[] {
  const divisor = Array<number>(checks).fill(0);
  divisor[checks - 1] = 1;
  for (let count = 0, root = 1; count < checks; count++, root = product(root, 2)) {
    for (const [at, value] of divisor.entries()) {
      divisor[at] = product(value, root) ^ (divisor[at + 1] ?? 0);
    }
  }
  let rest = Array<number>(checks).fill(0);
  for (const byte of data) {
    const factor = byte ^ (rest[0] ?? 0);
    rest = divisor.map((value, at) => product(value, factor) ^ (rest[at + 1] ?? 0));
  }
  return rest;
}

/** Multiply in GF(256), modulo x⁸ + x⁴ + x³ + x² + 1. */
function product(left: number, right: number): number {
  let result = 0;
  for (let bit = 7; bit >= 0; bit--) {
    result = (result << 1) ^ ((result >> 7) * 0x11d) ^ (((right >> bit) & 1) * left);
  }
  return result;
}
