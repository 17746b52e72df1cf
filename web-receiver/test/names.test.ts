/** The judge of names: the cases of `tests/test_names.py`, and what a browser adds. */
import { expect, test } from "vitest";
import { MAX_COMPONENT, numbered, safePath, savedName, UnsafeName } from "../src/files/names.ts";

test.each([
  "",
  "/",
  "/etc/passwd",
  "//x",
  "a//b",
  "a/",
  ".",
  "..",
  "../a",
  "a/../b",
  "a/./b",
  "a/..",
  "a\\b",
  "\\\\server\\share",
  "..\\a",
  "C:",
  "c:\\x",
  "z:x",
  "a\0b",
  "a\nb",
  "a\x1b[2Jb",
  "a\x7f",
  "a\x85b",
  "a\x9bb",
  "a\ud800b",
  "x".repeat(256),
  "é".repeat(128),
  Array(21).fill("x".repeat(200)).join("/"),
  "film.dcsend-part",
  "a/film.dcsend-journal",
  "FILM.DCSEND-PART",
  "film.dcsend-part. .",
  "film.crswap",
  Array(129).fill("a").join("/"),
  Array(129).fill("é").join("/"),
])("unsafe path is refused: %j", (path) => {
  expect(() => safePath(path)).toThrow(UnsafeName);
});

test.each([
  "CON",
  "con",
  "Prn.txt",
  "aux.tar.gz",
  "NUL ",
  "nul .txt",
  "NUL:",
  "nul:stream",
  "COM0",
  "com9.log",
  "COM¹",
  "lpt³.x",
  "LPT5",
  "CONIN$",
  "conout$.txt",
])("device name is refused in any folder: %j", (name) => {
  expect(() => safePath(`folder/${name}`)).toThrow("device");
});

test.each([
  "a",
  ".hidden",
  "...",
  "a/b/c.txt",
  "süß 文件 🎉.jpg",
  "console",
  "com10",
  "com",
  "nullable.py",
  "x".repeat(255),
  "-rf",
  "~",
  "a'b\"c",
  "dcsend-part",
  " leading",
  "\u202egnp.exe",
  Array(128).fill("a").join("/"),
])("ordinary path is accepted unchanged: %j", (path) => {
  expect(safePath(path)).toEqual(path.split("/"));
});

test.each([
  ["a<b>c", "a_b_c"],
  ['a|b?c*d"e:f', "a_b_c_d_e_f"],
  ["a.", "a_"],
  ["a. .", "a___"],
  ["...", "___"],
  ["plain name.txt", "plain name.txt"],
])("what Windows can't store is let in and changed: %j", (name, saved) => {
  expect(safePath(`x/${name}`)).toEqual(["x", name]);
  expect(savedName(name)).toBe(saved);
});

test.each([
  ["film.mkv", "film (1).mkv"],
  [".bashrc", ".bashrc (1)"],
  ["..a", "..a (1)"],
  ["plain", "plain (1)"],
  ["a.tar.gz", "a.tar (1).gz"],
])("number comes before the extension: %j", (name, expected) => {
  expect(numbered(name, 1)).toBe(expected);
});

test("numbered name keeps its extension and fits", () => {
  const name = numbered(`${"é".repeat(125)}.jpg`, 12);
  expect(name.endsWith(" (12).jpg")).toBe(true);
  expect(new TextEncoder().encode(name).length).toBeLessThanOrEqual(MAX_COMPONENT);
});
