/**
 * Control messages: the shared vectors, damage at every character, and messages that must not be
 * sent.
 */
import { describe, expect, test, vi } from "vitest";
import { type Entry, NOTHING_LEFT_OUT } from "../src/entry.ts";
import { IncompatibleVersion, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import * as limits from "../src/protocol/limits.ts";
import {
  chooseVersion,
  clip,
  decode,
  encode,
  type Message,
  peekRole,
  type Status,
  splitAccept,
  splitManifest,
  splitVerdict,
} from "../src/protocol/messages.ts";
import { countVectors, readVector, table, vectors } from "./vectors.ts";

const CONTROL = vectors("control");
const OK = CONTROL.filter((vector) => vector.expect === "ok");
const BAD = CONTROL.filter((vector) => vector.expect === "remote-error");
const TYPES = [
  "Hello",
  "Manifest",
  "Accept",
  "Decline",
  "Ack",
  "Verdict",
  "Again",
  "Complete",
  "Working",
  "Bye",
  "Cancel",
];

/** A message in the form of `fields` of a vector. */
function fieldsOf(message: Message): object {
  if (message.type === "manifest") {
    const { leftOut = NOTHING_LEFT_OUT, ...others } = message;
    return { ...others, left_out: leftOut };
  }
  if (message.type !== "hello") return message;
  const { maxFrame, ...others } = message;
  return { ...others, max_frame: maxFrame };
}

/** The bytes of a text as UTF-8. */
function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Decode a message that may be damaged: it raises one kind of error, or can be encoded again. */
function refusedOrHarmless(text: string): void {
  let message: Message;
  try {
    message = decode(text);
  } catch (error) {
    if (error instanceof RemoteProtocolError) return;
    throw error;
  }
  expect(decode(encode(message))).toEqual(message);
}

function entry(fields: Partial<Entry> = {}): Entry {
  return {
    path: "a",
    kind: "file",
    size: 0,
    mode: 0o644,
    mtime: null,
    target: "",
    stored: null,
    ...fields,
  };
}

test.each(["x".repeat(65), "a\u001bb", "a/b", "\ud800", "  "])("name %j is not sent", (name) => {
  const hello = {
    versions: [1],
    agent: "a",
    role: "sender",
    features: [],
    maxFrame: 1024,
  } as const;
  expect(() => encode({ type: "hello", ...hello, name })).toThrow(LocalProtocolError);
});

describe("vectors", () => {
  test("vector with an unknown header fails", () => {
    const text = "name: x\nkind: control\nexpect: remote-error\ncomment: x\n\n{}\n";
    expect(readVector(text).payload).toBe("{}");
    expect(() => readVector(text.replace("\n\n", "\ncolour: red\n\n"))).toThrow("colour");
  });

  test("vectors are all of them, and cover every message type", () => {
    expect(CONTROL.length).toBeGreaterThan(150);
    expect(CONTROL.length + vectors("frame").length).toBe(countVectors());
    const types = new Set(OK.map((vector) => vector.fields?.type));
    expect(types).toEqual(new Set(TYPES.map((name) => name.toLowerCase())));
  });

  test.each(OK)("message $name is decoded", ({ payload, fields }) => {
    expect(fieldsOf(decode(payload))).toEqual(fields);
  });

  test.each(OK)("message $name survives encoding", ({ payload }) => {
    const message = decode(payload);
    expect(decode(encode(message))).toEqual(message);
  });

  test.each(BAD)("message $name is refused", ({ payload }) => {
    expect(() => decode(payload)).toThrow(RemoteProtocolError);
  });

  test.each(CONTROL.filter((vector) => vector.expect === "version-error"))(
    "hello $name has no common version",
    ({ payload, fields }) => {
      const message = decode(payload);
      expect(fieldsOf(message)).toEqual(fields);
      if (message.type !== "hello") throw new Error("no hello");
      expect(() => chooseVersion(message)).toThrow(IncompatibleVersion);
      expect(() => chooseVersion(message)).toThrow("supports protocol version 2, 3, this side 1");
    },
  );

  test.each(OK)("message $name is refused wherever it is truncated", ({ payload }) => {
    const step = Math.max(1, Math.floor(payload.length / 500));
    for (let size = 0; size < payload.length; size += step) {
      expect(() => decode(payload.slice(0, size))).toThrow(RemoteProtocolError);
    }
  });

  test.each(OK.filter((vector) => vector.payload.length < 1000))(
    "every changed character of $name is refused or harmless",
    ({ payload }) => {
      for (let place = 0; place < payload.length; place++) {
        const bits = [0, 1, 2, 3, 4, 5, 6].map((bit) =>
          String.fromCharCode(payload.charCodeAt(place) ^ (1 << bit)),
        );
        for (const wrong of [...bits, ...'"\\{}[],:0-.eE \x00\n\x7f\ud800é🎉']) {
          refusedOrHarmless(payload.slice(0, place) + wrong + payload.slice(place + 1));
        }
      }
    },
  );
});

describe("strictness", () => {
  const hello = (more: string) =>
    `{"type":"hello","versions":[1],"agent":"a","role":"sender","features":[],"max_frame":64960${more}}`;

  test.each([
    ["fraction", ',"x":1.5'],
    ["exponent", ',"x":[1e3,1E-3,-0.0e+7]'],
    ["number beyond every double", ',"x":1e999'],
    ["integer of 4300 digits", `,"x":-${"9".repeat(4300)}`],
    ["lone surrogate", ',"x":"\\ud800"'],
    ["key that every object inherits", ',"__proto__":1,"constructor":2,"toString":[]'],
    ["white space of all four kinds", ' \t\n\r,"x" :\r[ ] '],
    ["empty key", ',"":{}'],
    ["delete character", ',"x":"\x7f\u2028"'],
  ])("unknown field may hold a %s", (_, more) => {
    expect(decode(hello(more)).type).toBe("hello");
  });

  test.each([
    ["integer of 4301 digits", `,"x":${"9".repeat(4301)}`],
    ["leading zero", ',"x":01'],
    ["leading plus", ',"x":+1'],
    ["bare minus", ',"x":-'],
    ["fraction without digits", ',"x":1.'],
    ["fraction without integer", ',"x":.5'],
    ["exponent without digits", ',"x":1e'],
    ["hexadecimal number", ',"x":0x1'],
    ["full-width digit", ',"x":１'],
    ["escape that JSON lacks", ',"x":"\\v"'],
    ["short escape", ',"x":"\\u12"'],
    ["escape with a sign", ',"x":"\\u+123"'],
    ["line feed in text", ',"x":"\n"'],
    ["single quote", ",'x':1"],
    ["no-break space", ',\u00a0"x":1'],
    ["form feed", ',\f"x":1'],
    ["missing colon", ',"x" 1'],
    ["missing value", ',"x":'],
    ["missing comma in an array", ',"x":[1 2]'],
    ["trailing comma in an array", ',"x":[1,]'],
    ["comma alone", ',"x":[,]'],
    ["wrong bracket", ',"x":[1}'],
    ["word in capitals", ',"x":True'],
    ["word with a tail", ',"x":nulll'],
    ["same key twice, escaped", ',"x":1,"\\u0078":2'],
    ["same key twice, inherited", ',"__proto__":1,"__proto__":2'],
    ["comment", ',"x":1/**/'],
  ])("unknown field may not hold a %s", (_, more) => {
    expect(() => decode(hello(more))).toThrow(RemoteProtocolError);
  });

  const manifest = (more: string) =>
    `{"type":"manifest","entries":[{"path":"a","kind":"file","size":1${more}}],"last":true}`;

  test.each([
    ["hello", "arrays", hello, "[", "]"],
    ["hello", "objects", hello, '{"x":', "}"],
    ["entry", "arrays", manifest, "[", "]"],
    ["entry", "objects", manifest, '{"x":', "}"],
  ])("unknown field of a %s may hold eight levels of %s", (_, __, message, open, close) => {
    const nested = (levels: number, inside: string) =>
      message(`,"entries":${open.repeat(levels)}${inside}${close.repeat(levels)}`);
    for (const fits of [nested(7, "[]"), nested(7, "1"), nested(6, "[1]")]) {
      expect(decode(fits)).toEqual(decode(message("")));
    }
    for (const deep of [nested(8, "[]"), nested(8, "1"), nested(7, "[1]"), nested(9, "[]")]) {
      expect(() => decode(deep)).toThrow("nested too deeply");
    }
  });

  test("nesting of any depth is refused without recursion", () => {
    expect(() => decode("[".repeat(60_000))).toThrow(RemoteProtocolError);
    expect(() => decode('{"x":'.repeat(10_000))).toThrow(RemoteProtocolError);
  });

  test("minus zero is zero", () => {
    expect(decode('{"type":"ack","bytes":-0}')).toEqual({ type: "ack", bytes: 0 });
  });

  test.each([
    ["2^53", "9007199254740992"],
    ["2^53 + 1", "9007199254740993"],
    ["400 digits", "1".repeat(400)],
  ])("integer of %s is refused", (_, bytes) => {
    expect(() => decode(`{"type":"ack","bytes":${bytes}}`)).toThrow(RemoteProtocolError);
  });

  test("text is counted in code points, messages in bytes", () => {
    const cancel = (message: string) =>
      JSON.stringify({ type: "cancel", reason: "error", message });
    expect(decode(cancel("🎉".repeat(500))).type).toBe("cancel");
    expect(() => decode(cancel("🎉".repeat(501)))).toThrow("500 code points");
    const filled = (size: number) => `{"type":"bye","xy":"${"é".repeat(size / 2)}"}`;
    expect(bytesOf(filled(65514))).toBe(65536);
    expect(decode(filled(65514)).type).toBe("bye");
    expect(() => decode(filled(65516))).toThrow("65538 bytes is too long");
  });

  test.each(['"', "\\", '\\"', "\\u", "[", '{"":', "0", " ", "[0,"])(
    "64 KB of %j take no time that grows with the square",
    (part) => {
      const text = part.repeat(65_000 / part.length);
      const begun = performance.now();
      for (const start of ["", '"', '{"type":"', '{"type":"bye","x":"', '{"type":"bye","x":[']) {
        expect(() => decode(start + text)).toThrow(RemoteProtocolError);
      }
      expect(performance.now() - begun).toBeLessThan(1000);
    },
  );
});

describe("what leaves", () => {
  test.each<[string, Message]>([
    ["negative", { type: "ack", bytes: -1 }],
    ["too large", { type: "ack", bytes: 2 ** 53 }],
    ["fraction", { type: "ack", bytes: 0.5 }],
    ["long text", { type: "cancel", reason: "error", message: "x".repeat(501) }],
    ["lone surrogate", { type: "cancel", reason: "error", message: "\ud800" }],
    ["empty verdict", { type: "verdict", files: [] }],
    ["unknown reason", { type: "accept", window: 1, skip: [[0, "ugly"]], have: [], last: true }],
    ["path", { type: "manifest", entries: [entry({ path: "a\udcff" })], last: true }],
    ["size", { type: "manifest", entries: [entry({ kind: "directory", size: 1 })], last: true }],
    ["mode", { type: "manifest", entries: [entry({ mode: 0o4755 })], last: true }],
    [
      "too long",
      { type: "manifest", entries: Array(20).fill(entry({ path: "x".repeat(4000) })), last: true },
    ],
  ])("message that a peer must refuse never leaves: %s", (_, message) => {
    expect(() => encode(message)).toThrow(LocalProtocolError);
    expect(() => encode(message)).toThrow(`can't send this ${message.type}: `);
  });

  test("message is written as short as it gets", () => {
    expect(encode({ type: "ack", bytes: 65000 })).toBe('{"type":"ack","bytes":65000}');
    expect(encode({ type: "manifest", entries: [entry()], last: true })).toBe(
      '{"type":"manifest","entries":[{"path":"a","kind":"file","size":0,"mode":420}],"last":true}',
    );
  });

  test("fields of a message are those of PROTOCOL.md", () => {
    for (const name of TYPES) {
      const all = OK.filter(({ fields }) => fields?.type === name.toLowerCase())
        .map(({ payload }) => JSON.parse(encode(decode(payload ?? ""))))
        .sort((one, other) => Object.keys(other).length - Object.keys(one).length);
      // One message with every optional field.
      const [written] = all;
      const documented = table(`### ${name}`).map(([field]) => field);
      expect(Object.keys(written)).toEqual(["type", ...documented]);
    }
  });

  test("text of a cancel is cut and made Unicode", () => {
    expect(clip(`a\udcff${"🎉".repeat(600)}`)).toBe(`a\ufffd${"🎉".repeat(498)}`);
  });
});

describe("splitting", () => {
  test.each([
    ["quotes", '"\\'.repeat(50)],
    ["controls", "\x01".repeat(80)],
    ["emoji", "🎉".repeat(100)],
    ["letters of two bytes", "é".repeat(100)],
    ["one letter", "x"],
  ])("manifest of %s has parts of at most 48 KiB, which joined are the manifest", (_, name) => {
    const fields = { path: name, target: name, mtime: 1 - 2 ** 53, stored: 2 ** 53 - 1 };
    const entries = Array<Entry>(1000).fill(entry({ kind: "link", ...fields }));
    const texts = [...splitManifest(entries)].map(encode);
    const parts = texts.map(decode).filter((part) => part.type === "manifest");
    expect(parts.length).toBeGreaterThan(1);
    expect(Math.max(...texts.map(bytesOf))).toBeLessThanOrEqual(limits.SPLIT_CONTROL + 64);
    expect(parts.flatMap((part) => part.entries)).toEqual(entries);
    expect(parts.filter((part) => part.last)).toEqual(parts.slice(-1));
  });

  test("entry that is longer than 48 KiB has a message of its own", () => {
    const long = entry({ kind: "link", path: "\x01".repeat(4096), target: "\x01".repeat(4096) });
    const parts = [...splitManifest([long, long])];
    expect(parts.map((part) => part.entries)).toEqual([[long], [long]]);
    for (const part of parts) expect(bytesOf(encode(part))).toBeGreaterThan(limits.SPLIT_CONTROL);
  });

  test("manifest of nothing is one message", () => {
    expect([...splitManifest([])]).toEqual([{ type: "manifest", entries: [], last: true }]);
  });

  test.each([
    [0, 0, 1],
    [1000, 0, 1],
    [999, 2, 2],
    [0, 2001, 3],
  ])("accept of %i skips and %i offsets takes %i messages", (skips, haves, count) => {
    const skip = new Map(Array.from({ length: skips }, (_, place) => [place, "unsupported"]));
    const have = new Map(Array.from({ length: haves }, (_, place) => [skips + place, 2 ** 53 - 1]));
    const parts = [...splitAccept(1, skip, have)];
    expect(parts.map((part) => part.last)).toEqual(parts.map((_, place) => place === count - 1));
    expect(new Map(parts.flatMap((part) => part.skip))).toEqual(skip);
    expect(new Map(parts.flatMap((part) => part.have))).toEqual(have);
    for (const part of parts) expect(bytesOf(encode(part))).toBeLessThan(limits.SPLIT_CONTROL);
  });

  test("digests are in the message of their file", () => {
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    const have = new Map(numbers.map((number) => [number, 9]));
    const digests = numbers.flatMap((number) =>
      [1, 9].map((offset): [number, number, string] => [number, offset, "0".repeat(64)]),
    );
    const parts = [...splitAccept(1, new Map([[200, "declined"]]), have, digests)];
    expect(parts.map(({ last }) => last)).toEqual([false, true]);
    expect(parts.flatMap((part) => part.digests ?? [])).toEqual(digests);
    for (const part of parts) {
      expect(part.digests?.length).toBeLessThanOrEqual(limits.MAX_DIGESTS);
      const files = new Set(part.have.map(([number]) => number));
      for (const [number] of part.digests ?? []) expect(files).toContain(number);
    }
  });

  test("verdicts are split by pairs", () => {
    const files = Array.from({ length: 2001 }, (_, place): [number, Status] => [place, "mismatch"]);
    const parts = [...splitVerdict(files)];
    expect(parts.map((part) => part.files.length)).toEqual([1000, 1000, 1]);
    expect(parts.flatMap((part) => part.files)).toEqual(files);
    expect([...splitVerdict([])]).toEqual([]);
  });
});

describe("hello", () => {
  test("role of the peer is in its first message", () => {
    const hello = OK.find(({ name }) => name === "control-ok-hello");
    expect(peekRole(hello?.payload ?? "")).toBe(hello?.fields?.role);
  });

  test.each(['{"type":"bye"}', "nonsense", ""])("first message %j is refused", (text) => {
    expect(() => peekRole(text)).toThrow(RemoteProtocolError);
  });

  test("first message that is binary is refused", () => {
    expect(() => peekRole(new TextEncoder().encode("{}"))).toThrow(RemoteProtocolError);
  });

  test("highest common version is chosen", () => {
    const spoken = vi.spyOn(limits.VERSIONS, "includes").mockImplementation((one) => one < 3);
    const message = decode(
      '{"type":"hello","versions":[3,1,2],"agent":"a","role":"sender","features":[],"max_frame":1024}',
    );
    if (message.type !== "hello") throw new Error("no hello");
    expect(chooseVersion(message)).toBe(2);
    spoken.mockRestore();
  });
});
