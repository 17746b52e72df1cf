/** Dial codes as people paste them; the vectors are those of tests/signaling/test_dialcode.py. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { IncompatibleVersion, MalformedCode } from "../src/errors.ts";
import { decode, decodeBytes, icePassword } from "../src/signaling/dialcode.ts";

const PAGE = "https://dcsend.example/";
const OUTCOMES = { malformed: MalformedCode, version: IncompatibleVersion };

type Block = readonly (readonly [key: string, value: string])[];

/** Read the blocks of a vector file; a key that the test does not use is an error. */
function readVectors(name: string, keys: readonly string[]): Block[] {
  const text = readFileSync(`../tests/vectors/${name}`, "ascii");
  const lines = text.split("\n").filter((line) => !line.startsWith("#"));
  const blocks = lines.join("\n").split("\n\n");
  return blocks
    .map((block) => block.split("\n").filter((line) => line !== ""))
    .filter((pairs) => pairs.length > 0)
    .map((pairs) => pairs.map((line) => keyAndValue(line, keys)));
}

function keyAndValue(line: string, keys: readonly string[]): [string, string] {
  const colon = line.indexOf(": ");
  const key = line.slice(0, colon);
  if (!keys.includes(key)) throw new Error(`unknown key ${key}`);
  return [key, line.slice(colon + 2)];
}

function field(block: Block, wanted: string): string {
  const found = block.find(([key]) => key === wanted);
  if (found === undefined) throw new Error(`no ${wanted} in ${JSON.stringify(block)}`);
  return found[1];
}

function named(blocks: Block[]): [comment: string, block: Block][] {
  return blocks.map((block) => [field(block, "comment"), block]);
}

