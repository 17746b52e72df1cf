/** The journal of a part: what is written, and what is read of any text. */
import { expect, test } from "vitest";
import {
  digestsOf,
  headerLine,
  type Point,
  pointLine,
  readJournal,
  wantsJournal,
  within,
} from "../src/files/journal.ts";
import { directory, file, text } from "./entries.ts";

const [ONE, TWO, THREE] = ["1", "2", "3"].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
];
const FILM = file("d/film.mkv", 100);

/** The offsets of the lines that are read of a journal of FILM. */
function offsets(...lines: string[]): number[] | undefined {
  return readJournal(lines.join(""))?.points.map(({ offset }) => offset);
}

test("what is written is read again, with the length of each line in bytes", () => {
  const named = file('d/"Größe\u2028\u{1f600}"', null);
  const lines = [headerLine(named), pointLine(5, 0, ONE), pointLine(9, 5, TWO)];
  const journal = lines.join("");
  expect(new TextEncoder().encode(journal).length).toBe(journal.length);
  const { path, size, mtime } = named;
  const first = (lines[0]?.length ?? 0) + (lines[1]?.length ?? 0);
  expect(readJournal(journal)).toEqual({
    file: { path, size, mtime },
    points: [
      { offset: 5, start: 0, sha256: ONE, end: first },
      { offset: 9, start: 5, sha256: TWO, end: journal.length },
    ],
  });
});

test("the journal of a terminal is read", () => {
  const header = '{"v":1,"manifest":"3f","path":"d/film.mkv","size":100,"mtime":null}\n';
  expect(offsets(header, `{"offset":8,"sha256":"${ONE}"}\n`)).toEqual([8]);
  expect(readJournal(header)?.file).toEqual({ path: "d/film.mkv", size: 100, mtime: null });
});

const HEADER = headerLine(FILM);

test.each([
  ["is torn", '{"offset":20,"sha25'],
  ["is torn before its end", pointLine(20, 0, TWO).trimEnd()],
  ["is no JSON", "x\n"],
  ["is no object", "null\n"],
  ["does not ascend", pointLine(10, 0, TWO)],
  ["is behind the end of the file", pointLine(101, 0, TWO)],
  ["is a fraction", pointLine(20.5, 0, TWO)],
  ["is of bytes since another offset", pointLine(20, 9, TWO)],
  ["has a short digest", pointLine(20, 0, "12")],
  ["has a digest in capitals", pointLine(20, 0, "A".repeat(64))],
])("a line that %s ends the journal", (_what, line) => {
  expect(offsets(HEADER, pointLine(10, 0, ONE), line, pointLine(30, 0, THREE))).toEqual([10]);
});

test.each([
  "",
  "\n",
  "[]\n",
  "{}\n",
  '{"v":2,"path":"a","size":1,"mtime":null}\n',
  '{"v":1,"path":1,"size":1,"mtime":null}\n',
  '{"v":1,"path":"a","size":-1,"mtime":null}\n',
  '{"v":1,"path":"a","size":1,"mtime":0.5}\n',
  '{"v":1,"path":"a","mtime":1}\n',
])("%j is no journal", (journal) => {
  expect(readJournal(journal + pointLine(1, 0, ONE))).toBe(null);
});

test("lines behind the content are of no use", () => {
  const { points } = readJournal(HEADER + pointLine(10, 0, ONE) + pointLine(20, 0, TWO)) ?? {};
  expect(within(points ?? [], 19).map(({ offset }) => offset)).toEqual([10]);
});

test("few digests of whole beginnings are for the sender, the longest among them", () => {
  const points = Array.from({ length: 100 }, (_, place): Point => {
    return { offset: place + 1, start: place < 90 ? 0 : place, sha256: ONE, end: 0 };
  });
  expect(digestsOf(points).map(([offset]) => offset)).toEqual([1, 8, 64, 90]);
  expect(digestsOf(points.slice(95))).toEqual([]);
});

test("large files and streams have a journal", () => {
  expect([8 << 20, (8 << 20) - 1, null].map((size) => wantsJournal(file("a", size)))).toEqual([
    true,
    false,
    true,
  ]);
  expect([directory("d"), text("t", 9e6)].map(wantsJournal)).toEqual([false, false]);
});
