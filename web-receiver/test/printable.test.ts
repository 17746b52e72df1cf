/** How the page shows untrusted text: the cases of `tests/test_printable.py`. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { printable } from "../src/printable.ts";

const CASES: readonly (readonly [string, string])[] = JSON.parse(
  readFileSync(new URL("../../tests/vectors/printable.json", import.meta.url), "utf8"),
);

test.each(CASES)("text is shown as in every implementation: %j", (text, shown) => {
  expect(printable(text)).toBe(shown);
});
