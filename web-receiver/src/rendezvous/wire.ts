/**
 * The JSON texts of the mailbox protocol, and the limits of them. As `dcsend/rendezvous/wire.py`.
 * Must not import anything of src/ but `bytes`.
 */
import type { Bytes } from "./bytes.ts";

/** The AppID in `bind`: the numbers of other programs and versions are separate from these. */
export const APP_ID = "dcsend/1";
/** Bytes of one WebSocket message in UTF-8. */
export const MAX_TEXT = 64 * 1024;
/** Messages of one side in one mailbox; phases have the numbers 0 to 63. */
export const MAX_PHASES = 64;
/** Bytes of one body, twice as many digits in `add` and `message`. */
export const MAX_BODY = 4096;

const NUMBER = /^[1-9][0-9]{0,5}$/;
const TAG = /^[0-9a-f]{16}$/;
const PHASE = /^([ab])(0|[1-9][0-9]?)$/;
const HEX = /^([0-9a-f]{2})*$/i;

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** A text that violates the mailbox protocol; its message names the violation. */
export class WireError extends Error {}

/** Read one message: a JSON object with a text in `type`. Throws WireError for something else. */
export function parse(text: string): Fields & { readonly type: string } {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    throw new WireError("a message is not JSON");
  }
  if (!isObject(values)) throw new WireError("a message is not a JSON object");
  if (typeof values.type !== "string") throw new WireError("a message has no type");
  return values as Fields & { readonly type: string };
}

/** Return a message of this type. */
export function dump(type: string, fields: Fields = {}): string {
  return JSON.stringify({ type, ...fields });
}

/** Return whether `value` is a JSON object. */
export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return whether `value` is text of 1 to `longest` UTF-16 units. */
export function isText(value: unknown, longest: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= longest;
}

/** Return whether `value` is the number of a short code: "1" to "999999", no leading zeros. */
export function isNumber(value: unknown): value is string {
  return typeof value === "string" && NUMBER.test(value);
}

/** Return `a` or `b`, the first character of a phase from `a0` to `b63`; null for others. */
export function phaseLetter(value: unknown): "a" | "b" | null {
  const [, letter, digits] = (typeof value === "string" && PHASE.exec(value)) || [];
  return Number(digits) < MAX_PHASES ? (letter as "a" | "b") : null;
}

/** Return phase and tag of a message of a second meeting; null for others. */
export function tagged(value: unknown): readonly [phase: string, tag: string] | null {
  const [phase = "", tag = "", more] = typeof value === "string" ? value.split(".") : [];
  const isOne = phaseLetter(phase) !== null && TAG.test(tag) && more === undefined;
  return isOne ? [phase, tag] : null;
}

/**
 * Return the bytes of a body in hexadecimal digits of either case. Throws WireError if it is not
 * text, has other characters, or is too long.
 */
export function bodyOf(value: unknown): Bytes {
  if (typeof value !== "string") throw new WireError("a body is not text");
  if (value.length > 2 * MAX_BODY) throw new WireError(`a body is longer than ${MAX_BODY} bytes`);
  if (!HEX.test(value)) throw new WireError("a body is not hexadecimal");
  return Uint8Array.from(value.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Return bytes in hexadecimal digits. */
export function digits(body: Uint8Array): string {
  return Array.from(body, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
