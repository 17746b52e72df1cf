/** Texts of the other side in pieces. */
import { describe, expect, test } from "vitest";
import { foreignIn, piecesOf } from "../src/pieces.ts";

describe("links in a text", () => {
  const links = (text: string) => piecesOf(text).flatMap(({ text, link }) => (link ? [text] : []));

  test.each([
    ["see https://example.org/a?b=c#d, please", ["https://example.org/a?b=c#d"]],
    ["(http://example.org)", ["http://example.org"]],
    ["two: http://a.example http://b.example.", ["http://a.example", "http://b.example"]],
    // No link to anything but a web page, and none whose target differs from its text.
    ["javascript:alert(1) file:///etc data:text/html,x", []],
    ["https://bank.example@evil.example/", []],
    ["https://b\u0430nk.example https://a\u202eb.example https://a\u200bb", []],
    ["https://", []],
    // A bracket that is opened inside the link belongs to it.
    ["(see https://w.example/Mercury_(planet)).", ["https://w.example/Mercury_(planet)"]],
    ["http://[fd00::1], or (http://[fd00::2]:80)", ["http://[fd00::1]", "http://[fd00::2]:80"]],
  ])("%j has %j", (text, found) => {
    expect(links(text)).toEqual(found);
    const pieces = piecesOf(text);
    expect(pieces.map((piece) => piece.text).join("")).toBe(text);
  });

  test("a link with a long row of full stops is found at once", () => {
    const text = `http://a.example/${".".repeat(60_000)}x`;
    const { user } = process.cpuUsage();
    expect(links(text)).toEqual([text]);
    expect(process.cpuUsage().user - user).toBeLessThan(2e6);
  });

  test("of a text that is nothing but links the first hundred are links", () => {
    const text = "http://a.example ".repeat(1000);
    expect(links(text)).toHaveLength(100);
    expect(piecesOf(text).at(-1)).toEqual({ text: text.slice(99 * 17 + 16), link: false });
  });
});

describe("foreign texts in a sentence", () => {
  const foreign = (text: string, name?: string) =>
    foreignIn(text, name).flatMap((piece) => (piece.foreign ? [piece.text] : []));

  test.each([
    ["Offered by anna at 10.0.0.1", undefined, []],
    // The address after the name is no part of it, and stays in its place.
    ["Offered by אבג at 10.0.0.1", undefined, ["אבג"]],
    ["Offered by אבג 12 at 10.0.0.1", "אבג 12", ["אבג 12"]],
    ["Can't write דוח שנתי 3.pdf: 3 bytes came", undefined, ["דוח שנתי"]],
    ["אבג: 3 files, مرحبا", undefined, ["אבג", "مرحبا"]],
    ["ܐܒ ߊ \u{1e900}", undefined, ["ܐܒ ߊ \u{1e900}"]],
    ["To a.b", "a.b", ["a.b"]],
    ["", "", []],
  ])("%j with the name %j: %j", (text, name, found) => {
    expect(foreign(text, name)).toEqual(found);
    expect(
      foreignIn(text, name)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
  });
});
