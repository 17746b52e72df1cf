/** What completes a typed code. */
import { describe, expect, test } from "vitest";
import { complete } from "../src/codes.ts";

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
