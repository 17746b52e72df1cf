/**
 * Finds the bytes of a code in whatever was pasted, typed or scanned: of a dial code, or of a
 * session description.
 *
 * As `dcsend/signaling/forgiving.py`, and exactly as forgiving: what mail programs, chats, shells
 * and terminals add is passed over, what they damage is named. Knows nothing of what the bytes
 * mean: that is dialcode.ts. Imports only errors.ts and printable.ts.
 */
import { MalformedCode } from "../errors.ts";
import { printable } from "../printable.ts";

/** What the text for people begins with. */
const PREFIX = "dc";
/** The same of a session description, of which each side needs the other's. */
export const DESCRIPTION = "ds";

/** Prefix: what to say where it is that of the other kind. */
const MISTAKEN: Readonly<Record<string, readonly [string, string]>> = {
  [PREFIX]: [
    "this is a dial code, which needs no answer",
    "use it as it is: go back, and paste it there",
  ],
  [DESCRIPTION]: [
    "this is one of two codes, each side needs the other's",
    "choose “Use two codes” here, and give the code that you see to the other side first",
  ],
};

/** Characters that are looked at; more is a wrong file, not a code with some clutter. */
const MAX_TEXT = 65_536;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const FOREIGN_TO_BASE32 = /[^0-9a-tv-z]/u;
const FOREIGN_TO_DIGITS = /[^0-9]/u;

// Listed, rather than "everything else", so that a foreign letter is named and not dropped.
const CLUTTER = /[\p{Cc}\p{Cf}\p{Pd}\p{Z}'"`´<>.,;:!?*_~|=/\\()[\]{}$«»‹›“”„‟‘’‚‛·•−]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences begin with one
const CONTROL_SEQUENCE = /\x1b\[[0-?]*[ -/]*[@-~]|\^?\[\[?20[01]~/g;
const ENCODED_HASH = /%(?:25)*23/g;
// `dcsend send PATH --to` has a path in it, of any letters; its length is limited so that no text
// takes long.
const COMMAND = /dcsend(?:exe)?(?:receive|chat|send.{0,999}?to(?=d[cs]|$))/u;

/** From the first two bytes or more: how many a code has that begins so; null if nobody knows. */
type SizeOf = (beginning: Uint8Array) => number | null;

/**
 * Return the bytes that `text` carries, in either form; their checksum is not looked at.
 *
 * `largest` is the bytes of the longest code there is; `sizeOf` tells a text that was cut off from
 * one that was changed; `prefix` is what the wanted kind begins with. Throws MalformedCode where
 * there is no such code, or not all of one.
 */
export function read(
  text: string,
  largest: number,
  sizeOf: SizeOf,
  prefix = PREFIX,
): Uint8Array<ArrayBuffer> {
  const code = body(text);
  const isDigits = !FOREIGN_TO_DIGITS.test(code);
  const kind = isDigits ? PREFIX : code.slice(0, PREFIX.length);
  const mistaken = kind === prefix ? undefined : MISTAKEN[kind];
  if (mistaken !== undefined) throw new MalformedCode(...mistaken);
  if (isDigits) return fromDigits(code, largest);
  if (kind === prefix) return fromBase32(code.slice(prefix.length), largest, sizeOf);
  if (code.startsWith("http")) {
    throw linkWithout("the # and what follows it are missing");
  }
  if (/^[0-9]/.test(code)) refuseForeign(code, FOREIGN_TO_DIGITS);
  const links = prefix === PREFIX ? ", links have # and digits" : "";
  throw new MalformedCode(`this is not a code: codes begin with ${prefix}${links}`);
}

/** Return the text for people: the prefix and base 32 (Crockford), lower case, no padding. */
export function base32(raw: Uint8Array, prefix: string): string {
  let text = prefix;
  let held = 0;
  let bits = 0;
  for (const byte of raw) {
    held = ((held << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + ALPHABET[(held << (5 - bits)) & 31];
}

/** Return what is left without clutter, page and command; at least one character. */
function body(text: string): string {
  const length = codePoints(text);
  if (length > MAX_TEXT) throw new MalformedCode(`this is not a code: it has ${length} characters`);
  const squashed = text
    .replace(CONTROL_SEQUENCE, "")
    .replace(ENCODED_HASH, "#")
    .replace(CLUTTER, "")
    .toLowerCase();
  if (squashed === "") throw new MalformedCode("the code is empty");
  let left = squashed.slice(squashed.lastIndexOf("#") + 1);
  const command = COMMAND.exec(left);
  if (command !== null) {
    left = left.slice(command.index + command[0].length);
    if (left === "") throw new MalformedCode("the code is missing at the end of the command");
  }
  if (left === "") {
    throw linkWithout("what belongs after the # is missing");
  }
  return left;
}

/** Read the number of a link. A missing digit moves all bits: only the checksum can tell. */
function fromDigits(digits: string, largest: number): Uint8Array<ArrayBuffer> {
  // The limit comes before BigInt(), whose work grows faster than the length.
  if (digits.length > Math.ceil(largest * 8 * Math.log10(2))) {
    throw damaged(`it has ${digits.length} digits`);
  }
  const hex = BigInt(digits).toString(16);
  const pairs = hex.padStart(hex.length + (hex.length % 2), "0").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** Read what follows the prefix of a code for people. */
function fromBase32(text: string, largest: number, sizeOf: SizeOf): Uint8Array<ArrayBuffer> {
  refuseForeign(text, FOREIGN_TO_BASE32);
  const size = Math.floor((5 * text.length) / 8);
  const length = PREFIX.length + text.length;
  if (size < 2) {
    throw damaged(`only ${length} characters of it are here`);
  }
  if (size > largest) throw damaged(`it has ${length} characters`);
  const raw = new Uint8Array(size);
  let held = 0;
  let bits = 0;
  let filled = 0;
  for (const character of text.replace(/o/g, "0").replace(/[il]/g, "1")) {
    held = ((held << 5) | ALPHABET.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      raw[filled++] = held >> bits;
    }
  }
  const whole = sizeOf(raw);
  const expected = whole === null ? length : PREFIX.length + Math.ceil((8 * whole) / 5);
  if (length !== expected) {
    throw damaged(`${length} of ${expected} characters`);
  }
  if ((held & ((1 << bits) - 1)) !== 0) {
    throw damaged("its last character is wrong");
  }
  return raw;
}

function linkWithout(what: string): MalformedCode {
  return new MalformedCode(`the link has no code in it: ${what}`);
}

/** Return the refusal of what was changed or cut off on its way. */
export function damaged(how: string): MalformedCode {
  return new MalformedCode(`the code is damaged: ${how}`);
}

/** Refuse the first character that is `foreign`, by name. */
function refuseForeign(text: string, foreign: RegExp): void {
  const found = foreign.exec(text);
  if (found !== null) {
    throw new MalformedCode(`the code has a character that no code has: ${printable(found[0])}`);
  }
}

/** Count characters as Python does: a surrogate pair is one. */
function codePoints(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}