function bytes(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

/** Append the checksum, computed bit by bit from its definition. */
function sealed(hex: string): Uint8Array<ArrayBuffer> {
  let crc = 0xffff;
  for (const byte of bytes(hex)) {
    for (let mask = 0x80; mask > 0; mask >>= 1) {
      const carry = ((crc >> 15) & 1) !== ((byte & mask) === 0 ? 0 : 1);
      crc = ((crc << 1) & 0xffff) ^ (carry ? 0x1021 : 0);
    }
  }
  return bytes(hex + crc.toString(16).padStart(4, "0"));
}

/** A code with these groups of addresses, in hex. */
function withAddresses(counts: string, addresses: string, port = "9c40"): Uint8Array<ArrayBuffer> {
  return sealed(`01${counts}${"00".repeat(48)}${port}00000001${addresses}`);
}

function message(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof MalformedCode) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

const VALID = readVectors("dialcode-valid.txt", [
  ...["comment", "secret", "fingerprint", "port", "address", "expires"],
  ...["binary", "text", "digits", "password"],
]);
const [HEADER = [], ...INPUTS] = readVectors("dialcode-inputs.txt", [
  ...["code", "comment", "input", "outcome"],
]);
const CODE = field(HEADER, "code");

describe.each(named(VALID))("vector %s", (_, block) => {
  const expected = {
    secret: bytes(field(block, "secret")),
    fingerprint: bytes(field(block, "fingerprint")),
    port: Number(field(block, "port")),
    addresses: block
      .filter(([key]) => key === "address")
      .map(([, value]) => value.split(" "))
      .map(([host, port]) => ({ host, port: Number(port) })),
    expires: Number(field(block, "expires")),
  };

  test("is read in all its forms", () => {
    expect(decode(field(block, "text"))).toEqual(expected);
    expect(decode(field(block, "digits"))).toEqual(expected);
    expect(decode(`${PAGE}#${field(block, "digits")}`)).toEqual(expected);
    expect(decodeBytes(bytes(field(block, "binary")))).toEqual(expected);
  });

  test("has its password", () => {
    expect(icePassword(bytes(field(block, "secret")))).toBe(field(block, "password"));
  });

  test("is refused with any one character changed or lost", () => {
    const text = field(block, "text");
    for (let place = 0; place < text.length; place++) {
      const [before, after] = [text.slice(0, place), text.slice(place + 1)];
      expect(() => decode(before + after)).toThrow(MalformedCode);
      for (const character of "0123456789abcdefghijklmnopqrstuvwxyz") {
        const meant = character.replace("o", "0").replace(/[il]/, "1");
        if (meant === text[place]) continue;
        // Not toThrow: it is slow, and this runs thousands of times.
        expect(isRefused(before + character + after)).toBe(true);
      }
    }
  });
});

function isRefused(text: string): boolean {
  try {
    decode(text);
  } catch (error) {
    return error instanceof MalformedCode || error instanceof IncompatibleVersion;
  }
  return false;
}

test.each(named(INPUTS))("pasted text has the outcome of the vectors: %s", (_, block) => {
  const pasted: string = JSON.parse(field(block, "input"));
  const outcome = field(block, "outcome");
  if (outcome === "ok") {
    expect(decode(pasted)).toEqual(decode(CODE));
  } else {
    expect(() => decode(pasted)).toThrow(OUTCOMES[outcome as keyof typeof OUTCOMES]);
  }
});

test.each([
  ["a # that was encoded again and again", `${PAGE}%25252523${CODE}`],
  ["a command with a long path", `dcsend send ${"é".repeat(990)} --to ${CODE}`],
])("%s is passed over", (_, text) => {
  expect(decode(text)).toEqual(decode(CODE));
});

const NO_CODE =
  "this is not a code: short codes begin with a number, dial codes with dc, and links have # and digits";

test.each([
  [" \n", "the code is empty"],
  ["hello", NO_CODE],
  [CODE.slice(0, 50), `the code is damaged: 50 of ${CODE.length} characters`],
  [`${CODE}00`, `the code is damaged: ${CODE.length + 2} of ${CODE.length} characters`],
  [`${CODE.slice(0, 50)}u${CODE.slice(51)}`, "the code has an invalid character: u"],
  [`${CODE.slice(0, 50)}\ue000`, "the code has an invalid character: \\ue000"],
  [`${CODE.slice(0, 50)}🎉`, "the code has an invalid character: 🎉"],
  [CODE.slice(1), NO_CODE],
  [PAGE, "the link has no code in it: the # and what follows it are missing"],
  [`${PAGE}#`, "the link has no code in it: the part after the # is missing"],
  ["dcsend receive ", "the code is missing at the end of the command"],
  ["dcsend send PATH --to ", "the code is missing at the end of the command"],
  ["#12345678", "the code is damaged: its checksum is wrong"],
  ["0", "the code is damaged: its checksum is wrong"],
  ["#1234567x", "the code has an invalid character: x"],
  ["x".repeat(65_537), "this is not a code: it has 65537 characters"],
  ["🎉".repeat(65_537), "this is not a code: it has 65537 characters"],
  [`dc${"0".repeat(5000)}`, "the code is damaged: it has 5002 characters"],
  ["dc00", "the code is damaged: it has only 4 characters"],
  ["1".repeat(5000), "the code is damaged: it has 5000 digits"],
])("refusal names what is wrong: %.20s", (text, expected) => {
  expect(message(() => decode(text))).toBe(expected);
});

test("other version is named", () => {
  const whole = sealed(`02${field(VALID[0] ?? [], "binary").slice(2, -4)}`);
  expect(() => decodeBytes(whole)).toThrow("the code has version 2, this page supports version 1");
  expect(() => decodeBytes(whole)).toThrow(IncompatibleVersion);
});

test.each([
  ["unspecified IPv4", "40", "00000000"],
  ["broadcast", "40", "ffffffff"],
  ["multicast IPv4", "40", "e0000001"],
  ["unspecified IPv6", "10", "00".repeat(16)],
  ["multicast IPv6", "10", `ff02${"00".repeat(13)}01`],
  ["IPv4 in IPv6 clothing", "10", `${"00".repeat(10)}ffffc0000201`],
  ["port 0", "04", "0a0000010000"],
  ["the code's own port for a mapped address", "04", "0a0000019c40"],
  ["the same address twice", "80", "0a0000010a000001"],
  ["no address", "00", ""],
])("code with %s is refused", (_, counts, addresses) => {
  expect(message(() => decodeBytes(withAddresses(counts, addresses)))).toMatch(
    /^the code is not usable: /,
  );
});

test("code with port 0 of its own is refused", () => {
  const raw = withAddresses("04", "0a0000010007", "0000");
  expect(message(() => decodeBytes(raw))).toMatch(/^the code is not usable: /);
});

test.each([
  ["20010db8000000000000000000000007", "2001:db8::7"],
  ["20010db8000000010000000000000001", "2001:db8:0:1::1"],
  ["00000000000000000000000000000001", "::1"],
  ["fd000000000000000000000000000000", "fd00::"],
  ["20010000000000010000000000010001", "2001::1:0:0:1:1"],
  ["20010000000100000001000000010000", "2001:0:1:0:1:0:1:0"],
  ["00ff0000000100020003000400050006", "ff:0:1:2:3:4:5:6"],
  ["00100000000000100000000000100000", "10::10:0:0:10:0"],
])("IPv6 address %s is spelt %s", (hex, host) => {
  expect(decodeBytes(withAddresses("10", hex)).addresses).toEqual([{ host, port: 40_000 }]);
});

test("code that expired long ago is read like any other", () => {
  expect(decodeBytes(withAddresses("40", "0a000001")).expires).toBe(1);
});
