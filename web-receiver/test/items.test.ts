/** The content of sealed messages. */
import { describe, expect, test } from "vitest";
import { IncompatibleVersion, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { decode, encode, type Item, MAX_BYE } from "../src/rendezvous/items.ts";
import { checksum } from "../src/signaling/binary.ts";
import { pack } from "../src/signaling/blob.ts";
import { ANSWER, candidate, END, hex, OFFER, unhex } from "./shortcodes.ts";

const bye = (reason: string, message: string): Item => ({ kind: "bye", reason, message });
const host = (host: string, priority = 1): Item => ({
  kind: "candidate",
  candidate: { type: "relay", host, port: 65535, priority },
});

test.each<[string, Item]>([
  ["an offer", OFFER],
  ["an answer", ANSWER],
  ["an IPv4 candidate", candidate(51472)],
  ["an IPv6 candidate", host("2001:db8::7", 2 ** 31 - 1)],
  ["an mDNS candidate", host("2f9a1c5e-0b3d-4e6f-8a7b-9c0d1e2f3a4b.local")],
  ["the end of candidates", END],
  ["a bye", bye("interrupted", "")],
  ["the longest bye", bye("error", "ü".repeat(97))],
  ["a bye that begins with a byte order mark", bye("\ufeffx", "\ufeff")],
  ["a network", { kind: "network", mapping: "address-dependent", udp: "blocked" }],
])("%s is read as it was written", (_name, item) => {
  expect(decode(encode([item]))).toEqual([item]);
});

test("several items have the order in which they were written, before the padding", () => {
  const items = [OFFER, candidate(1), candidate(2), END];
  const padded = new Uint8Array(512);
  padded.set(encode(items));
  expect(decode(padded)).toEqual(items);
  expect(decode(new Uint8Array(512))).toEqual([]);
});

test("items have the layout of the specification", () => {
  expect(hex(encode([END, bye("error", "x"), candidate(0x1234)]))).toBe(
    `030000${"040007"}${"6572726f720078"}${"02000b"}${"00c0000207"}${"1234"}${"7effffff"}`,
  );
});

test("an item of an unknown type is ignored", () => {
  expect(decode(unhex("ff0002aabb030000060000"))).toEqual([END]);
});

test("facts about a network that a later version has are unknown", () => {
  expect(decode(unhex("0500020909"))).toEqual([
    { kind: "network", mapping: "unknown", udp: "unknown" },
  ]);
});

describe("an item is refused", () => {
  test.each<[string, string]>([
    ["without its length", "03"],
    ["with half of its length", "0300"],
    ["that ends early", "040007657272"],
    ["and what follows the padding", "03000000000001"],
    ["that is an end with a value", "03000100"],
    ["that is a network of one byte", "05000101"],
    ["that is a network of three bytes", "050003010101"],
    ["that is a bye without a reason", "0400020078"],
    ["that is a bye without NUL", "0400056572726f72"],
    ["that is a bye with two", "04000465006600"],
    ["that is a bye of other bytes than UTF-8", "0400036500ff"],
    ["that is a candidate without a port", "02000900c00002077effffff"],
    ["that is a candidate with port 0", "02000b00c000020700007effffff"],
    ["that is a candidate with priority 0", "02000b00c0000207123400000000"],
    ["that is a candidate with a priority of 32 bits", "02000b00c0000207123480000000"],
    ["that is a candidate of an unknown family", "02000b03c000020712347effffff"],
    ["that is a candidate of an unknown type", "02000b10c000020712347effffff"],
    ["that is a candidate with a byte too many", "02000c00c0000207123400007effffff"],
    ["that is a multicast address", "02000b00e000000112347effffff"],
    ["that is an empty candidate", "020000"],
    ["that is an empty description", "010000"],
  ])("%s", (_name, text) => {
    expect(() => decode(unhex(text))).toThrow(RemoteProtocolError);
  });

  test("that is a bye of more than 200 bytes", () => {
    const value = "65".repeat(MAX_BYE);
    expect(() => decode(unhex(`0400c9${value}00`))).toThrow(RemoteProtocolError);
  });

  test("that is a damaged description", () => {
    const raw = encode([OFFER]);
    raw[10] = 77;
    expect(() => decode(raw)).toThrow(RemoteProtocolError);
  });

  test("that is a description of another version, with its own error", () => {
    if (OFFER.kind !== "description") throw new Error("no description");
    const body = pack(OFFER.description).slice(0, -2);
    body[0] = 2;
    const crc = checksum(body);
    const raw = Uint8Array.of(1, 0, body.length + 2, ...body, crc >> 8, crc & 0xff);
    expect(() => decode(raw)).toThrow(IncompatibleVersion);
  });
});

test.each<[string, Item]>([
  ["a bye that is too long", bye("error", "x".repeat(195))],
  ["a bye with a NUL in its message", bye("error", "\0")],
  ["a bye without a reason", bye("", "x")],
  ["a candidate with a name that is no UUID", host("printer.local")],
  ["a candidate with priority 0", host("192.0.2.7", 0)],
  ["a candidate with a priority of 32 bits", host("192.0.2.7", 2 ** 31)],
])("%s is not written", (_name, item) => {
  expect(() => encode([item])).toThrow(LocalProtocolError);
});
