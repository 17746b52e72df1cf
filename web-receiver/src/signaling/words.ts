/**
 * The words of short codes: the list, its completion, the correction of typing errors.
 *
 * As `dcsend/signaling/words.py`, which describes the list: the first three letters of a word are
 * those of no other one, and any two words differ by at least three letters.
 */
/** Letters that complete a word. */
export const LEAST_LETTERS = 3;
/** Letters of a text that is compared with the words; a longer one resembles none of them. */
const LONGEST = 20;
/** In the place of a letter that may be any. */
const ANY = ".";

/** The 1296 words, sorted. */
export const WORD_LIST: readonly string[] = unpacked(__WORDS__);

/** Return the words that build/words.ts has packed. */
function unpacked(packed: string): string[] {
  let word = "";
  return Array.from(packed.matchAll(/([01]?)([A-Z][a-z]*)/g), ([, common, rest = ""]) => {
    word = word.slice(0, common === "" ? 2 : Number(common)) + rest.toLowerCase();
    return word;
  });
}

/** Return `count` words, each chosen independently and uniformly: 10.3 bits for each. */
export function newWords(count: number, random: (below: number) => number = randomBelow): string[] {
  return Array.from({ length: count }, () => WORD_LIST[random(WORD_LIST.length)] as string);
}

/** Return a random integer from 0 to `below` - 1, each with the same probability. */
export function randomBelow(below: number): number {
  const limit = 2 ** 32 - (2 ** 32 % below);
  for (;;) {
    const [value = limit] = crypto.getRandomValues(new Uint32Array(1));
    if (value < limit) return value % below;
  }
}

/** Return the words that begin with `prefix`, lower case, sorted. */
export function completions(prefix: string): string[] {
  return WORD_LIST.filter((word) => word.startsWith(prefix));
}

/**
 * Return the words for which `typed`, lower case, may stand, sorted: one if it is certain.
 *
 * It stands for the word that begins with it, if it has three letters or more: for this one only,
 * if it has four. It stands for the word from which it differs by one inserted, missing or changed
 * character, too, and for those from which it differs by two adjacent letters that are swapped.
 */
export function candidates(typed: string): string[] {
  const letters = [...typed];
  index ??= newIndex();
  const { words, prefixes, near } = index;
  if (letters.length > LONGEST) return [];
  const begun = prefixes.get(letters.slice(0, LEAST_LETTERS).join(""));
  const isBegun = begun?.startsWith(typed);
  if (begun && isBegun && letters.length > LEAST_LETTERS) return [begun];
  const found = [typed, ...masked(letters)].map((form) => near.get(form));
  if (isBegun) found.push(begun);
  found.push(...[...shortened(letters), ...swapped(letters)].filter((form) => words.has(form)));
  return [...new Set(found.filter((word) => word !== undefined))].sort();
}

/**
 * Return up to `most` words that resemble `typed`, best first; empty if none does.
 *
 * Compares by the number of inserted, missing, changed and swapped letters, at most 2, or 3 if
 * `typed` has six letters or more. The beginning of a word counts as one more.
 */
export function nearest(typed: string, most = 3): string[] {
  const letters = [...typed];
  if (letters.length > LONGEST) return [];
  const limit = letters.length >= 6 ? 3 : 2;
  // The order of the list is kept among equal ones.
  const rank = (word: string) => 2 * distance(letters, word) + Number(word[0] !== letters[0]);
  return WORD_LIST.map((word) => ({ word, rank: rank(word) }))
    .filter(({ rank }) => rank <= 2 * limit + 1)
    .sort((one, other) => one.rank - other.rank)
    .slice(0, most)
    .map(({ word }) => word);
}

/** What `candidates` looks up. No form belongs to two words, since any two differ by three letters. */
interface Index {
  readonly words: ReadonlySet<string>;
  /** First three letters to word. */
  readonly prefixes: ReadonlyMap<string, string>;
  /** Word with one letter masked or left out, to word. */
  readonly near: ReadonlyMap<string, string>;
}

let index: Index | undefined;

function newIndex(): Index {
  const near = WORD_LIST.flatMap((word) =>
    [...masked([...word]), ...shortened([...word])].map((form): [string, string] => [form, word]),
  );
  return {
    words: new Set(WORD_LIST),
    prefixes: new Map(WORD_LIST.map((word) => [word.slice(0, LEAST_LETTERS), word])),
    near: new Map(near),
  };
}

/** Return `letters` with `count` of them, from place `at`, replaced by `text`. */
function replaced(letters: readonly string[], at: number, count: number, text: string): string {
  return letters.slice(0, at).join("") + text + letters.slice(at + count).join("");
}

function masked(letters: readonly string[]): string[] {
  return letters.map((_, at) => replaced(letters, at, 1, ANY));
}

function shortened(letters: readonly string[]): string[] {
  return letters.map((_, at) => replaced(letters, at, 1, ""));
}

function swapped(letters: readonly string[]): string[] {
  const pairs = letters.slice(1).map((later, at) => later + letters[at]);
  return pairs.map((pair, at) => replaced(letters, at, 2, pair));
}

/**
 * Return the number of edits from `typed` to `word`, or 1 more than to a beginning of it.
 *
 * Optimal string alignment: an edit inserts, removes or changes a letter, or swaps two adjacent
 * ones.
 */
function distance(typed: readonly string[], word: string): number {
  const rows = [Array.from({ length: word.length + 1 }, (_, place) => place)];
  const cell = (at: number, place: number) => rows[at]?.[place] ?? Number.POSITIVE_INFINITY;
  typed.forEach((letter, before) => {
    const at = before + 1;
    const row = [at];
    rows.push(row);
    for (let place = 1; place <= word.length; place++) {
      const other = word[place - 1];
      const isSwap = typed[at - 2] === other && word[place - 2] === letter;
      row[place] = Math.min(
        cell(before, place) + 1,
        cell(at, place - 1) + 1,
        cell(before, place - 1) + Number(letter !== other),
        isSwap ? cell(at - 2, place - 2) + 1 : Number.POSITIVE_INFINITY,
      );
    }
  });
  const last = rows[typed.length] ?? [];
  return Math.min(last[word.length] ?? 0, 1 + Math.min(...last.slice(LEAST_LETTERS)));
}
