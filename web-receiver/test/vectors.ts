/** The vectors that every implementation runs, and the tables of PROTOCOL.md. */
import { readdirSync, readFileSync } from "node:fs";

const ROOT = new URL("../../", import.meta.url);
const VECTORS = new URL("tests/vectors/", ROOT);
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  control: ["ok", "remote-error", "version-error"],
  frame: ["ok", "remote-error", "integrity-error"],
};
const HEADERS = ["name", "kind", "expect", "comment", "fields"];

/** One file of tests/vectors. */
export interface Vector {
  readonly name: string;
  readonly kind: string;
  readonly expect: string;
  readonly payload: string;
  /** The decoded fields; null if it can't be decoded. */
  readonly fields: Readonly<Record<string, unknown>> | null;
}

/** Read a vector; an unknown or missing header is an error. */
export function readVector(text: string): Vector {
  const end = text.indexOf("\n\n");
  const headers = new Map<string, string>();
  for (const line of text.slice(0, end).split("\n")) {
    const [key, ...rest] = line.split(": ");
    if (key === undefined || !HEADERS.includes(key) || headers.has(key)) {
      throw new Error(`unexpected header: ${line}`);
    }
    headers.set(key, rest.join(": "));
  }
  const header = (key: string) => {
    const value = headers.get(key);
    if (value === undefined) throw new Error(`no header ${key}`);
    return value;
  };
  const [kind, expect] = [header("kind"), header("expect")];
  const decodes = expect === "ok" || expect === "version-error";
  if (!EXPECTED[kind]?.includes(expect) || decodes !== headers.has("fields")) {
    throw new Error(`${header("name")}: ${expect} is not for ${kind}`);
  }
  if (header("comment") === "" || !text.endsWith("\n")) throw new Error("incomplete vector");
  const payload = text.slice(end + 2, -1);
  const fields = decodes ? JSON.parse(header("fields")) : null;
  return { name: header("name"), kind, expect, payload, fields };
}

/** All vectors of a kind; at least one, and each in a file of its name. */
export function vectors(kind: "control" | "frame"): Vector[] {
  const names = readdirSync(VECTORS).filter((name) => name.startsWith(`${kind}-`));
  if (names.length === 0) throw new Error(`no vectors of kind ${kind}`);
  return names.sort().map((name) => {
    const vector = readVector(readFileSync(new URL(name, VECTORS)).toString("utf-8"));
    if (`${vector.name}.txt` !== name || vector.kind !== kind) throw new Error(`not in ${name}`);
    return vector;
  });
}

/** The number of vector files with a message or a frame. */
export function countVectors(): number {
  return readdirSync(VECTORS).filter((name) =>
    /^(?!dialcode|shortcode|link|blob|names|conversation|checks|receipts|timers).*\.txt$/.test(
      name,
    ),
  ).length;
}

/** The rows of the first table below a heading of PROTOCOL.md, without its head and back-quotes. */
export function table(title: string): string[][] {
  const lines = readFileSync(new URL("PROTOCOL.md", ROOT), "utf-8").split("\n");
  const below = lines.slice(lines.indexOf(title) + 1);
  const start = below.findIndex((line) => line.startsWith("|"));
  if (!lines.includes(title) || start < 0) throw new Error(`no table below ${title}`);
  const length = below.slice(start).findIndex((line) => !line.startsWith("|"));
  return below.slice(start + 2, length < 0 ? undefined : start + length).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll("`", "")),
  );
}
