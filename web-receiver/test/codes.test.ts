/** What completes a typed code, which server shows that TCP works, and the way back of a page. */
import { describe, expect, test } from "vitest";
import { complete, isOutside, wayBack } from "../src/codes.ts";

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

test("a page that was loaded again uses the STUN and TURN servers that were typed before", () => {
  const server = { url: "wss://rendezvous.example.org/v1", name: "rendezvous.example.org" };
  const reunion = {
    key: new Uint8Array(32),
    server,
    servers: "turn:typed",
    fingerprint: new Uint8Array(32),
  };
  const asked: unknown[] = [];
  wayBack({ code: "", certificate: {} as RTCCertificate, reunion }, (...named) => {
    asked.push(...named);
    return { open: () => expect.unreachable() };
  });
  expect(asked).toEqual([server, "turn:typed"]);
});
