/** src/peers/trickle.ts over a scripted RTCPeerConnection; tests/pages has real browsers. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectionFailed } from "../src/errors.ts";
import { GATHERING, LONGEST, PATIENCE, Trickle } from "../src/peers/trickle.ts";
import { CHROMIUM_OFFER, FakeChannel, FakePeer } from "./fake-peer.ts";

const HOST = "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host";
const RELAY = "candidate:2 1 udp 33562623 198.51.100.9 5000 typ relay raddr 0.0.0.0 rport 9";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

async function offering(peer = new FakePeer()): Promise<[Trickle, FakePeer]> {
  const trickle = new Trickle(true, [], false, peer.factory);
  await trickle.describe();
  return [trickle, peer];
}

async function answering(peer = new FakePeer()): Promise<[Trickle, FakePeer]> {
  const trickle = new Trickle(false, [], false, peer.factory);
  await trickle.describe(CHROMIUM_OFFER);
  return [trickle, peer];
}

/** Let a peer open the three channels, or these. */
function opened(peer: FakePeer, ...labels: string[]): FakeChannel[] {
  return (labels.length > 0 ? labels : ["control", "data", "text"]).map((label) => {
    const channel = new FakeChannel(label);
    peer.ondatachannel?.({ channel });
    return channel;
  });
}

/** Return how an attempt stands. */
function watched(attempt: Promise<unknown>) {
  const state: { is: string; error?: unknown } = { is: "pending" };
  attempt.then(
    () => {
      state.is = "connected";
    },
    (error: unknown) => {
      state.is = "failed";
      state.error = error;
    },
  );
  return state;
}

test("the side that offers opens the channels, and connects when they are open", async () => {
  const [trickle, peer] = await offering();
  expect(peer.channels.map(({ label }) => label)).toEqual(["control", "data", "text"]);
  peer.described = () => peer.open();
  const connection = await trickle.establish(CHROMIUM_OFFER);
  expect(peer.remoteDescription?.type).toBe("answer");
  trickle.close();
  expect(peer.isClosed).toBe(false);
  connection.close();
  expect(peer.isClosed).toBe(true);
});

test("the side that answers takes the channels that the other side opens", async () => {
  const [trickle, peer] = await answering();
  expect(peer.channels).toEqual([]);
  expect(peer.remoteDescription?.type).toBe("offer");
  expect(peer.localDescription?.type).toBe("answer");
  const connecting = trickle.establish();
  const [control] = opened(peer).map((channel) => {
    channel.open();
    return channel;
  });
  const { channels } = await connecting;
  control?.onmessage({ data: "early" });
  expect(await channels.control.receive()).toBe("early");
});

test("a channel that is already open when it arrives counts as open", async () => {
  const [trickle, peer] = await answering();
  const connecting = trickle.establish();
  for (const label of ["control", "data", "text"]) {
    const channel = new FakeChannel(label);
    channel.readyState = "open";
    peer.ondatachannel?.({ channel });
  }
  await connecting;
});

test.each<[string, Partial<FakeChannel>]>([
  ["other", {}],
  ["data", { ordered: false }],
  ["data", { maxRetransmits: 0 }],
  ["data", { maxPacketLifeTime: 10 }],
])("channel %s with %j is closed", async (label, more) => {
  const [, peer] = await answering();
  const channel = Object.assign(new FakeChannel(label), more);
  peer.ondatachannel?.({ channel });
  expect(channel.readyState).toBe("closed");
});

test("a second channel of the same label is closed", async () => {
  const [, peer] = await answering();
  const [first, second] = opened(peer, "control", "control");
  expect([first?.readyState, second?.readyState]).toEqual(["connecting", "closed"]);
});

test("candidates are returned as they are found, up to the end", async () => {
  const [trickle, peer] = await offering();
  const found = trickle.outgoing();
  peer.find(HOST);
  expect(await found.next()).toEqual({ done: false, value: [HOST] });
  const next = found.next();
  peer.find("");
  peer.find(RELAY);
  expect(await next).toEqual({ done: false, value: [RELAY] });
  peer.find(null);
  expect((await found.next()).done).toBe(true);
});

test("candidates count as complete after 6 s", async () => {
  const [trickle] = await offering();
  const next = trickle.outgoing().next();
  await vi.advanceTimersByTimeAsync(GATHERING * 1000);
  expect((await next).done).toBe(true);
});

test("candidates of the peer that come before its description are added after it", async () => {
  const [trickle, peer] = await offering();
  trickle.add(HOST);
  expect(peer.added).toEqual([]);
  watched(trickle.establish(CHROMIUM_OFFER));
  await vi.advanceTimersByTimeAsync(0);
  trickle.add(RELAY);
  trickle.end();
  expect(peer.added).toEqual([HOST, RELAY, ""]);
});

test("an attempt ends 15 s after the candidates of both sides are complete", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.become("checking", "connecting");
  trickle.add(HOST);
  trickle.end();
  await vi.advanceTimersByTimeAsync(2000);
  peer.find(null);
  await vi.advanceTimersByTimeAsync(PATIENCE * 1000 - 1);
  expect(state.is).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(state.error).toBeInstanceOf(ConnectionFailed);
  expect(String(state.error)).toContain("192.0.2.7");
  expect(peer.isClosed).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt without any pair of candidates ends 3 s after the candidates are complete", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(HOST);
  trickle.end();
  await vi.advanceTimersByTimeAsync(5000);
  expect(state.is).toBe("pending");
  peer.find(null);
  await vi.advanceTimersByTimeAsync(3001);
  expect(String(state.error)).toContain(
    "IPv4 addresses only, and the browser found no such address here",
  );
});

