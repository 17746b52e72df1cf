/**
 * CPace: a key from a few words, of which an attacker can test one guess in each exchange. As
 * `dcsend/rendezvous/cpace.py`.
 *
 * The suite CPACE-X25519-SHA512 of draft-irtf-cfrg-cpace-21 in the initiator-responder setting, with
 * the names of the draft. A page on plain http has no crypto.subtle, so the ladder and the hashes
 * are those of @noble; its ready-made `x25519` would add the tables of Ed25519 to the page.
 * JavaScript's integers do not take constant time. A scalar MUST be used for one exchange only.
 *
 * Must not import anything of src/ but `errors` and `bytes`.
 */
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { RemoteProtocolError } from "../errors.ts";
import { ascii, type Bytes, concat } from "./bytes.ts";

/** Bytes of a scalar; any random bytes are one (RFC 7748, 5). */
export const SCALAR_SIZE = 32;
/** Bytes of a public share: a u-coordinate of Curve25519. */
export const SHARE_SIZE = 32;
/** Bytes of a tag of the key confirmation. */
export const TAG_SIZE = 64;

/** Domain-separation identifier of the group. */
const DSI = ascii("CPace255");
/** Bytes of an input block of SHA-512. */
const BLOCK = 128;
/** The prime of the field. */
const P = 2n ** 255n - 19n;
/** Coefficient of Curve25519: v² = u³ + A·u² + u. */
const A = 486_662n;
/** The non-square of the map (RFC 9380, 6.7.1). */
const Z = 2n;

const X25519 = montgomery({
  P,
  type: "x25519",
  adjustScalarBytes: (bytes: Uint8Array) => {
    bytes[0] = (bytes[0] ?? 0) & 248;
    bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
    return bytes;
  },
  powPminus2: (x) => power(x, P - 2n),
});

/** Return the parts, each behind its length in LEB128 (appendix A.1 of the draft). */
export function lvCat(...parts: Uint8Array[]): Bytes {
  return concat(...parts.flatMap((part) => [length(part), part]));
}

function length(part: Uint8Array): Bytes {
  const encoded: number[] = [];
  let rest = part.length;
  for (; rest > 127; rest >>= 7) encoded.push((rest & 127) | 128);
  return Uint8Array.of(...encoded, rest);
}

/** What one side has sent. */
export interface Sent {
  /** Y, 32 bytes. */
  readonly share: Uint8Array;
  /** AD, any length. */
  readonly data: Uint8Array;
}

/** Return what is hashed for the generator; the first block depends on PRS alone. */
export function generatorString(prs: Uint8Array, ci: Uint8Array, sid: Uint8Array): Bytes {
  const room = BLOCK - 1 - lvCat(prs, DSI).length;
  return lvCat(DSI, prs, new Uint8Array(Math.max(0, room)), ci, sid);
}

/**
 * Map 32 bytes to a u-coordinate of Curve25519 by Elligator 2 (RFC 9380, 6.7.1). They are
 * little-endian; the top bit is ignored, the rest is taken modulo p.
 */
export function mapToCurve(fieldElement: Uint8Array): Bytes {
  const r = coordinate(fieldElement);
  // The denominator is not 0, since -1/Z is no square.
  const v = modulo(-A * power(1n + Z * r * r, P - 2n));
  const isSquare = power(v * (v * (v + A) + 1n), (P - 1n) / 2n) === 1n;
  const u = modulo(isSquare ? v : -v - A);
  return Uint8Array.from({ length: SHARE_SIZE }, (_, at) => Number((u >> BigInt(8 * at)) & 255n));
}

/** Return the generator of one exchange, as a u-coordinate of 32 bytes. */
export function generator(prs: Uint8Array, ci: Uint8Array, sid: Uint8Array): Bytes {
  return mapToCurve(sha512(generatorString(prs, ci, sid)).subarray(0, SHARE_SIZE));
}

/**
 * Multiply a point: X25519 (RFC 7748, 5). The top bit of the point is ignored, and the rest is taken
 * modulo p.
 *
 * The result with the generator is a public share. The result with the share of the other side is
 * the secret K, which MUST NOT leave the caller: it verifies guesses. Throws RemoteProtocolError if
 * the point has another length than 32 bytes, or a low order: the result is zero.
 */
export function scalarMult(scalar: Uint8Array, point: Uint8Array): Bytes {
  if (point.length !== SHARE_SIZE) {
    throw new RemoteProtocolError(`a share of the key exchange has ${point.length} bytes`);
  }
  try {
    return X25519.scalarMult(scalar, point).slice();
  } catch {
    throw new RemoteProtocolError("a share of the key exchange has a low order");
  }
}

/** Return whether two shares are encodings of one point, as X25519 reads them. */
export function isSamePoint(share: Uint8Array, other: Uint8Array): boolean {
  return coordinate(share) === coordinate(other);
}

/** Read a u-coordinate (RFC 7748, 5): the top bit is ignored, the rest is taken modulo p. */
function coordinate(encoded: Uint8Array): bigint {
  const number = encoded.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return (number & (2n ** 255n - 1n)) % P;
}

/**
 * Return the ISK, 64 bytes, of the product `k` of one side's scalar and the other side's share; `a`
 * is what the initiator has sent, `b` what the responder has sent.
 */
export function sessionKey(sid: Uint8Array, k: Uint8Array, a: Sent, b: Sent): Bytes {
  const transcript = concat(lvCat(a.share, a.data), lvCat(b.share, b.data));
  return sha512(concat(lvCat(ascii("CPace255_ISK"), sid, k), transcript)).slice();
}

/** Return the tag by which the side that has sent `sent` proves that it has the ISK, 64 bytes. */
export function confirmationTag(sid: Uint8Array, isk: Uint8Array, sent: Sent): Bytes {
  const macKey = sha512(concat(ascii("CPaceMac"), sid, isk));
  return hmac(sha512, macKey, lvCat(sent.share, sent.data)).slice();
}

/** Return whether a tag is that of `confirmationTag`; the time depends on its length only. */
export function isTag(tag: Uint8Array, sid: Uint8Array, isk: Uint8Array, sent: Sent): boolean {
  const right = confirmationTag(sid, isk, sent);
  let difference = right.length ^ tag.length;
  for (let at = 0; at < right.length; at++) difference |= (right[at] ?? 0) ^ (tag[at] ?? 0);
  return difference === 0;
}

function modulo(x: bigint): bigint {
  const rest = x % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = modulo(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}
