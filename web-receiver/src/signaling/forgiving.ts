/**
 * Finds the bytes of a dial code or a session description in a pasted, typed or scanned text.
 *
 * As `dcsend/signaling/forgiving.py`, with the same result for every text: what mail programs,
 * chats, shells and terminals add is ignored, damage is reported. dialcode.ts and blob.ts parse the
 * bytes.
 */
import { MalformedCode } from "../errors.ts";
import { printable } from "../printable.ts";

/** The first characters of a dial code in base 32. */
const PREFIX = "dc";
/** The same of a session description. */
export const DESCRIPTION = "ds";

/** Prefix of another kind of code than the wanted one: message and hint. */
const MISTAKEN: Readonly<Record<string, readonly [string, string]>> = {
  [PREFIX]: [
    "this is a dial code, which needs no answer",
    "use it as it is: go back, and paste it there",
  ],
  [DESCRIPTION]: [
    "this is one of two codes; each side needs the code of the other side",
    "choose “Use two codes” here, and give the code that you see to the other side first",
  ],
};

/** Characters that are read; a longer text is a wrong file, not a code with clutter. */
export const MAX_TEXT = 65_536;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const FOREIGN_TO_BASE32 = /[^0-9a-tv-z]/u;
const FOREIGN_TO_DIGITS = /[^0-9]/u;

/**
 * White space, invisible characters, dashes, and marks that programs add. A list, instead of "all
 * other characters", so that a wrong letter is reported and not dropped.
 */
export const CLUTTER = /[\p{Cc}\p{Cf}\p{Pd}\p{Z}'"`´<>.,;:!?*_~|=/\\()[\]{}$«»‹›“”„‟‘’‚‛·•−]/gu;
/** A control sequence of a terminal, or a mark of a bracketed paste that has lost its escape. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences begin with one
export const CONTROL_SEQUENCE = /\x1b\[[0-?]*[ -/]*[@-~]|\^?\[\[?20[01]~/g;
const ENCODED_HASH = /%(?:25)*23/g;
// `dcsend send PATH --to` contains a path of any letters; the limit of its length bounds the time.
const COMMAND = /dcsend(?:exe)?(?:receive|chat|send.{0,999}?to(?=d[cs]|$))/u;

/**
 * Returns the length of a code from its first two bytes or more; null if the version is unknown.
 */
type SizeOf = (beginning: Uint8Array) => number | null;

/**
 * Return the bytes in `text`, in either form; the caller verifies their checksum.
 *
 * `largest` is the length of the longest code in bytes; `sizeOf` distinguishes a truncated text
 * from a changed one; `prefix` is that of the wanted kind. Throws MalformedCode where there is no
 * such code, or only a part of one.
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
  if (prefix === PREFIX) {
    throw new MalformedCode(
      "this is not a code: short codes begin with a number, dial codes with dc, and links have # and digits",
      "enter what the other side shows, such as 7-walrus-umbrella, or copy the whole link",
    );
  }
  // A description may also have another form, base64 of JSON, which `decodeAnswer` tries first.
  throw new MalformedCode(`this is not a code: codes begin with ${prefix} or eyJ`);
}

/** Return the text form: the prefix and base 32 (Crockford), lower case, no padding. */
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

/** Return the text without clutter, the page's address and the command; at least one character. */
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
    throw linkWithout("the part after the # is missing");
  }
  return left;
}

/** Read the number of a link. A missing digit changes all bits: only the checksum can detect it. */
function fromDigits(digits: string, largest: number): Uint8Array<ArrayBuffer> {
  // The limit comes before BigInt(), whose time grows faster than the length.
  if (digits.length > Math.ceil(largest * 8 * Math.log10(2))) {
    throw damaged(`it has ${digits.length} digits`);
  }
  const hex = BigInt(digits).toString(16);
  const pairs = hex.padStart(hex.length + (hex.length % 2), "0").match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

/** Read what follows the prefix of the text form. */
function fromBase32(text: string, largest: number, sizeOf: SizeOf): Uint8Array<ArrayBuffer> {
  refuseForeign(text, FOREIGN_TO_BASE32);
  const size = Math.floor((5 * text.length) / 8);
  const length = PREFIX.length + text.length;
  if (size < 2) {
    throw damaged(`it has only ${length} characters`);
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

/** Return the error for a code that was changed or cut off on its way. */
export function damaged(how: string): MalformedCode {
  return new MalformedCode(`the code is damaged: ${how}`);
}

/** Throw for the first character that matches `foreign`, with its name. */
function refuseForeign(text: string, foreign: RegExp): void {
  const found = foreign.exec(text);
  if (found !== null) {
    throw new MalformedCode(`the code has an invalid character: ${printable(found[0])}`);
  }
}

/** Count characters as Python does: a surrogate pair is one. */
export function codePoints(text: string): number {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}
