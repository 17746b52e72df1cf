/**
 * The text of a short code, `number-word-word[@host]`: reads and writes it.
 *
 * As `dcsend/signaling/shortcode.py`, with the same result for every text; PROTOCOL.md has the
 * steps (R). The number names a mailbox; the words are the secret; the host is the server of the
 * mailbox. words.ts has the list, host.ts reads what follows the `@`.
 */
import { DcsendError, IncompleteCode, MalformedCode, UsageError } from "../errors.ts";
import { printable } from "../printable.ts";
import { CLUTTER, CONTROL_SEQUENCE, codePoints, MAX_TEXT } from "./forgiving.ts";
import { readHost } from "./host.ts";
import { candidates, completions, LEAST_LETTERS, nearest, WORD_LIST } from "./words.ts";

/** Words of the shortest code. */
const MIN_WORDS = 2;
/** Words of the longest code. */
export const MAX_WORDS = 8;
/** Words of a code if nothing else is requested: 20.7 bits, of which one guess is permitted. */
export const DEFAULT_WORDS = 2;
/** The largest number of a code; the smallest is 1. */
const MAX_NUMBER = 999_999;

const EXAMPLE = "a code has a number and at least two words, such as 7-walrus-umbrella";
const LINK_HINT = "copy the whole link again, up to its last character";
/** Characters of a wrong word that an error message shows. */
const MAX_SHOWN = 30;

const PERCENT = /%(?:25)*(?=[0-9A-Fa-f]{2})/g;
const ENCODED = /(?:%[0-9A-Fa-f]{2})+/g;
/**
 * `dcsend send PATH --to` contains any path; the limit bounds the time for a text of 65536
 * characters. `dcsend CODE` has no name of a command.
 */