const NAME = "candidate:1 1 udp 2130706431 380b337f.local 40000 typ host";

test("an attempt without any pair ends when it is known how both networks behave", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(NAME);
  trickle.end();
  peer.find(null);
  await vi.advanceTimersByTimeAsync(5000);
  expect(state.is).toBe("pending");
  expect(await trickle.network).toEqual({ mapping: "unknown", udp: "unknown" });
  trickle.setNetwork({ mapping: "unknown", udp: "blocked" });
  await vi.advanceTimersByTimeAsync(0);
  expect(String(state.error)).toContain("the network of the other side blocks UDP");
  expect(vi.getTimerCount()).toBe(0);
});

test("an attempt without any pair ends after 9 s if the other side reports nothing", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(NAME);
  trickle.end();
  peer.find(null);
  await vi.advanceTimersByTimeAsync(8999);
  expect(state.is).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(state.is).toBe("failed");
});

test("an attempt whose checks have failed ends when it is known how both networks behave", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(NAME);
  peer.become("checking", "connecting");
  peer.become("failed", "failed");
  await vi.advanceTimersByTimeAsync(1000);
  expect(state.is).toBe("pending");
  trickle.setNetwork({ mapping: "address-dependent", udp: "works" });
  await vi.advanceTimersByTimeAsync(0);
  expect(String(state.error)).toContain("from there: 1 address, symmetric NAT");
});

test("an attempt whose handshake has failed ends at once", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(NAME);
  peer.become("connected", "connecting");
  peer.become("connected", "failed");
  await vi.advanceTimersByTimeAsync(0);
  expect(String(state.error)).toContain("the encrypted connection failed");
});

test("an attempt that the other side has given up ends with the reason of this side", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.add(HOST);
  await vi.advanceTimersByTimeAsync(0);
  trickle.refused("this machine has IPv6 only");
  await vi.advanceTimersByTimeAsync(0);
  expect(String(state.error)).toContain(
    "IPv4 addresses only, and the browser found no such address here",
  );
  expect(peer.isClosed).toBe(true);
});

test("the reason of the other side is shown where none is known here", async () => {
  const [trickle, peer] = await offering();
  trickle.refused("no answer, and none from a STUN server");
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.become("checking", "connecting");
  trickle.add(HOST);
  await vi.advanceTimersByTimeAsync(0);
  expect(String(state.error)).toContain("; the other side reports: no answer, and none");
  expect((state.error as ConnectionFailed).hint).toMatch(/name a relay under Servers/);
});

test("an attempt without the end of the peer's candidates ends after 30 s", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.find(null);
  await vi.advanceTimersByTimeAsync(LONGEST * 1000 - 1);
  expect(state.is).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(state.is).toBe("failed");
});

test("the hint of a failure is about short codes", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.become("checking", "connecting");
  peer.become("failed", "failed");
  await vi.advanceTimersByTimeAsync(9000);
  expect((state.error as ConnectionFailed).hint).toMatch(/use a new code, and name a relay/);
});

test("a side whose candidates have ended, without any, has no address", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  trickle.end();
  peer.find(null);
  peer.become("failed", "failed");
  await vi.advanceTimersByTimeAsync(9000);
  expect((state.error as ConnectionFailed).message).toContain("has found no address");
});

test("an attempt that is closed leaves neither timers nor a connection", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.find(null);
  trickle.end();
  await vi.advanceTimersByTimeAsync(0);
  trickle.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(state.is).toBe("failed");
  expect(peer.isClosed).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
  expect((await trickle.outgoing().next()).done).toBe(true);
});

test("an unusable relay is a problem, a STUN server is none", async () => {
  const peer = new FakePeer();
  const relay = { urls: "turn:relay.example.org", username: "u", credential: "p" };
  const trickle = new Trickle(
    true,
    [{ urls: "stun:stun.example.org" }, relay],
    false,
    peer.factory,
  );
  await trickle.describe();
  const url = "turn:relay.example.org:3478?transport=udp";
  peer.onicecandidateerror?.({ url, errorCode: 401, errorText: "Unauthorized" });
  const stun = "stun:stun.example.org:3478";
  peer.onicecandidateerror?.({ url: stun, errorCode: 701, errorText: "lookup failed" });
  expect(trickle.problems.map(({ message }) => message)).toEqual([
    "the TURN server relay.example.org refuses this user or password (401)",
  ]);
});

test("servers that are added are used besides those that are named, with the same settings", async () => {
  const peer = new FakePeer({ iceTransportPolicy: "relay" });
  const [named, added] = [{ urls: "stun:stun.example.org" }, { urls: "turn:relay.example.org" }];
  const trickle = new Trickle(true, [named], false, peer.factory);
  await trickle.prepare();
  trickle.addServers([added]);
  await trickle.describe();
  expect(peer.configuration).toEqual({ iceTransportPolicy: "relay", iceServers: [named, added] });
});

test("checks that fail before the candidates are complete do not cut the other side's survey short", async () => {
  const [trickle, peer] = await offering();
  const state = watched(trickle.establish(CHROMIUM_OFFER));
  peer.become("checking", "connecting");
  peer.become("failed", "failed");
  await vi.advanceTimersByTimeAsync(5000);
  trickle.add(NAME);
  trickle.end();
  peer.find(null);
  await vi.advanceTimersByTimeAsync(8999);
  expect(state.is).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(state.is).toBe("failed");
});
