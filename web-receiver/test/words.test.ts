/** The words of short codes; the properties of the list are those of tests/signaling/test_words.py. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  candidates,
  completions,
  nearest,
  newWords,
  randomBelow,
  WORD_LIST,
} from "../src/signaling/words.ts";

/** All texts that differ from `word` by one inserted, missing or changed letter. */
function edited(word: string): Set<string> {
  const found = new Set<string>();
  for (let at = 0; at <= word.length; at++) {
    const [begin, end] = [word.slice(0, at), word.slice(at)];
    if (end !== "") found.add(begin + end.slice(1));
    for (const letter of "abcdefghijklmnopqrstuvwxyz") {
      found.add(begin + letter + end);
      if (end !== "") found.add(begin + letter + end.slice(1));
    }
  }
  found.delete(word);
  return found;
}

test("list is that of the file", () => {
  const file = readFileSync("../dcsend/signaling/words.txt", "ascii");
  expect(WORD_LIST).toHaveLength(1296);
  expect(`${WORD_LIST.join("\n")}\n`).toBe(file);
});

test("every wrong letter of every word is corrected, or ambiguous", () => {
  let ambiguous = 0;
  for (const word of WORD_LIST) {
    for (const typed of edited(word)) {
      const found = candidates(typed);
      // Not expect: it is slow, and this runs 480 000 times.
      if (typed.length > 3 && found[0]?.startsWith(typed)) continue;
      if (!found.includes(word)) throw new Error(`${typed} does not stand for ${word}`);
      if (found.length > 1) ambiguous++;
    }
  }
  expect(ambiguous).toBe(AMBIGUOUS);
});

/** Counted by the other implementation, too. */
const AMBIGUOUS = 49;

test("three letters complete a word, or may stand for a word of four letters, too", () => {
  for (const word of WORD_LIST) expect(candidates(word.slice(0, 3))).toContain(word);
  expect(candidates("umb")).toEqual(["umbrella"]);
  expect(candidates("asp")).toEqual(["asparagus", "wasp"]);
});

test.each([
  ["walrus", ["walrus"]],
  ["wlarus", ["walrus"]],
  ["leves", ["elves", "levers"]],
  ["satch", ["satchel"]],
  ["wa1rus", ["walrus"]],
  ["wálrus", ["walrus"]],
  ["walrus🎉", ["walrus"]],
  ["wal🎉us", ["walrus"]],
  ["wallross", []],
  ["wa", []],
  ["", []],
  ["x".repeat(9999), []],
])("%.20s may stand for %j", (typed, words) => {
  expect(candidates(typed)).toEqual(words);
});

test.each([
  ["umberela", ["umbrella"]],
  ["wallross", ["walrus", "tallness"]],
  ["bank", ["backpack", "bakery", "banana"]],
  ["krokodile", []],
  ["", []],
  ["x".repeat(9999), []],
])("nearest to %.20s is %j", (typed, words) => {
  expect(nearest(typed)).toEqual(words);
});

test("completions are the words that begin so", () => {
  expect(completions("qu")).toEqual(["quarters", "quesadilla", "quilt", "quote"]);
  expect(completions("walruss")).toEqual([]);
  expect(completions("")).toEqual(WORD_LIST);
});

test("new words are those that the random numbers choose", () => {
  const numbers = [0, 1295, 700];
  expect(newWords(3, () => numbers.shift() ?? 0)).toEqual(
    [0, 1295, 700].map((number) => WORD_LIST[number]),
  );
  expect(new Set(newWords(20_000)).size).toBeGreaterThan(1280);
});

test("random numbers are uniform: what is left over of 32 bits is drawn again", () => {
  const drawn = [2 ** 32 - 1, 2 ** 32 - 2 ** 31 - 1, 5];
  const original = crypto.getRandomValues;
  crypto.getRandomValues = ((array: Uint32Array) => {
    array[0] = drawn.shift() ?? 0;
    return array;
  }) as typeof original;
  try {
    // Of 2 ** 31 + 1 values, 2 ** 31 - 1 are left over.
    expect(randomBelow(2 ** 31 + 1)).toBe(2 ** 31 - 1);
    expect(drawn).toEqual([5]);
  } finally {
    crypto.getRandomValues = original;
  }
});
