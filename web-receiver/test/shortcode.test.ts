/** Short codes as people type them; the vectors are those of tests/signaling/test_shortcode.py. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type DcsendError, IncompleteCode, MalformedCode, UsageError } from "../src/errors.ts";
import {
  completed,
  isShortCode,
  own,
  read,
  resemblesShortCode,
  ShortCode,
} from "../src/signaling/shortcode.ts";
import { WORD_LIST } from "../src/signaling/words.ts";

const KEYS = ["comment", "input", "outcome", "resembles", "message", "hint"];

/** Read the blocks of the vector file; a key that the test does not use is an error. */
const VECTORS = readFileSync("../tests/vectors/shortcode-inputs.txt", "ascii")
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .join("\n")
  .split("\n\n")
  .filter((block) => block.trim() !== "")
  .map((block) => {
    const lines = block.trim().split("\n");
    const pairs = lines.map((line) => [line.split(": ", 1)[0], line.replace(/^\w+: /, "")]);
    for (const [key = ""] of pairs) if (!KEYS.includes(key)) throw new Error(`unknown key ${key}`);
    return Object.fromEntries(pairs) as Record<string, string>;
  });

function refusal(act: () => unknown): DcsendError {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("there are vectors", () => {
  expect(VECTORS.length).toBeGreaterThan(100);
});

test.each(VECTORS)("typed text has the outcome of the vectors: $comment", (fields) => {
  const { input = "", outcome = "", message = "", hint = "" } = fields;
  const typed: string = JSON.parse(input);
  if (!["malformed", "incomplete"].includes(outcome)) {
    expect(read(typed).text()).toBe(outcome);
    return;
  }
  const error = refusal(() => read(typed));
  expect(error).toBeInstanceOf(MalformedCode);
  expect(error instanceof IncompleteCode).toBe(outcome === "incomplete");
  expect(error.message).toBe(JSON.parse(message));
  expect(error.hint).toBe(JSON.parse(hint));
});

test.each(VECTORS)("text resembles a short code as in the vectors: $comment", (fields) => {
  expect(resemblesShortCode(JSON.parse(fields.input ?? ""))).toBe(fields.resembles === "yes");
});

test.each(VECTORS)(
  "text in the place of a code is a short code as in the vectors: $comment",
  (fields) => {
    const { input = "", resembles = "" } = fields;
    expect(isShortCode(JSON.parse(input))).toBe(["yes", "code"].includes(resembles));
  },
);

test("every word is read back", () => {
  for (let at = 0; at < WORD_LIST.length; at += 8) {
    const words = WORD_LIST.slice(at, at + 8);
    const code = new ShortCode(String(at + 1), words, "relay.example:4000");
    expect(read(code.text())).toEqual(code);
    expect(resemblesShortCode(code.text())).toBe(true);
  }
});

test.each([
  "🎉".repeat(65_537),
  `7${"-wal".repeat(16_000)}`,
  "7".repeat(65_536),
  "dcsend send ".repeat(5461),
  `7-walrus-umbrella@${"a".repeat(65_000)}`,
  "\ud800",
  "7-\udfff-umbrella",
  "7-walrus-umbrella@\ud800",
])("text that is not a code is refused: %.20j", (typed) => {
  expect(refusal(() => read(typed)).message.length).toBeLessThan(200);
  resemblesShortCode(typed);
  isShortCode(typed);
});

test.each([
  ["", ["walrus", "umbrella"], ""],
  ["07", ["walrus", "umbrella"], ""],
  ["1000000", ["walrus", "umbrella"], ""],
  ["7", ["walrus"], ""],
  ["7", Array(9).fill("walrus"), ""],
  ["7", ["walrus", "wal"], ""],
  ["7", ["walrus", "umbrella"], "Public"],
])("code with a field out of its range is refused: %s %j %s", (number, words, host) => {
  expect(refusal(() => new ShortCode(number, words, host))).toBeInstanceOf(UsageError);
});

test.each([
  ["7-wal", ["7-walrus-"]],
  ["WAL", ["walrus"]],
  ["7-walrus-um", ["7-walrus-umbrella", "7-walrus-umpire"]],
  ["7-walrus-", []],
  ["7-walrus@pub", []],
  ["7-xyz", []],
])("the last word of %s is completed", (typed, expected) => {
  expect(completed(typed)).toEqual(expected);
});

test.each([
  ["Walrus UMBRELLA", "", ["walrus", "umbrella"]],
  ["07-walrus-yo-yo", "7", ["walrus", "yoyo"]],
])("words of the list are accepted as a code of choice: %s", (typed, number, words) => {
  expect(own(typed)).toEqual({ number, words });
});

test.each([
  ["walrus", "a code of your own has 2 to 8 words: it has 1 word"],
  ["walrus-umb", "'umb' is not in the list of words, which both sides complete by"],
  ["correct-horse", "'correct' is not in the list of words, which both sides complete by"],
  ["walrus-umbrella@public", "a code of your own has no server after an @"],
  ["0-walrus-umbrella", "the number of a code is 1 to 999999, not 0"],
])("another code of choice is refused with the reason: %s", (typed, message) => {
  expect(refusal(() => own(typed)).message).toBe(message);
});
