/**
 * The structure of src/: which layer imports which, which files use the document, and what no file
 * contains. A missing arrow is a decision, not an oversight.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

const SOURCES = join(import.meta.dirname, "..", "src");
const PYTHON = join(SOURCES, "..", "..", "dcsend");

/** The layer of each file; a folder is a layer. */
const LAYERS: Readonly<Record<string, string>> = {
  "main.ts": "main",
  "codes.ts": "main",
  "returning.ts": "main",
  "sight.ts": "main",
  "start.ts": "main",
  "stored.ts": "main",
  "display.ts": "display",
  "continuing.ts": "helpers",
  "device.ts": "helpers",
  "expiry.ts": "helpers",
  "favicon.ts": "helpers",
  "pieces.ts": "helpers",
  "qr.ts": "helpers",
  "selection.ts": "helpers",
  "strings.ts": "helpers",
  "wording.ts": "helpers",
  "content.ts": "leaves",
  "crc32.ts": "leaves",
  "description.ts": "leaves",
  "entry.ts": "leaves",
  "errors.ts": "leaves",
  "printable.ts": "leaves",
  "septets.ts": "unpack",
  "unpack.ts": "unpack",
};

/** The layers that each may import, besides itself; TYPES has the rules for types. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  main: ["display", "helpers", "session", "rendezvous", "signaling", "peers", "files", "leaves"],
  display: ["helpers", "leaves"],
  helpers: ["leaves"],
  session: ["protocol", "rendezvous", "signaling", "leaves"],
  rendezvous: ["signaling", "leaves"],
  signaling: ["leaves"],
  peers: ["leaves"],
  protocol: ["leaves"],
  files: ["leaves"],
  leaves: [],
  unpack: [],
};

/** The layers whose types each may import in addition. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  display: ["session", "files"],
  helpers: ["session", "files"],
  session: ["peers", "files"],
};

/** The files that may use the document. */
const DOM = /^(display\.ts|display\/.*|main\.ts|codes\.ts|sight\.ts|start\.ts|unpack\.ts)$/;

