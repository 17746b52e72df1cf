/** Common parts of messages in binary form. */

/** Bytes that no other thread shares. */
export type Bytes = Uint8Array<ArrayBuffer>;

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

/** Return the bytes of an ASCII text. */
export function ascii(text: string): Bytes {
  return new TextEncoder().encode(text);
}
