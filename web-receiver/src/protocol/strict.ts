/**
 * Strict JSON: one object, whose fields have exactly the right type and range.
 *
 * `JSON.parse` accepts duplicate keys and does not distinguish `1.0` and `1e3` from integers, so
 * this module has a parser, which accepts exactly what `dcsend/protocol/strict.py` accepts. All
 * functions throw RemoteProtocolError only. Independent of the messages.
 */
import { RemoteProtocolError } from "../errors.ts";
import * as limits from "./limits.ts";

/** A JSON object. Arrays are arrays, integers numbers; a number with `.` or `e` is NaN. */
export type Values = ReadonlyMap<string, unknown>;

/** Surrogates that are not part of a pair, which are not valid Unicode. */
export const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Most levels of a valid message: the message, an array of entries, an entry, and an unknown field of
 * the entry. Bounds the recursion.
 */
const DEEPEST = 3 + limits.MAX_DEPTH;

/** Most digits of an integer: Python reads no more. */
const MAX_DIGITS = 4300;

// Each character can be matched in one way, so that no text makes them slow. No control characters.
const SPACE = /[ \t\n\r]*/y;
const STRING = /"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[ !#-[\]-\uffff]*)*"/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

const encoder = new TextEncoder();

/** Return the bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}

/** Read one JSON object of at most MAX_CONTROL bytes. */
export function parse(text: string): Values {
  const size = utf8Length(text);
  if (size > limits.MAX_CONTROL) throw fault(`control message of ${size} bytes is too long`);
  if (LONE_SURROGATE.test(text)) throw fault("control message is not valid Unicode");
  const value = new Parser(text).document();
  if (value instanceof Map) return value;
  throw fault("control message is not a JSON object");
}

/**
 * Refuse deep nesting in all fields but `except`. Other known fields need no exception, since a valid
 * one is not nested deeply.
 */
export function checkDepth(where: string, values: Values, except = ""): void {
  let level: unknown[] = [];
  for (const [key, value] of values) {
    if (typeof value === "object" && key !== except) level.push(value);
  }
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === limits.MAX_DEPTH) throw fault(`${where} is nested too deeply`);
    level = level.flatMap(children);
  }
}

/** The values that a field may have: a test and its name for errors. */
export interface Shape<T> {
  readonly name: string;
  readonly fits: (value: unknown) => value is T;
}

/** True or false. */
export const BOOLEAN: Shape<boolean> = {
  name: "true or false",
  fits: (value) => typeof value === "boolean",
};

/** An integer from `low` to `high`. */
export function integer(low: number, high: number): Shape<number> {
  return {
    name: `an integer from ${low} to ${high}`,
    // A number that was not written as an integer is NaN here.
    fits: (value): value is number => typeof value === "number" && low <= value && value <= high,
  };
}

/** Text of at most `longest` code points, without lone surrogates, which JSON escapes can make. */
export function text(longest: number): Shape<string> {
  return {
    name: `text of at most ${longest} code points`,
    // A code point has one or two units: they are counted only where that does not decide.
    fits: (value): value is string =>
      typeof value === "string" &&
      value.length <= 2 * longest &&
      (value.length <= longest || [...value].length <= longest) &&
      !LONE_SURROGATE.test(value),
  };
}

/** One of `choices`. */
export function choice<T extends string>(choices: readonly T[]): Shape<T> {
  return {
    name: `one of ${choices.join(", ")}`,
    fits: (value): value is T => choices.some((known) => known === value),
  };
}

/** An array of `least` to `most` values, each of a shape. */
export function array<T>(least: number, most: number, each: Shape<T>): Shape<readonly T[]> {
  return {
    name: `an array of ${least} to ${most} × ${each.name}`,
    fits: (value): value is readonly T[] =>
      Array.isArray(value) &&
      value.length >= least &&
      value.length <= most &&
      value.every(each.fits),
  };
}

/** An array of at least `least` times [entry number, value of a shape]. */
export function byNumber<T>(
  least: number,
  shape: Shape<T>,
): Shape<readonly (readonly [number, T])[]> {
  return array(least, limits.MAX_CONTROL, {
    name: `[number, ${shape.name}]`,
    fits: (pair): pair is readonly [number, T] =>
      Array.isArray(pair) && pair.length === 2 && NUMBER.fits(pair[0]) && shape.fits(pair[1]),
  });
}

const NUMBER = integer(0, limits.MAX_ENTRIES - 1);
const OFFSET = integer(1, limits.MAX_SAFE);

/** File number, offset, and SHA-256 of the bytes before it in hex. */
export type Digest = readonly [number, number, string];

