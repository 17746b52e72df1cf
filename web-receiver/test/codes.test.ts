/** What completes a typed code, and which server shows that TCP works. */
import { describe, expect, test } from "vitest";
import { complete, isOutside } from "../src/codes.ts";

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

test.each([
  ["wss://rendezvous.example.org/v1", true],
  ["ws://rendezvous.example.org/v1", false],
  ["wss://192.168.1.7:4000/v1", false],
  ["wss://nas.local/v1", false],
])("whether %s shows that TCP reaches the internet: %s", (url, isSo) => {
  expect(isOutside({ url, name: url })).toBe(isSo);
});
