/** What two STUN servers show of a network: src/peers/survey.ts. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Network } from "../src/peers/reasons.ts";
import { survey } from "../src/peers/survey.ts";
import { CHROMIUM_OFFER, FakePeer } from "./fake-peer.ts";

const TWO = [{ urls: "stun:192.0.2.1:3478" }, { urls: ["stun:192.0.2.2:3478"] }];
const FROM = "raddr 0.0.0.0 rport 0";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const mapped = (host: string, port: number) => {
  return `a=candidate:2 1 udp 1677729535 ${host} ${port} typ srflx ${FROM}\r\n`;
};

/** A browser whose gathering has found these candidates. */
class Browser extends FakePeer {
  readonly #found: string;
  readonly #errors: readonly string[];

  constructor(found: string, isComplete = true, errors: readonly string[] = []) {
    super();
    this.#found = found;
    this.#errors = errors;
    if (isComplete) this.iceGatheringState = "complete";
  }

  override async setLocalDescription(): Promise<void> {
    for (const url of this.#errors) this.onicecandidateerror?.({ url, errorCode: 701 });
    this.localDescription = { type: "offer", sdp: CHROMIUM_OFFER + this.#found };
  }
}

async function surveyed(peer: FakePeer, servers: RTCIceServer[] = TWO, tcp = false) {
  let result: Network | undefined;
  void survey(servers, peer.factory, tcp).then((network) => {
    result = network;
  });
  await vi.advanceTimersByTimeAsync(4100);
  expect(peer.isClosed).toBe(true);
  return result;
}

const DEAD = ["stun:192.0.2.2:3478"];
const ALL_V6 = ["stun:192.0.2.1:3478", "stun:192.0.2.2:3478"];

test.each<[string, Browser, Network]>([
  [
    "another port for each server",
    new Browser(mapped("203.0.113.1", 5000) + mapped("203.0.113.1", 6000)),
    { mapping: "address-dependent", udp: "works" },
  ],
  [
    "one port for both servers",
    new Browser(mapped("203.0.113.1", 5000)),
    { mapping: "endpoint-independent", udp: "works" },
  ],
  [
    "one port for both servers, which an interface with IPv6 only does not reach",
    new Browser(mapped("203.0.113.1", 5000), true, ALL_V6),
    { mapping: "endpoint-independent", udp: "works" },
  ],
  [
    "one server that answers, and one that does not",
    new Browser(mapped("203.0.113.1", 5000), true, DEAD),
    { mapping: "unknown", udp: "works" },
  ],
  [
    "one server that answers, and one that has not answered yet",
    new Browser(mapped("203.0.113.1", 5000), false),
    { mapping: "unknown", udp: "works" },
  ],
  ["no answer", new Browser("", false), { mapping: "unknown", udp: "unknown" }],
  [
    "a public address of the device",
    new Browser("a=candidate:1 1 udp 2113937151 203.0.113.1 5000 typ host\r\n"),
    { mapping: "none", udp: "unknown" },
  ],
])("%s", async (_, peer, network) => {
  expect(await surveyed(peer)).toEqual(network);
});

const PUBLIC_V6 = "a=candidate:1 1 udp 2113937151 2001:db8::7 5000 typ host\r\n";

test.each<[string, string, RTCIceServer[], Network["udp"]]>([
  ["two silent servers", "", TWO, "blocked"],
  ["one silent server", "", TWO.slice(1), "unknown"],
  ["a public address of the device, which is reported again", PUBLIC_V6, TWO, "unknown"],
  ["an answer", mapped("203.0.113.1", 5000), TWO, "works"],
  ["an answer over IPv6", mapped("2001:db8::7", 5000), TWO, "works"],
])("UDP where TCP works, with %s: %s", async (_, found, servers, udp) => {
  const network = await surveyed(new Browser(found, false), servers, true);
  expect(network?.udp).toBe(udp);
});

test("one server shows no NAT", async () => {
  const peer = new Browser(mapped("203.0.113.1", 5000));
  const one = await surveyed(peer, [{ urls: "stun:192.0.2.1:3478" }]);
  expect(one).toEqual({ mapping: "unknown", udp: "works" });
});

test("besides the default server, a second one is used; TURN servers are not", async () => {
  const peer = new Browser("");
  const turn = { urls: "turn:192.0.2.1", username: "u", credential: "p" };
  await surveyed(peer, [{ urls: "stun:stun.l.google.com:19302" }, turn]);
  expect(peer.configuration.iceServers).toEqual([
    { urls: ["stun:stun.l.google.com:19302", "stun:stun.cloudflare.com:3478"] },
  ]);
});

test("without STUN servers, no connection is made", async () => {
  const peer = new FakePeer();
  const network = await survey([], peer.factory);
  expect([network.mapping, network.udp, peer.channels.length]).toEqual(["unknown", "unknown", 0]);
});