/** [[file number, offset, SHA-256], …]. */
export const DIGESTS = array(0, limits.MAX_DIGESTS, {
  name: "[number, offset, SHA-256]",
  fits: (item): item is Digest =>
    Array.isArray(item) &&
    item.length === 3 &&
    NUMBER.fits(item[0]) &&
    OFFSET.fits(item[1]) &&
    /^[0-9a-f]{64}$/.test(String(item[2])),
});
const REASON = text(limits.MAX_REASON);

function one<T extends string>(reason: string, known: readonly T[], otherwise: T): T {
  return known.find((each) => each === reason) ?? otherwise;
}

/** The fields of one JSON object. */
export class Fields {
  readonly #name: string;
  readonly #values: Values;

  /** `name` is that of the object, for error messages. */
  constructor(name: string, values: Values) {
    this.#name = name;
    this.#values = values;
  }

  /** Read a field. */
  read<T>(key: string, shape: Shape<T>): T {
    const value = this.#values.get(key);
    if (shape.fits(value)) return value;
    throw this.refusal(key, `is not ${shape.name}`);
  }

  /** Read a field that may be null or missing. */
  optional<T>(key: string, shape: Shape<T>): T | null {
    return (this.#values.get(key) ?? null) === null ? null : this.read(key, shape);
  }

  /** Read a text of a shape; empty for anything else. */
  lenient(key: string, shape: Shape<string>): string {
    const value = this.#values.get(key);
    return shape.fits(value) ? value : "";
  }

  /** Read one of `known`; `otherwise` for another text, which a later version may define. */
  reason<T extends string>(key: string, known: readonly T[], otherwise: T): T {
    return one(this.read(key, REASON), known, otherwise);
  }

  /** Read at least `least` times [entry number, reason]. */
  reasonsByNumber<T extends string>(
    key: string,
    least: number,
    known: readonly T[],
    otherwise: T,
  ): (readonly [number, T])[] {
    const pairs = this.read(key, byNumber(least, REASON));
    return pairs.map(([number, reason]) => [number, one(reason, known, otherwise)]);
  }

  /** Return whether a field is there, with any value. */
  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** Return the error for a field. */
  refusal(key: string, rule: string): RemoteProtocolError {
    return fault(`${this.#name}: ${key} ${rule}`);
  }
}

/** A parser of RFC 8259 that reads each character once. */
class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): unknown {
    const value = this.#value(DEEPEST);
    if (this.#next() === "") return value;
    throw notJson();
  }

  /** Read a value with at most `room` levels of arrays and objects. */
  #value(room: number): unknown {
    const next = this.#next();
    if (next === '"') return this.#string();
    if (next !== "{" && next !== "[") return this.#scalar();
    if (room === 0) throw fault("control message is nested too deeply");
    this.#at++;
    return next === "{" ? this.#object(room - 1) : this.#array(room - 1);
  }

  #object(room: number): Values {
    const values = new Map<string, unknown>();
    if (this.#pass("}")) return values;
    do {
      this.#next();
      const key = this.#string();
      if (values.has(key) || !this.#pass(":")) throw notJson();
      values.set(key, this.#value(room));
    } while (this.#pass(","));
    if (this.#pass("}")) return values;
    throw notJson();
  }

  #array(room: number): readonly unknown[] {
    const values: unknown[] = [];
    if (this.#pass("]")) return values;
    do values.push(this.#value(room));
    while (this.#pass(","));
    if (this.#pass("]")) return values;
    throw notJson();
  }

  #string(): string {
    const literal = this.#match(STRING);
    return literal.includes("\\") ? JSON.parse(literal) : literal.slice(1, -1);
  }

  #scalar(): boolean | number | null {
    const literal = this.#match(SCALAR);
    if (literal === "null") return null;
    if (literal === "true" || literal === "false") return literal === "true";
    if (/[.eE]/.test(literal)) return Number.NaN;
    if (literal.length > MAX_DIGITS && literal.replace("-", "").length > MAX_DIGITS)
      throw notJson();
    return Number(literal) + 0; // -0 is 0
  }

  /** Pass white space, and return the character that follows; empty at the end. */
  #next(): string {
    if (this.#text.charAt(this.#at) <= " ") this.#match(SPACE);
    return this.#text.charAt(this.#at);
  }

  /** Pass white space and `mark`, if it comes next. */
  #pass(mark: string): boolean {
    const found = this.#next() === mark;
    if (found) this.#at++;
    return found;
  }

  /** Pass what matches here, and return it. */
  #match(pattern: RegExp): string {
    const start = this.#at;
    pattern.lastIndex = start;
    if (!pattern.test(this.#text)) throw notJson();
    this.#at = pattern.lastIndex;
    return this.#text.slice(start, this.#at);
  }
}

function fault(message: string): RemoteProtocolError {
  return new RemoteProtocolError(message);
}

function notJson(): RemoteProtocolError {
  return fault("control message is not valid JSON");
}

function children(value: unknown): readonly unknown[] {
  return value instanceof Map ? [...value.values()] : Array.isArray(value) ? value : [];
}
