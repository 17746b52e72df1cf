/**
 * CPace over X25519 and SHA-512 (CPACE-X25519-SHA512, draft-irtf-cfrg-cpace-21): two sides that have
 * the same words get the same key; another side learns only whether one guess was right. As
 * `dcsend/rendezvous/cpace.py`.
 *
 * A page on plain http has no crypto.subtle, so the ladder and the hashes are those of @noble. Its
 * ready-made `x25519` would add the tables of Ed25519 to the page. Imports nothing of src/ but
 * errors.
 */
import { montgomery } from "@noble/curves/abstract/montgomery.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { AuthenticationFailed, RemoteProtocolError } from "../errors.ts";

/** Bytes of a scalar, of a share and of a shared point. */
export const SHARE_SIZE = 32;
/** Bytes of the intermediate session key, and of a tag. */
export const TAG_SIZE = 64;

type Bytes = Uint8Array<ArrayBuffer>;

/** The prime of the field (RFC 7748, 4.1). */
const P = 2n ** 255n - 19n;
/** The coefficient A of Curve25519. */
const A = 486662n;
/** Bytes of an input block of SHA-512. */
const BLOCK_SIZE = 128;

const ascii = (text: string) => new TextEncoder().encode(text);

const ladder = montgomery({
  P,
  type: "x25519",
  adjustScalarBytes: (bytes: Uint8Array) => {
    bytes[0] = (bytes[0] ?? 0) & 248;
    bytes[31] = ((bytes[31] ?? 0) & 127) | 64;
    return bytes;
  },
  powPminus2: (x) => power(x, P - 2n),
});

/** Return the parts in a row, each after its length in LEB128 (appendix A.1). */
export function lvCat(...parts: Uint8Array[]): Bytes {
  return concat(
    ...parts.flatMap((part) => {
      const length: number[] = [];
      let rest = part.length;
      for (; rest > 127; rest >>= 7) length.push((rest & 127) | 128);
      return [Uint8Array.of(...length, rest), part];
    }),
  );
}

/** Return the parts in a row. */
export function concat(...parts: Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/**
 * Return the generator of these words, 32 bytes (6.2 of the draft).
 *
 * `prs` is the password-related string, `ci` the channel identifier, `sid` the session identifier.
 */
export function generator(prs: Uint8Array, ci: Uint8Array, sid: Uint8Array): Bytes {
  const dsi = ascii("CPace255");
  const padding = Math.max(0, BLOCK_SIZE - 1 - lvCat(prs, dsi).length);
  const hash = sha512(lvCat(dsi, prs, new Uint8Array(padding), ci, sid));
  return encode(elligator2(decode(hash.subarray(0, SHARE_SIZE))));
}

/** Return the share that is sent for a secret `scalar`, 32 random bytes. */
export function share(scalar: Uint8Array, generator: Uint8Array): Bytes {
  return ladder.scalarMult(scalar, generator).slice();
}

/**
 * Return the shared point of the own `scalar` and the share of the other side.
 *
 * Throws RemoteProtocolError for a share of another length, or of low order, with which the result
 * would not depend on the words.
 */
export function sharedPoint(scalar: Uint8Array, theirs: Uint8Array): Bytes {
  if (theirs.length !== SHARE_SIZE) {
    throw new RemoteProtocolError(`the peer's share has ${theirs.length} bytes`);
  }
  try {
    return ladder.scalarMult(scalar, theirs).slice();
  } catch {
    throw new RemoteProtocolError("the peer's share is a point of low order");
  }
}

/** A share with the data that is authenticated with it. */
export interface Share {
  readonly share: Uint8Array;
  readonly data: Uint8Array;
}

/** Return the intermediate session key, 64 bytes; `a` is the initiator's share, `b` the other. */
export function sessionKey(sid: Uint8Array, point: Uint8Array, a: Share, b: Share): Bytes {
  const shares = concat(lvCat(a.share, a.data), lvCat(b.share, b.data));
  return sha512(concat(lvCat(ascii("CPace255_ISK"), sid, point), shares)).slice();
}

/** Return the tag with which the sender of `sent` confirms the session key, 64 bytes (10.4). */
export function tag(sid: Uint8Array, key: Uint8Array, sent: Share): Bytes {
  const macKey = sha512(concat(ascii("CPaceMac"), sid, key));
  return hmac(sha512, macKey, lvCat(sent.share, sent.data)).slice();
}

/** Throw AuthenticationFailed unless the tags are equal; the time depends on the lengths only. */
export function checkTag(expected: Uint8Array, received: Uint8Array): void {
  let difference = expected.length ^ received.length;
  for (let at = 0; at < expected.length; at++) {
    difference |= (expected[at] ?? 0) ^ (received[at] ?? 0);
  }
  if (difference !== 0) {
    throw new AuthenticationFailed("the words of the code are wrong on one side");
  }
}

/** The u-coordinate of a field element (RFC 9380, 6.7.1, with Z = 2). */
function elligator2(r: bigint): bigint {
  // 1 + 2 r² is not zero, since -1/2 is no square.
  const v = modulo(-A * power(1n + 2n * r * r, P - 2n));
  // 1 if v is the u-coordinate of a point, else P - 1, never 0: v³ + Av² + v has the root 0 only.
  const isOther = BigInt(power(v * (v * (v + A) + 1n), (P - 1n) / 2n) !== 1n);
  return modulo(v - isOther * (2n * v + A));
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

/** Read a field element as RFC 7748, 5 does: without the highest bit, reduced. */
function decode(bytes: Uint8Array): bigint {
  const number = bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return (number & (2n ** 255n - 1n)) % P;
}

function encode(number: bigint): Bytes {
  return Uint8Array.from({ length: SHARE_SIZE }, (_, at) =>
    Number((number >> BigInt(8 * at)) & 255n),
  );
}
