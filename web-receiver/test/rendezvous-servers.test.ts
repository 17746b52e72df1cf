/** Which text names which rendezvous server, which names none; servers that it offers. */
import { describe, expect, test } from "vitest";
import { UsageError } from "../src/errors.ts";
import { parseIceServers } from "../src/rendezvous/ice_servers.ts";
import { fitsInCode, ownServer, PUBLIC, readOption, serverAt } from "../src/rendezvous/servers.ts";
import { WireError } from "../src/rendezvous/wire.ts";

test.each([
  ["example.org", "wss://example.org/v1", "example.org"],
  [" Example.ORG ", "wss://example.org/v1", "example.org"],
  ["example.org:8443", "wss://example.org:8443/v1", "example.org:8443"],
  ["example.org:443/v1", "wss://example.org/v1", "example.org"],
  ["example.org/mail/box", "wss://example.org/mail/box", "example.org/mail/box"],
  ["192.0.2.7", "wss://192.0.2.7/v1", "192.0.2.7"],
  ["[2001:DB8::7]", "wss://[2001:db8::7]/v1", "[2001:db8::7]"],
  ["bücher.example", "wss://xn--bcher-kva.example/v1", "xn--bcher-kva.example"],
  ["wss://example.org", "wss://example.org/v1", "example.org"],
  ["WSS://example.org/", "wss://example.org/v1", "example.org"],
  ["ws://localhost:4000", "ws://localhost:4000/v1", "ws://localhost:4000/v1"],
  ["ws://localhost:80", "ws://localhost/v1", "ws://localhost/v1"],
  ["ws://localhost:443", "ws://localhost:443/v1", "ws://localhost:443/v1"],
  ["public", PUBLIC.url, "public"],
  [PUBLIC.url, PUBLIC.url, "public"],
])("the text %j names a server", (text, url, name) => {
  expect(readOption(text)).toEqual({ url, name });
});

test.each(["none", "NONE", " none "])("the text %j names no server", (text) => {
  expect(readOption(text)).toBeNull();
});

test.each([
  ["", "host is not a name"],
  ["wss://", "host is not a name"],
  ["..", "host is not a name"],
  ["-a.example", "host is not a name"],
  ["a..example", "host is not a name"],
  ["a%2eexample", "host is not a name"],
  [`${"a".repeat(64)}.example`, "host is not a name"],
  ["https://example.org/v1", "https:// is not wss://"],
  ["file:///etc/passwd", "file:// is not wss://"],
  ["wss://me@example.org", "more than a host, a port and a path"],
  ["example.org?x", "more than a host, a port and a path"],
  ["wss://example.org/v1#", "more than a host, a port and a path"],
  ["wss://example.org\\evil", "more than a host, a port and a path"],
  ["example.org:0", "port is not a number"],
  ["example.org:", "port is not a number"],
  ["example.org:65536", "port is not a number"],
  ["example.org:x", "port is not a number"],
  ["[::1", "host is not"],
  ["[fe80::7%25eth0]", "host is not"],
  ["[12]", "host is not"],
  ["[::1]x", "host is not"],
  ["example.org/é", "its path has other characters"],
  ["exam ple.org", "a space or an invisible character"],
  ["example.org\n.evil", "a space or an invisible character"],
  ["example\u200b.org", "a space or an invisible character"],
  ["publ\ufe0fic", "a space or an invisible character"],
  ["wss://public/v1", "public has a meaning of its own"],
  ["wss://none", "none has a meaning of its own"],
  ["x".repeat(400), "longer than 300"],
])("the text %j is refused with the reason", (text, why) => {
  expect(() => readOption(text)).toThrow(UsageError);
  expect(() => readOption(text)).toThrow(why);
});

test.each(["ws://example.org", "wss://example.org", "http://example.org"])(
  "a code names no URL: %s",
  (host) => {
    expect(() => serverAt(host)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("by its host alone"),
        hint: "write HOST or HOST:PORT of a server with TLS (wss:), or public",
      }),
    );
  },
);

test.each(["example.org:8443", "example.org/mail", "[2001:db8::7]", "public"])(
  "the name in a code leads to the same server: %s",
  (text) => {
    const server = serverAt(text);
    expect(fitsInCode(server)).toBe(true);
    expect(serverAt(server.name)).toEqual(server);
  },
);

test("a server without TLS fits in no code", () => {
  expect(fitsInCode({ url: "ws://localhost:4000/v1", name: "x" })).toBe(false);
});

test.each(["wss://example.org./v1", "wss://example.org/a(b", "wss://h/a//b"])(
  "a server that is not in the form of codes fits in no code: %s",
  (url) => {
    const server = readOption(url);
    expect(server !== null && fitsInCode(server)).toBe(false);
  },
);

describe("the page's own server", () => {
  test.each([
    ["https://page.example/#x", "wss://page.example/v1"],
    ["https://page.example:8443/p/", "wss://page.example:8443/v1"],
    ["http://192.168.1.7:4000/", "ws://192.168.1.7:4000/v1"],
    ["http://[fd00::7]:4000/", "ws://[fd00::7]:4000/v1"],
  ])("has the origin of the page: %s", (page, url) => {
    expect(ownServer(new URL(page))?.url).toBe(url);
  });

  test("is missing for a page from the disk", () => {
    expect(ownServer(new URL("file:///home/me/dcsend.html"))).toBeNull();
  });
});

describe("STUN and TURN servers", () => {
  const turn = { urls: ["turn:t.example:3478"], username: "1764400000:x", credential: "secret" };

  test("have their URLs and accounts", () => {
    expect(parseIceServers([{ urls: "stun:s.example" }, turn])).toEqual([
      { urls: ["stun:s.example"], username: "", credential: "" },
      turn,
    ]);
  });

  test("of unknown schemes are left out", () => {
    const listed = [{ urls: ["quic:a", "stun:b"] }, { urls: "masque:c" }, { urls: [] }];
    expect(parseIceServers(listed).map(({ urls }) => urls)).toEqual([["stun:b"]]);
  });

  test.each([
    ...[null, {}, "stun:a", [1], [{}], [{ urls: null }], [{ urls: [1] }], [[]]],
    ...[[{ urls: "turn:a" }], [{ urls: "TURNS:a", username: "u" }]],
    ...[[{ ...turn, username: 1 }], [{ ...turn, credential: null }]],
    ...[[{ ...turn, username: "u".repeat(513) }], [{ urls: `stun:${"a".repeat(300)}` }]],
    ...[[{ urls: Array(5).fill("stun:a") }], Array(9).fill(turn)],
  ])("with wrong types or without an account are refused: %j", (value) => {
    expect(() => parseIceServers(value)).toThrow(WireError);
  });
});
