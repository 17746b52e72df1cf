/** What a typed text is, and what completes it. */
import { describe, expect, test } from "vitest";
import { complete, isShort } from "../src/codes.ts";

describe("a short code", () => {
  test.each([
    "7-walrus-umbrella",
    "7 Walrus umbrella",
    "7-walrus",
    "12-walrsu-xyzzyx",
    "7-qqqqq-zzzzz",
    "7-walrus-umbrella@public",
    "dcsend receive 7-walrus-umbrella",
    "https://example.org/#7-walrus-umbrella",
  ])("%s is one, also with errors", (text) => {
    expect(isShort(text)).toBe(true);
  });

  test.each([
    "",
    "dc1abcdef",
    "999418220434540324085215982751521694951",
    "9994 1822 0434",
    "http://192.0.2.2:34523/#999418220434540324085215982751521694951",
    "ds1 not a code",
    "walrus",
  ])("%j is none", (text) => {
    expect(isShort(text)).toBe(false);
  });
});

describe("completions", () => {
  test("the first word ends with a hyphen, since another word follows", () => {
    expect(complete("7-wal")).toEqual(["7-walrus-"]);
    expect(complete("7-walrus-umb")).toEqual(["7-walrus-umbrella"]);
  });

  test.each(["", "7", "7-", "wal", "dc1wal", "7-walrus-umbrella", "7-walrus-umbrella@pub"])(
    "%j has none",
    (typed) => {
      expect(complete(typed)).toEqual([]);
    },
  );
});
