/**
 * Sealed messages of a short code: the keys of both directions, encryption, padding. As
 * `dcsend/rendezvous/sealing.py`.
 *
 * Each direction has a key of its own, and the number of a message is its nonce, so that no pair of
 * key and nonce is used twice. The phase of the message is authenticated with it: a sealed message
 * is of use in its own place only.
 *
 * Must not import anything of src/ but `errors`, `bytes` and `wire`.
 */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { AuthenticationFailed, LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import { ascii, type Bytes } from "./bytes.ts";
import { APP_ID, phaseLetter } from "./wire.ts";

/** Bytes; the plaintext is padded to a multiple, so that its size hides how many items it has. */
export const BLOCK = 512;
/** Bytes of a padded plaintext, at most. */
export const MAX_PLAINTEXT = 2048;

/** Bytes of a sealed message, at most. */
export const MAX_SEALED = MAX_PLAINTEXT + 16;

const KEY_SIZE = 32;
const NONCE_SIZE = 12;
/** Bytes of the tag of ChaCha20-Poly1305. */
const OVERHEAD = 16;

/** The name of a message in the mailbox. */
export interface Phase {
  /** Who sends it: `a` for the allocator, `b` for the joiner. */
  readonly side: "a" | "b";
  /** 0 to `wire.MAX_PHASES` - 1. */
  readonly number: number;
}

/** Read the name of a phase; null if it is not one of a short code. */
export function parsePhase(name: string): Phase | null {
  const side = phaseLetter(name);
  return side === null ? null : { side, number: Number(name.slice(1)) };
}

/** Return the name of a phase, such as `a12`. */
export function phaseName({ side, number }: Phase): string {
  return `${side}${number}`;
}

/** The keys of one exchange, 32 bytes each. */
export interface Keys {
  /** Seals what the allocator sends. */
  readonly aToB: Bytes;
  /** Seals what the joiner sends. */
  readonly bToA: Bytes;
}

/**
 * Derive the keys from the ISK of CPace, with an empty salt; `again` is that of a second meeting
 * (again.ts).
 */
export function derive(isk: Uint8Array): Keys & { readonly again: Bytes } {
  return { aToB: expand(isk, "a>b"), bToA: expand(isk, "b>a"), again: expand(isk, "again") };
}

/** Derive `size` bytes for a purpose by HKDF-SHA-256 (RFC 5869). */
export function expand(key: Uint8Array, purpose: string, size = KEY_SIZE, salt?: Uint8Array) {
  return hkdf(sha256, key, salt, ascii(`dcsend 1 ${purpose}`), size).slice();
}

/**
 * Pad and encrypt a message with ChaCha20-Poly1305 (RFC 8439): 528, 1040, 1552 or 2064 bytes.
 *
 * The `key` of the direction MUST NOT be used for the same phase twice. Throws LocalProtocolError
 * for a plaintext of more than MAX_PLAINTEXT bytes.
 */
export function seal(key: Uint8Array, phase: Phase, plaintext: Uint8Array): Bytes {
  if (plaintext.length > MAX_PLAINTEXT) {
    throw new LocalProtocolError(`a message of ${plaintext.length} bytes is too long to be sealed`);
  }
  const padded = new Uint8Array(BLOCK * Math.max(1, Math.ceil(plaintext.length / BLOCK)));
  padded.set(plaintext);
  return cipher(key, phase).encrypt(padded).slice();
}

/**
 * Authenticate and decrypt a message; return the plaintext with its padding.
 *
 * Throws RemoteProtocolError for a length that `seal` does not produce, and AuthenticationFailed if
 * the other side did not seal it for this phase.
 */
export function openSealed(key: Uint8Array, phase: Phase, sealed: Uint8Array): Bytes {
  if (!isSealedSize(sealed.length)) {
    throw new RemoteProtocolError(
      `the sealed message ${phaseName(phase)} has ${sealed.length} bytes`,
    );
  }
  try {
    return cipher(key, phase).decrypt(sealed).slice();
  } catch {
    throw new AuthenticationFailed(
      `the message ${phaseName(phase)} was changed on its way, or the other side did not send it`,
      "the server between the two sides may be hostile; make a new code, or use another one",
    );
  }
}

/** Return whether a sealed message can have `size` bytes. */
export function isSealedSize(size: number): boolean {
  const plain = size - OVERHEAD;
  return BLOCK <= plain && plain <= MAX_PLAINTEXT && plain % BLOCK === 0;
}

function cipher(key: Uint8Array, phase: Phase) {
  const nonce = new Uint8Array(NONCE_SIZE);
  nonce[NONCE_SIZE - 1] = phase.number;
  return chacha20poly1305(key, nonce, ascii(`${APP_ID}\0${phaseName(phase)}`));
}
