/** The unusable servers of an offer; tests/pages has real servers and browsers. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../src/errors.ts";
import { offer } from "../src/peers/browser.ts";
import { parseServers, type ServerError, serverProblems } from "../src/peers/servers.ts";
import { FakePeer } from "./fake-peer.ts";

const STUN = "stun:stun.example.org";
const TURN = "turn:me:x@turn.example.org:3479";
const TLS = "turns:me:x@turn.example.org";
const HOST = "a=candidate:1 1 udp 1 192.0.2.7 5 typ host\r\n";
const RELAY = "a=candidate:1 1 udp 1 192.0.2.9 5 typ relay raddr 0.0.0.0 rport 0\r\n";
const REFLEXIVE = "a=candidate:1 1 udp 1 192.0.2.8 5 typ srflx raddr 0.0.0.0 rport 0\r\n";

function error(url: string, errorCode: number, errorText = ""): ServerError {
  return { url, errorCode, errorText };
}

function said(server: string, errors: ServerError[], sdp = HOST): string {
  const problems = serverProblems(parseServers(server), errors, sdp);
  return problems.map(({ message, hint }) => `${message} / ${hint}`).join("; ");
}

describe("what is wrong with a server", () => {
  const url = "turn:turn.example.org:3479?transport=udp";

  test("that works is not mentioned", () => {
    expect(said(TURN, [], RELAY)).toBe("");
    expect(said(TURN, [error(url, 701)], RELAY)).toBe("");
    expect(said(STUN, [], HOST)).toBe("");
    expect(said(STUN, [error("stun:stun.example.org:3478", 701)], REFLEXIVE)).toBe("");
  });

  test.each([
    [TURN, [error(url, 701), error(url, 401, "Unauthorized")], "refuses this user or password"],
    [TURN, [error(url, 486)], "gives no address: error 486"],
    [TURN, [error(url, 701, "TURN allocate request timed out.")], "does not answer / if UDP"],
    [TURN, [error(url, 701, "TURN host lookup received error.")], "can't be found"],
    [TURN, [], "the TURN server turn.example.org gives no address"],
    [TURN, [error("turn:other.example.org:3479?transport=udp", 401)], "gives no address / look"],
    [TLS, [error("turns:turn.example.org:5349?transport=tcp", 701)], "trust its certificate"],
    [STUN, [error("stun:stun.example.org:3478", 701)], "does not answer; the code has no public"],
  ])("is reported: %s %j", (server, errors, words) => {
    expect(said(server, errors)).toContain(words);
  });
});

test("an answer of a server that refuses is reported although another relay works", () => {
  expect(said(TURN, [error("turn:turn.example.org:3479?transport=udp", 486)], RELAY)).toContain(
    "gives no address: error 486",
  );
});

test.each([
  "turn:me:secret@",
  "turn:me:secret@turn.example.org/path",
  "turn:me:secret",
  "turns:me:secret@turn.example.org?transport=udp",
  "stun:me:secret@stun.example.org",
])("the error for %s does not contain the password", (server) => {
  expect(() => parseServers(server)).toThrow(UsageError);
  expect(() => parseServers(server)).not.toThrow(/secret/);
});

describe("an offer waits for a relay", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  function offering(servers: string): [FakePeer, () => string] {
    const peer = new FakePeer();
    let state = "waiting";
    const made = offer({ iceServers: parseServers(servers), peerConnection: peer.factory });
    void made.then(({ problems }) => {
      state = problems.map(({ message }) => message).join() || "fine";
    });
    return [peer, () => state];
  }

  test("longer than for anything else, but not for ever", async () => {
    const [, plain] = offering(STUN);
    const [, relayed] = offering(TURN);
    await vi.advanceTimersByTimeAsync(2600);
    expect([plain(), relayed()]).toEqual(["fine", "waiting"]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(relayed()).toContain("gives no address");
  });

  test("no longer than until it is there", async () => {
    const [peer, relayed] = offering(TURN);
    await vi.advanceTimersByTimeAsync(3000);
    expect(relayed()).toBe("waiting");
    peer.localDescription = { type: "offer", sdp: RELAY };
    peer.find("");
    await vi.advanceTimersByTimeAsync(0);
    expect(relayed()).toBe("fine");
  });
});
