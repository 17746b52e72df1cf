/**
 * Bytes as text in an html file, 7 bits in each byte of UTF-8, as in base122.
 *
 * A septet is the ASCII character of that number. An excluded one and the septet after it are
 * together one character of two bytes: 1 to 3, which is the place of the first in EXCLUDED and 1,
 * times 128, plus the second. At the end of the text it is alone, and 4 is added to its place.
 * Characters that can't be typed are allowed: html changes only NUL and CR, and < can end a script.
 */
import { EXCLUDED } from "../src/septets.ts";

/** Return `bytes` as text, for `decode` of src/septets.ts; the last septet is padded with zeros. */
export function encode(bytes: Uint8Array): string {
  const septets: number[] = [];
  let bits = 0;
  let count = 0;
  for (const byte of bytes) {
    bits = (bits << 8) | byte;
    for (count += 8; count >= 7; ) {
      count -= 7;
      septets.push((bits >> count) & 127);
    }
  }
  if (count > 0) septets.push((bits << (7 - count)) & 127);
  let text = "";
  for (let at = 0; at < septets.length; at++) {
    const septet = septets[at] ?? 0;
    const place = EXCLUDED.indexOf(septet) + 1;
    if (place === 0) text += String.fromCharCode(septet);
    else if (at === septets.length - 1) text += String.fromCharCode((place + 4) << 7);
    else text += String.fromCharCode((place << 7) | (septets[++at] ?? 0));
  }
  return text;
}
