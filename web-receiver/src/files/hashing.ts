/**
 * Incremental SHA-256: in WebAssembly where it runs, otherwise in JavaScript, about half as fast
 * (the lockdown modes of phones disable WebAssembly).
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { createSHA256, type IHasher } from "hash-wasm";

/** A running SHA-256; unusable after `digest`. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Return the digest, 32 bytes. */
  digest(): Uint8Array<ArrayBuffer>;
}

/** Begins a hasher. Only the last one that it began may be used: files are hashed one by one. */
export type NewHasher = () => Hasher;

/** Return the implementation that works here, by trying it. */
export async function loadHashing(): Promise<NewHasher> {
  try {
    const hasher = await createSHA256();
    const newHasher = () => inWebAssembly(hasher);
    const [there, here] = [newHasher, inJavaScript].map((begin) => begin().digest().join());
    return there === here ? newHasher : inJavaScript;
  } catch {
    return inJavaScript;
  }
}

/** Begin a hasher in JavaScript, which works everywhere. */
export function inJavaScript(): Hasher {
  const hasher = sha256.create();
  return {
    update: (bytes) => {
      hasher.update(bytes);
    },
    digest: () => new Uint8Array(hasher.digest()),
  };
}

// One instance for all files: each is a WebAssembly module of its own.
function inWebAssembly(instance: IHasher): Hasher {
  instance.init();
  return {
    update: (bytes) => {
      instance.update(bytes);
    },
    digest: () => new Uint8Array(instance.digest("binary")),
  };
}

/** Return a digest in lower case hexadecimal. */
export function hex(digest: Uint8Array): string {
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
