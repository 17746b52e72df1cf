/**
 * Every limit is that of PROTOCOL.md, which a Python test compares with
 * `dcsend/protocol/limits.py`.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as limits from "../src/protocol/limits.ts";
import { table } from "./vectors.ts";

const PYTHON = readFileSync(new URL("../../dcsend/protocol/limits.py", import.meta.url), "utf-8");

test("limits are those of PROTOCOL.md, each by its name", () => {
  const documented = table("## Limits").map(([name, value]) => [name, Number(value)]);
  const actual = Object.entries(limits).filter(([, value]) => typeof value === "number");
  expect(documented.length).toBeGreaterThan(20);
  expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(documented));
});

test("limits have the names of limits.py, in its order", () => {
  const names = [...PYTHON.matchAll(/^([A-Z_]+): Final = /gm)].map(([, name]) => name);
  const source = readFileSync(new URL("../src/protocol/limits.ts", import.meta.url), "utf-8");
  const ours = [...source.matchAll(/^export const ([A-Z_]+)/gm)].map(([, name]) => name);
  expect(ours).toEqual(names);
});

test("limits written out in limits.py have the same value", () => {
  const plain = [...PYTHON.matchAll(/^([A-Z_]+): Final = ([\d_]+)$/gm)];
  expect(plain.length).toBeGreaterThan(10);
  for (const [, name = "", value = ""] of plain) {
    expect(limits, name).toHaveProperty(name, Number(value.replaceAll("_", "")));
  }
});
