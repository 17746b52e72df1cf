/**
 * Reading JSON strictly: one object, each field of exactly the right type and range.
 *
 * `JSON.parse` lets duplicate keys through, and can't tell `1.0` and `1e3` from integers; hence a
 * parser of its own, which accepts exactly what `dcsend/protocol/strict.py` does. Everything here
 * throws RemoteProtocolError and nothing else. Knows no message.
 */
import { RemoteProtocolError } from "../errors.ts";
import * as limits from "./limits.ts";

/** A JSON object. Arrays are arrays, integers numbers; a number with `.` or `e` is NaN. */
export type Values = ReadonlyMap<string, unknown>;

/** Surrogates that are not part of a pair: text that isn't Unicode. */
export const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Levels that any acceptable message has at most: itself, an array of entries, an entry, and what
 * is in an unknown field of that. Bounds the recursion.
 */
const DEEPEST = 3 + limits.MAX_DEPTH;

/** An integer of more digits is refused: Python refuses to read it. */
const MAX_DIGITS = 4300;

// One way to match each character, so that no text makes them slow. STRING leaves out controls.
const SPACE = /[ \t\n\r]*/y;
const STRING = /"[ !#-[\]-\uffff]*(?:\\(?:["\\/bfnrt]|u[\da-fA-F]{4})[ !#-[\]-\uffff]*)*"/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;

const encoder = new TextEncoder();

/** Count the bytes of a text as UTF-8. */
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
 * Refuse deep nesting in what is not looked at otherwise: all fields but `except`. Those that are
 * known need no exception, since none of them is deep.
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

/** What a field must hold: a test, and what it is for. */
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
    // Whatever is a number and no NaN has been written as an integer.
    fits: (value): value is number => typeof value === "number" && low <= value && value <= high,
  };
}

/** Text of at most `longest` code points, without lone surrogates, which escapes can smuggle in. */
export function text(longest: number): Shape<string> {
  return {
    name: `text of at most ${longest} code points`,
    // A code point takes one or two units: only what lies between has to be counted.
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

/** The fields of one JSON object. */
export class Fields {
  readonly #name: string;
  readonly #values: Values;

  /** `name` says what the object is, in errors. */
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

  /** Say whether a field is there, whatever it holds. */
  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** The error that says which field is wrong, and how. */
  refusal(key: string, rule: string): RemoteProtocolError {
    return fault(`${this.#name}: ${key} ${rule}`);
  }
}

/** Reads RFC 8259 and nothing else, each character once. */
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

  /** Read a value in which `room` levels of arrays and objects may be. */
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