/** Functions that could turn an untrusted text into html or script. */
const DANGEROUS =
  /\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|parseFromString|srcdoc)\b|document\.write|\beval\(|\bnew Function\b|set(Timeout|Interval)\(\s*["'`]/;

/** Assignments to attributes of another object than `this`; the group is the name. */
const ASSIGNED =
  /(?<!\bthis)\??\.(#?\w+)\s*(?:(?:[-+*/%&|^]|\*\*|&&|\|\||\?\?|<<|>>>?)?=(?![=>])|\+\+|--)/g;

/** What a file outside the display may assign: handlers and settings of browsers' objects. */
const SETTINGS = /^(on[a-z]+|lastIndex|length|cause|binaryType|bufferedAmountLowThreshold)$/;

/** Lines that a file may have. */
const MOST_LINES = 450;

const FILES = readdirSync(SOURCES, { recursive: true, encoding: "utf-8" }).filter(
  (path) => path.endsWith(".ts") && !path.endsWith(".d.ts"),
);

const text = (path: string) => readFileSync(join(SOURCES, path), "utf-8");

const code = (path: string) =>
  text(path)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|\s)\/\/.*$/gm, "");

function layerOf(path: string): string {
  const [first = "", rest] = path.split("/");
  const layer = rest === undefined ? LAYERS[first] : first;
  if (layer === undefined || !(layer in ARROWS)) throw new Error(`${path} belongs to no layer`);
  return layer;
}

/** The attributes of other objects that a source assigns, besides SETTINGS. */
const assigned = (source: string) =>
  Array.from(source.replace(/"[^"\n]*"|'[^'\n]*'/g, '""').matchAll(ASSIGNED), ([, name]) => name)
    .map(String)
    .filter((name) => !SETTINGS.test(name));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

/** What `path` imports of src/; names of packages aren't in it. */
function imports(path: string): Import[] {
  const found = code(path).matchAll(
    /\b(?:import|export)\b\s*(type\b)?([^;"'()]*?)\bfrom\s*["'](\.[^"']+)["']|\bimport\s*\(?\s*["'](\.[^"']+)["']/g,
  );
  return Array.from(found, ([, type, names = "", from, bare]) => {
    const listed = names.replace(/[{}\s]+/g, " ").split(",");
    const onlyTypes = listed.every((name) => name.trim() === "" || /^\s*type /.test(name));
    const to = normalize(join(dirname(path), from ?? bare ?? ""));
    const isType = type !== undefined || (names.includes("{") && onlyTypes);
    return { from: path, to, isType };
  });
}

const IMPORTS = FILES.flatMap(imports);

test("all that is imported exists", () => {
  expect(IMPORTS.length).toBeGreaterThan(FILES.length);
  for (const { to } of IMPORTS) expect(FILES).toContain(to);
});

describe("layers", () => {
  test.each(FILES)("%s imports only what its layer may", (path) => {
    const layer = layerOf(path);
    const wrong = imports(path).filter(({ to, isType }) => {
      const allowed = [layer, ...(ARROWS[layer] ?? []), ...(isType ? (TYPES[layer] ?? []) : [])];
      return !allowed.includes(layerOf(to));
    });
    expect(wrong).toEqual([]);
  });

  test("the four below the session never name each other, not even types", () => {
    const below = ["signaling", "peers", "protocol", "files"];
    const wrong = IMPORTS.filter(({ from, to }) => {
      const [one, other] = [layerOf(from), layerOf(to)];
      return below.includes(one) && below.includes(other) && one !== other;
    });
    expect(wrong).toEqual([]);
  });

  test.each(FILES)("%s doesn't come back to itself by what it imports", (path) => {
    const reached = new Set<string>();
    const ahead = (from: string) =>
      IMPORTS.filter((one) => one.from === from && !one.isType).map(({ to }) => to);
    const pending = ahead(path);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (!reached.has(next)) pending.push(...ahead(next));
      reached.add(next);
    }
    expect([...reached]).not.toContain(path);
  });
});

test.each(FILES.filter((path) => !DOM.test(path)))("%s does not use the document", (path) => {
  // The protocol has a window, which is a number, and strict.ts reads documents: of neither is
  // anything asked, as it would be of the page's.
  const bare = code(path).replace(/"[^"\n]*"|'[^'\n]*'/g, '""');
  const used = bare.match(
    /(?<![.\w#])(document|window)\s*(\?\.|\.|\[)|\b(globalThis|self)\.(document|window)\b/g,
  );
  expect(used).toBeNull();
});

test.each(FILES.filter((path) => !DOM.test(path)))(
  "%s assigns no attribute from outside",
  (path) => {
    expect(assigned(code(path))).toEqual([]);
  },
);

test.each([
  ["this.#window.size = 1;", ["size"]],
  ["tally.bytes += 1;", ["bytes"]],
  ["for (const one of all) all[one].left ??= 1;", ["left"]],
  ["this.#meter.count++;", ["count"]],
  ["find(1).x = 1;", ["x"]],
  ["this.x = 1; this.#y += 1; this.z++;", []],
  ["if (a.b === c.d || a.b <= 1 || a.b >= 1 || a.b !== 1) f((a) => a.b);", []],
  ["port.onmessage = f; this.#marks.length = 0;", []],
])("in %j the assigned attributes are %j", (source, names) => {
  expect(assigned(source)).toEqual(names);
});

test.each(FILES)("%s makes neither html nor script of a text", (path) => {
  expect(code(path)).not.toMatch(DANGEROUS);
});

test.each(FILES)("%s begins by saying what it is", (path) => {
  expect(text(path)).toMatch(/^\/\*\*[^/]/);
});

test.each(FILES)("%s is no longer than can be read at once", (path) => {
  expect(text(path).trimEnd().split("\n").length).toBeLessThanOrEqual(MOST_LINES);
});

test("each protocol module has its twin in Python", () => {
  const names = FILES.filter((path) => path.startsWith("protocol/")).map((path) => basename(path));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const twin = join(PYTHON, "protocol", name.replace(/\.ts$/, ".py"));
    expect(existsSync(twin), `${twin} is there`).toBe(true);
  }
});
