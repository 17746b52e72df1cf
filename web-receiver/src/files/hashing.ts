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
  /** Return another one of the same bytes. */
  copy(): Hasher;
}

/** Begins a hasher. */
export type NewHasher = () => Hasher;

/** Return the implementation that works here, by trying it. */
export async function loadHashing(): Promise<NewHasher> {
  try {
    const newHasher = inWebAssembly(await createSHA256());
    const [there, here] = [newHasher, inJavaScript].map((begin) => begin().digest().join());
    return there === here ? newHasher : inJavaScript;
  } catch {
    return inJavaScript;
  }
}

/** Begin a hasher in JavaScript, which works everywhere. */
export function inJavaScript(): Hasher {
  const begin = (hasher: ReturnType<typeof sha256.create>): Hasher => ({
    update: (bytes) => {
      hasher.update(bytes);
    },
    digest: () => new Uint8Array(hasher.digest()),
    copy: () => begin(hasher.clone()),
  });
  return begin(sha256.create());
}

/**
 * Return what begins hashers in WebAssembly. They share `instance`, since each is a module of its
 * own: the one that is used puts its state there.
 */
function inWebAssembly(instance: IHasher): NewHasher {
  /** Takes the state of the hasher that is in the instance out of it. */
  let leave = () => {};
  let inside: Hasher | null = null;
  const begin = (state: Uint8Array | null): Hasher => {
    const enter = () => {
      if (inside === hasher) return;
      leave();
      if (state === null) instance.init();
      else instance.load(state);
      inside = hasher;
      leave = () => {
        state = instance.save();
      };
    };
    const hasher: Hasher = {
      update(bytes) {
        enter();
        instance.update(bytes);
      },
      digest() {
        enter();
        leave = () => {};
        inside = null;
        return new Uint8Array(instance.digest("binary"));
      },
      copy() {
        enter();
        return begin(instance.save());
      },
    };
    return hasher;
  };
  return () => begin(null);
}

/** Return a digest in lower case hexadecimal. */
export function hex(digest: Uint8Array): string {
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
