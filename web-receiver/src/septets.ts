/**
 * Decodes the packed script of the page, see build/septets.ts. Imports nothing: it runs before the
 * script is unpacked.
 */

/** The ASCII characters that an html file can't contain unchanged: NUL, CR, and <, by number. */
export const EXCLUDED = [0, 13, 60];

/** Return the bytes of a text of septets. */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length * 2);
  let size = 0;
  let bits = 0;
  let count = 0;
  const add = (septet: number) => {
    bits = (bits << 7) | septet;
    count += 7;
    if (count < 8) return;
    count -= 8;
    bytes[size++] = bits >> count;
  };
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (code > 127) add(EXCLUDED[((code >> 7) & 3) - 1] ?? 0);
    if (code < 512) add(code & 127);
  }
  return bytes.slice(0, size);
}