const COMMAND =
  /dcsend(?:\.exe)?['"]?[ \t\r\n]+(?:(?:receive|chat|send[ \t\r\n](?:.{0,999}?[ \t\r\n])?--to)(?:[ \t\r\n=]+|$)|(?=['"]?[0-9]))/isu;
/** The options behind the code of a command, such as `--server ws://HOST`. */
const OPTIONS = /(?<=[^ \t\r\n])[ \t\r\n]+--[a-z].*/isu;
const NUMBER = /^ *([0-9]+)/;
/** Characters that are used as dashes, besides those of category Pd. */
const DASHES = /[⁃˗ー]/gu;
/** Marks of a path, or of a name with an extension. */
const FILE_NAME = /[/\\]|\.[0-9A-Za-z]/;
/**
 * A number with something behind it. No other code begins so: a dial code and a session description
 * begin with letters, and a link has only digits, about 150.
 */
const BEGINNING = /^\d{1,19}\D/;
const NUMBER_ALONE = /^\d{1,9}$/;
/** The beginning of a dial code and of a session description. */
const OTHER_KIND = /^d[cs]\d/;
/** Letters of a wrong word; more are a part of another code. */
const LONGEST = 20;

/** A short code. Equal codes have equal texts, and vice versa. */
export class ShortCode {
  /** 1 to 999999, decimal, without leading zeros. */
  readonly number: string;
  /** 2 to 8 words of the list. */
  readonly words: readonly string[];
  /** The server in its canonical form (`readHost`); empty if the code names none. */
  readonly host: string;

  /** Throws UsageError if an argument is out of its range. */
  constructor(number: string, words: readonly string[], host = "") {
    if (!/^[1-9][0-9]{0,5}$/.test(number)) {
      throw new UsageError(`the number of a code is 1 to ${MAX_NUMBER}, not ${printable(number)}`);
    }
    if (words.length < MIN_WORDS || words.length > MAX_WORDS) {
      throw new UsageError(`a code has ${MIN_WORDS} to ${MAX_WORDS} words, not ${words.length}`);
    }
    if (!words.every((word) => WORD_LIST.includes(word))) {
      throw new UsageError("a word of the code is not in the list");
    }
    if (host !== "" && readHost(host) !== host) {
      throw new UsageError(`the server ${printable(host)} is not in its canonical form`);
    }
    this.number = number;
    this.words = words;
    this.host = host;
  }

  /** Return the code as it is shown, such as `7-walrus-umbrella@public`. */
  text(): string {
    return `${this.number}-${this.secret()}${this.host === "" ? "" : `@${this.host}`}`;
  }

  /** Return the password of the key exchange: the words joined by hyphens. */
  secret(): string {
    return this.words.join("-");
  }
}

/** What the user requests as a code: the number, empty if any will do, and the words. */
export interface OwnCode {
  readonly number: string;
  readonly words: readonly string[];
}

/**
 * Read a short code from typed, pasted or scanned text.
 *
 * Accepts a whole link, also if it is percent-encoded, and a whole `dcsend receive …` command.
 * White space, dashes, quotes, punctuation, invisible characters, control sequences and capitals are
 * ignored, as are leading zeros of the number. Throws IncompleteCode if words are missing, or what
 * follows the `@`; MalformedCode if it is not a short code, or if a word is not in the list and
 * stands for none, or for several.
 */
export function read(text: string): ShortCode {
  const { head, host } = parted(body(text));
  const [digits, typed] = split(head);
  const number = checkedNumber(digits);
  if (typed.length > MAX_WORDS) {
    throw new MalformedCode(`the code has ${typed.length} words, at most ${MAX_WORDS}`, EXAMPLE);
  }
  const words = typed.map(readWord);
  if (words.length === 0) throw new IncompleteCode("the words of the code are missing", EXAMPLE);
  if (words.length < MIN_WORDS) {
    throw new IncompleteCode(`the code is not complete: ${counted(words)}`, EXAMPLE);
  }
  return new ShortCode(number, words, host === null ? "" : readHost(host));
}

/**
 * Return whether `text` is probably a short code, complete or not; never throws.
 *
 * It is a number and one to eight words, of which at least half can be read; not a path and not a
 * name with an extension.
 */
export function resemblesShortCode(text: string): boolean {
  try {
    const { head } = parted(body(text));
    if (FILE_NAME.test(head)) return false;
    const [number, typed] = split(head);
    checkedNumber(number);
    return isReadable(typed);
  } catch (error) {
    if (error instanceof DcsendError) return false;
    throw error;
  }
}

/**
 * Return whether a text in the place of a code is a short code with any error; never throws.
 *
 * Where a path may stand as well, `resemblesShortCode` decides. This is also a number alone or with
 * anything behind it, and words without a number: so `read` reports what is wrong with them.
 */
export function isShortCode(text: string): boolean {
  if (resemblesShortCode(text)) return true;
  try {
    const { head } = parted(body(text));
    const squashed = spaced(head).replaceAll(" ", "");
    if (FILE_NAME.test(head) || OTHER_KIND.test(squashed)) return false;
    // With a mark, it is the beginning of a link that is broken into lines.
    if (NUMBER_ALONE.test(squashed)) return !text.includes("#");
    const typed = wordsOf(spaced(head));
    if (typed.some((word) => [...word].length > LONGEST)) return false;
    return BEGINNING.test(squashed) || isReadable(typed);
  } catch (error) {
    if (error instanceof DcsendError) return false;
    throw error;
  }
}

/**
 * Return `typed` with its last word completed, in each possible way; a hyphen follows the first word.
 * Empty if `typed` does not end with a letter, or if no word begins so.
 */
export function completed(typed: string): string[] {
  const found = /[A-Za-z]+$/.exec(typed);
  if (found === null || typed.includes("@")) return [];
  const begun = typed.slice(0, found.index);
  const end = /^[^A-Za-z]*\d[^A-Za-z]*$/.test(begun) ? "-" : "";
  return completions(found[0].toLowerCase()).map((word) => begun + word + end);
}

/**
 * Read the code that the user has chosen: words, perhaps with a number before.
 *
 * Only words of the list are accepted, spelt in full, since the other side completes and corrects by
 * the list; as many as a code of the default length has, up to 8. Throws UsageError if it is too
 * short or too long, if a word is not in the list, or if it names a server.
 */
export function own(text: string): OwnCode {
  const chosen = body(text);
  if (chosen.includes("@")) {
    throw new UsageError("a code of your own has no server after an @", "name it with --server");
  }
  const isNumbered = NUMBER.test(spaced(chosen));
  const [digits, words]: [string, string[]] = isNumbered
    ? split(chosen)
    : ["", wordsOf(spaced(chosen))];
  const number = digits === "" ? "" : checkedNumber(digits);
  const unknown = words.find((word) => !WORD_LIST.includes(word));
  if (unknown !== undefined) {
    const certain = candidates(unknown);
    const close = certain.length > 0 ? certain : nearest(unknown);
    throw new UsageError(
      `${quoted(unknown)} is not in the list of words, which both sides complete by`,
      close.length > 0 ? `words that are: ${close.join(", ")}` : "choose words of the list",
    );
  }
  if (words.length < DEFAULT_WORDS || words.length > MAX_WORDS) {
    throw new UsageError(
      `a code of your own has ${DEFAULT_WORDS} to ${MAX_WORDS} words: ${counted(words)}`,
      "add words of the list: one alone could be guessed",
    );
  }
  return { number, words };
}

/** Return `text` without control sequences, encoding, invisible characters, link and command. */
function body(text: string): string {
  const length = codePoints(text);
  if (length > MAX_TEXT) {
    throw new MalformedCode(`this is not a code: it has ${length} characters`, EXAMPLE);
  }
  let left = text
    .replace(CONTROL_SEQUENCE, "")
    .replace(PERCENT, "%")
    .replace(ENCODED, decoded)
    .replace(/\p{Cf}/gu, "")
    .normalize("NFKC");
  if (isEmpty(left)) throw new IncompleteCode("the code is empty", EXAMPLE);
  const command = COMMAND.exec(left);
  if (command !== null) {
    left = left.slice(command.index + command[0].length).replace(OPTIONS, "");
    if (isEmpty(left)) {
      throw new MalformedCode("the code is missing at the end of the command", EXAMPLE);
    }
  }
  const mark = left.lastIndexOf("#");
  left = left.slice(mark + 1);
  if (mark >= 0 && isEmpty(left)) throw linkWithout("the part after the # is missing");
  return left;
}

/** Return percent-encoded UTF-8 decoded, and other bytes as they are. */
function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** Return what precedes the first `@`, and what follows it; null if there is none. */
function parted(code: string): { head: string; host: string | null } {
  const at = code.indexOf("@");
  return at < 0
    ? { head: code, host: null }
    : { head: code.slice(0, at), host: code.slice(at + 1) };
}

/** Return `head` in lower case, with a space for each character between words. */
function spaced(head: string): string {
  return head.replace(CLUTTER, " ").replace(DASHES, " ").toLowerCase();
}

function isEmpty(text: string): boolean {
  return /^ *$/.test(spaced(text));
}

/** Return the number, of any size, and the words as typed; throws where no number begins it. */
function split(head: string): [number: string, words: string[]] {
  const text = spaced(head);
  const found = NUMBER.exec(text);
  if (found === null) {
    if (/^ *https?:/i.test(head)) throw linkWithout("the # and what follows it are missing");
    throw new MalformedCode("this is not a short code: it has no number at its beginning", EXAMPLE);
  }
  return [found[1] ?? "", wordsOf(text.slice(found[0].length))];
}

/** Return whether these are one to eight words of which at least half can be read. */
function isReadable(typed: readonly string[]): boolean {
  const known = typed.slice(0, MAX_WORDS).filter((word) => candidates(word).length > 0).length;
  return typed.length > 0 && typed.length <= MAX_WORDS && 2 * known >= typed.length;
}

function wordsOf(text: string): string[] {
  // The word `yoyo` is also written with a hyphen.
  const joined = text.replace(/(?<![^ ])yo +yo(?![^ ])/gu, "yoyo");
  return joined.split(" ").filter((word) => word !== "");
}

function checkedNumber(digits: string): string {
  const number = digits.replace(/^0+/, "");
  if (number === "") {
    throw new MalformedCode(`the number of a code is 1 to ${MAX_NUMBER}, not 0`, EXAMPLE);
  }
  const most = String(MAX_NUMBER).length;
  if (number.length > most) {
    throw new MalformedCode(
      `the number of the code has ${number.length} digits, at most ${most}`,
      EXAMPLE,
    );
  }
  return number;
}

/** Return the word of the list for which `typed` stands; throws if there is none, or several. */
function readWord(typed: string): string {
  const [word, ...others] = candidates(typed);
  if (word !== undefined && others.length === 0) return word;
  const message = `${quoted(typed)} is not a word of a code`;
  if (word !== undefined) {
    throw new MalformedCode(
      `${message}: it may be ${alternatives([word, ...others])}`,
      "ask the other side which word it is",
    );
  }
  if ([...typed].length < LEAST_LETTERS) {
    throw new MalformedCode(message, `type at least ${LEAST_LETTERS} letters of each word`);
  }
  const close = nearest(typed);
  const question = `is it ${alternatives(close)}? compare it with the other side`;
  throw new MalformedCode(message, close.length > 0 ? question : EXAMPLE);
}

function quoted(typed: string): string {
  const letters = [...typed];
  const more = letters.length > MAX_SHOWN ? "…" : "";
  return `'${printable(letters.slice(0, MAX_SHOWN).join(""))}${more}'`;
}

function alternatives(words: readonly string[]): string {
  const all = words.map((word) => `'${word}'`);
  return all.length > 1 ? `${all.slice(0, -1).join(", ")} or ${all.at(-1)}` : all.join("");
}

function counted(words: readonly string[]): string {
  return `it has ${words.length} word${words.length === 1 ? "" : "s"}`;
}

function linkWithout(what: string): MalformedCode {
  return new MalformedCode(`the link has no code in it: ${what}`, LINK_HINT);
}
