/** The messages for failed connections; tests/lab has real networks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  DIALER,
  type Facts,
  failure,
  OFFERER,
  type RemoteAddress,
  SHORT_CODE,
  situation,
} from "../src/peers/reasons.ts";
import { CHROMIUM_OFFER } from "./fake-peer.ts";

const DOCUMENT = join(import.meta.dirname, "..", "..", "docs", "connecting.md");
const SRFLX = "a=candidate:2 1 udp 1677729535 203.0.113.1 5000 typ srflx raddr 0.0.0.0 rport 0";
const RELAY = "a=candidate:3 1 udp 33562623 198.51.100.9 5000 typ relay raddr 0.0.0.0 rport 0";
const WITHOUT = CHROMIUM_OFFER.replace(/^a=candidate.*\r\n/m, "");

function places(...hosts: string[]): RemoteAddress[] {
  return hosts.map((host) => ({ host, port: 40_000 }));
}

function dialed(hosts: string[], more: Partial<Facts> = {}): Facts {
  return {
    role: "dialer",
    theirs: places(...hosts),
    own: CHROMIUM_OFFER,
    asked: false,
    ice: "failed",
    early: false,
    server: "",
    ...more,
  };
}

test.each<[string[], Partial<Facts>, string]>([
  [["192.168.1.7"], { ice: "connected" }, "checks arrive, no connection"],
  [["192.168.1.7"], { ice: "disconnected", early: true }, "code refused"],
  [["192.168.1.7"], { ice: "checking", early: true }, "code refused"],
  [["192.168.1.7"], { ice: "checking" }, "private addresses there"],
  [["2001:db8::7"], { ice: "new", own: WITHOUT }, "no address here"],
  [["2001:db8::7"], { ice: "new" }, "no common address family"],
  [["192.168.1.7"], { ice: "new" }, "no common address family"],
  [["192.168.1.7", "2001:db8::7"], { ice: "new" }, "not tried"],
  [["192.168.1.7", "203.0.113.1"], { server: "192.168.1.7" }, "firewall there, page served"],
  [["192.168.1.7", "fd00::7"], {}, "private addresses there"],
  [["203.0.113.1", "2001:db8::7"], {}, "firewall there"],
  [["192.168.1.7", "203.0.113.1"], {}, "NAT there"],
])("dialing %j with %j: %s", (hosts, more, name) => {
  expect(situation(dialed(hosts, more)).name).toBe(name);
});

test.each<[string[], Partial<Facts>, string]>([
  [["10.1.0.2"], { ice: "connected" }, "checks arrive, no connection"],
  [["10.1.0.2", "2001:db8::7"], { ice: "new", own: WITHOUT }, "no address here"],
  [["2001:db8::7"], { ice: "new" }, "no common address family"],
  [["10.1.0.2"], { own: `${CHROMIUM_OFFER}${RELAY}\r\n` }, "relay without effect"],
  [["10.1.0.2", "203.0.113.1"], { own: `${CHROMIUM_OFFER}${SRFLX}\r\n` }, "same public address"],
  [["10.1.0.2", "198.51.100.1"], { asked: true }, "no STUN answer"],
  [["10.1.0.2"], {}, "private addresses there"],
  [
    ["10.1.0.2", "198.51.100.1"],
    { own: `${CHROMIUM_OFFER}${SRFLX}\r\n`, asked: true },
    "not known",
  ],
  [[], {}, "not known"],
])("two codes, the other at %j, with %j: %s", (hosts, more, name) => {
  expect(situation({ ...dialed(hosts, more), role: "offerer" }).name).toBe(name);
});

test("a relay of the other side is one, too", () => {
  const theirs = [{ host: "198.51.100.9", port: 5000, relayed: true }];
  expect(situation({ ...dialed([]), role: "offerer", theirs }).name).toBe("relay without effect");
});

test("a relay of the other side is none where UDP is blocked here", () => {
  const theirs = [...places("10.1.0.2"), { host: "198.51.100.9", port: 5000, relayed: true }];
  const facts: Facts = { ...dialed([]), role: "offerer", theirs, asked: true };
  expect(situation(facts).name).toBe("no STUN answer");
});

test.each([...DIALER, ...OFFERER, ...SHORT_CODE])(
  "$name: no sentence begins with an address",
  (row) => {
    // It would get a capital letter: `Fd00::7 answered`.
    for (const text of [row.message, row.hint]) expect(text).not.toMatch(/^[A-Z]{4}/);
  },
);

test("the port is that of the address that is named", () => {
  const theirs = [...places("203.0.113.1"), { host: "192.168.1.7", port: 50_000 }];
  const error = failure({ ...dialed([]), theirs, server: "192.168.1.7" });
  expect(error.message).toBe(
    "no answer from 192.168.1.7 over UDP, although this page was loaded from there",
  );
  expect(error.hint).toMatch(/UDP port 50000/);
});

describe("docs/connecting.md", () => {
  const rows = readFileSync(DOCUMENT, "utf8").split("\n");
  test.each([
    ["The page (one code)", DIALER],
    ["The page (two codes)", OFFERER],
    ["The page (page with a short code)", SHORT_CODE],
  ] as const)("%s shows the table", (heading, table) => {
    const after = rows.slice(
      rows.findIndex((row) => row.startsWith("## ") && row.endsWith(heading)),
    );
    const first = after.findIndex((row) => row.startsWith("| situation"));
    const shown = after.slice(first + 2, first + 2 + table.length).map((row) => {
      return row.slice(2).split(" | ").slice(0, 3);
    });
    expect(shown).toEqual(
      table.map(({ name, message, hint }) => [name, `\`${message}\``, `\`${hint}\``]),
    );
    expect(after[first + 2 + table.length]?.startsWith("|") ?? false).toBe(false);
  });
});
