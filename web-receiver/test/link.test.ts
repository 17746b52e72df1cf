/** Links with both codes; the vectors are those of tests/signaling/test_link.py. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { IncompleteCode, MalformedCode } from "../src/errors.ts";
import { decode } from "../src/signaling/dialcode.ts";
import { bothCodes } from "../src/signaling/link.ts";
import { read } from "../src/signaling/shortcode.ts";

const [HEADER = "", ...BLOCKS] = readFileSync("../tests/vectors/link-inputs.txt", "ascii")
  .split("\n")
  .filter((line) => !line.startsWith("#"))
  .join("\n")
  .trim()
  .split("\n\n");
const CASES = BLOCKS.map((block) => {
  const [comment = "", input = "", outcome = ""] = block
    .split("\n")
    .map((line) => line.replace(/^\w+: /, ""));
  return { comment, input: JSON.parse(input) as string, outcome };
});

test.each(CASES)(
  "text is a link with both codes as in the vectors: $comment",
  ({ input, outcome }) => {
    const found = bothCodes(input);
    if (found === null) {
      expect(outcome).toBe("none");
      return;
    }
    const [dial, short] = found;
    expect(decode(dial)).toEqual(decode(HEADER.replace("code: ", "")));
    if (!["malformed", "incomplete"].includes(outcome)) expect(read(short).text()).toBe(outcome);
    else {
      const kind = outcome === "incomplete" ? IncompleteCode : MalformedCode;
      expect(() => read(short)).toThrow(kind);
    }
  },
);

test("a long text takes little time", () => {
  const began = performance.now();
  for (const text of ["+".repeat(65_536), `${"1".repeat(65_536)}+`, "%25".repeat(21_845)]) {
    bothCodes(text);
  }
  expect(performance.now() - began).toBeLessThan(1000);
});
