/** The messages for failed connections; tests/lab has real networks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  DIALER,
  type Facts,
  failure,
  type Network,
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

const ROWS = readFileSync(DOCUMENT, "utf8").split("\n");
const TABLES = {
  dialer: ["The page (one code)", DIALER],
  offerer: ["The page (two codes)", OFFERER],
  "short code": ["The page (page with a short code)", SHORT_CODE],
} as const;

/** Return the rows of the table below a heading of the document: name, message, hint. */
function documented(heading: string): string[][] {
  const after = ROWS.slice(ROWS.findIndex((row) => row.startsWith("## ") && row.endsWith(heading)));
  const table = after.slice(after.findIndex((row) => row.startsWith("| situation")) + 2);
  const length = table.findIndex((row) => !row.startsWith("|"));
  return table.slice(0, length).map((row) => row.slice(2).split(" | ").slice(0, 3));
}

/** Return the name of the situation, which the document has. */
function named(facts: Facts): string | undefined {
  const [heading, table] = TABLES[facts.role];
  return documented(heading)[table.indexOf(situation(facts))]?.[0];
}

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
  expect(named(dialed(hosts, more))).toBe(name);
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
  [[], { asked: true }, "no address there"],
  [["x.local", "2001:db8::7"], { own: WITHOUT + SRFLX }, "no common address family"],
  [["x.local", "2001:db8::7"], { own: CHROMIUM_OFFER }, "not known"],
  [["x.local"], { own: WITHOUT + SRFLX }, "private addresses there"],
  [["2001:db8::7", "203.0.113.7"], { own: WITHOUT + SRFLX }, "not known"],
])("two codes, the other at %j, with %j: %s", (hosts, more, name) => {
  expect(named({ ...dialed(hosts, more), role: "offerer" })).toBe(name);
});

const SYMMETRIC: Network = { mapping: "address-dependent", udp: "works" };
const BLOCKED: Network = { mapping: "unknown", udp: "blocked" };

test.each<[Partial<Facts>, string]>([
  [{ here: SYMMETRIC }, "symmetric NAT here"],
  [{ there: SYMMETRIC }, "symmetric NAT there"],
  [{ here: SYMMETRIC, there: SYMMETRIC }, "symmetric NAT here"],
  [{ there: BLOCKED }, "UDP blocked there"],
  [{ there: BLOCKED, own: CHROMIUM_OFFER }, "no STUN answer"],
  [{ here: BLOCKED, own: CHROMIUM_OFFER }, "UDP blocked here"],
  [{ here: BLOCKED, there: BLOCKED, own: CHROMIUM_OFFER }, "UDP blocked here"],
  [{}, "not known"],
])("a short code, with %j: %s", (more, name) => {
  const own = `${CHROMIUM_OFFER}${SRFLX}\r\n`;
  const facts: Facts = { ...dialed(["10.1.0.2", "198.51.100.1"]), own, asked: true, ...more };
  expect(named({ ...facts, role: "short code" })).toBe(name);
});

test("the error of a short code states what both sides have tried", () => {
  const own = `${CHROMIUM_OFFER}${SRFLX}\r\n`;
  const theirs = [...places("10.1.0.2", "10.1.0.2"), { host: "x", port: 5000, relayed: true }];
  const facts: Facts = { ...dialed([]), role: "short code", own, theirs };
  const { message } = failure({ ...facts, here: SYMMETRIC, there: BLOCKED });
  expect(message).toContain(
    "(tried from here: 2 addresses, symmetric NAT; from there: 1 address and a relay, UDP blocked)",
  );
  expect(failure({ ...facts, role: "offerer" }).message).not.toContain("tried");
});

test("a relay of the other side is one, too", () => {
  const theirs = [{ host: "198.51.100.9", port: 5000, relayed: true }];
  expect(named({ ...dialed([]), role: "offerer", theirs })).toBe("relay without effect");
});

test("a relay of the other side is none where UDP is blocked here", () => {
  const theirs = [...places("10.1.0.2"), { host: "198.51.100.9", port: 5000, relayed: true }];
  const facts: Facts = { ...dialed([]), role: "offerer", theirs, asked: true };
  expect(named(facts)).toBe("no STUN answer");
});

test.each([...DIALER, ...OFFERER, ...SHORT_CODE])(
  "$message: no sentence begins with an address",
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

test.each(Object.values(TABLES))("docs/connecting.md, %s, shows the table", (heading, table) => {
  expect(documented(heading).map(([, ...texts]) => texts)).toEqual(
    table.map(({ message, hint }) => [`\`${message}\``, `\`${hint}\``]),
  );
});
