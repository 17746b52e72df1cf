/**
 * Connections of src/peers/browser.ts over a scripted RTCPeerConnection; tests/pages has real
 * browsers.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConnectionFailed, DcsendError } from "../src/errors.ts";
import { dial } from "../src/peers/browser.ts";
import { CHECKS } from "./check-channel.ts";
import { connected, TARGET } from "./dialed.ts";
import { CHROMIUM_OFFER, type FakeChannel, FakePeer, linkedPeers } from "./fake-peer.ts";

const MIB = 1024 * 1024;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Dial, let the script run, and return the error. */
async function refused(script: (peer: FakePeer) => void, timeout = 15): Promise<DcsendError> {
  const peer = new FakePeer();
  peer.described = () => script(peer);
  const dialing = dial(TARGET, { peerConnection: peer.factory });
  const ended = dialing.then(
    () => new Error("connected"),
    (error: unknown) => error,
  );
  await vi.advanceTimersByTimeAsync(timeout * 1000);
  const error = await ended;
  expect(error).toBeInstanceOf(DcsendError);
  expect(peer.isClosed).toBe(true);
  return error as DcsendError;
}

function channel(peer: FakePeer, label: string): FakeChannel {
  const found = peer.channels.find((candidate) => candidate.label === label);
  if (found === undefined) throw new Error(`no channel ${label}`);
  return found;
}

describe("browser connection keeps the contract", () => {
  test.each(CHECKS.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    const ends = linkedPeers().map((peer) => dial(TARGET, { peerConnection: peer.factory }));
    const [left, right] = await Promise.all(ends);
    if (left === undefined || right === undefined) throw new Error("not a pair");
    await check(left, right);
  });
});

test("dialing opens the three channels in order", async () => {
  const [, peer] = await connected();
  expect(peer.channels.map(({ label }) => label)).toEqual(["control", "data", "text"]);
  expect(peer.channels.every(({ binaryType }) => binaryType === "arraybuffer")).toBe(true);
});

test("aborted dialing closes the connection at once", async () => {
  const peer = new FakePeer();
  const leaving = new AbortController();
  const dialing = dial(TARGET, { peerConnection: peer.factory, signal: leaving.signal });
  peer.described = () => leaving.abort();
  await expect(dialing).rejects.toThrow(ConnectionFailed);
  expect(peer.isClosed).toBe(true);
});

test("an abort signal after connecting has no effect", async () => {
  const peer = new FakePeer();
  const leaving = new AbortController();
  peer.described = () => peer.open();
  await dial(TARGET, { peerConnection: peer.factory, signal: leaving.signal });
  leaving.abort();
  expect(peer.isClosed).toBe(false);
});

test("dialing uses no server", async () => {
  const [, peer] = await connected();
  expect(peer.configuration).toEqual({ iceServers: [] });
});

test("local description is not changed", async () => {
  const [, peer] = await connected();
  expect(peer.localDescription).toEqual({ type: "offer", sdp: CHROMIUM_OFFER });
});

test("dialing resolves only when all channels are open", async () => {
  const peer = new FakePeer();
  let done = false;
  const dialing = dial(TARGET, { peerConnection: peer.factory }).then(() => {
    done = true;
  });
  await vi.advanceTimersByTimeAsync(10);
  channel(peer, "control").open();
  channel(peer, "text").open();
  await vi.advanceTimersByTimeAsync(10);
  expect(done).toBe(false);
  channel(peer, "data").open();
  await dialing;
  expect(vi.getTimerCount()).toBe(0);
});

test("message before the first receive is kept", async () => {
  const peer = new FakePeer();
  peer.described = () => {
    channel(peer, "control").onmessage({ data: "early" });
    peer.open();
  };
  const connection = await dial(TARGET, { peerConnection: peer.factory });
  expect(await connection.channels.control.receive()).toBe("early");
});

test("browser that sends nothing hints at its permission", async () => {
  // With addresses of both families it could have tried one.
  const error = await refused(() => {}, 3);
  expect(error.message).toBe("the browser did not try to reach 192.0.2.7, 2001:db8::7");
  expect(error.hint).toMatch(/local network/);
});

test("dialing ends after 15 s if a check was answered", async () => {
  let hasEnded = false;
  const peer = new FakePeer();
  peer.described = () => peer.become("connected", "connecting");
  const dialing = dial(TARGET, { peerConnection: peer.factory }).catch(() => {
    hasEnded = true;
  });
  await vi.advanceTimersByTimeAsync(14_999);
  expect(hasEnded).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await dialing;
  expect(hasEnded).toBe(true);
});

test("dialing without an answer ends after 10 s", async () => {
  const error = await refused((peer) => peer.become("checking", "connecting"), 10);
  expect(error.message).toBe("no answer from 192.0.2.7, 2001:db8::7");
  expect(error.hint).toMatch(/open UDP port 40000/);
});

test("dialing with another patience ends after that without an answer", async () => {
  const peer = new FakePeer();
  peer.stats.set("1", { type: "candidate-pair" });
  peer.described = () => peer.become("checking", "connecting");
  const dialing = dial(TARGET, { peerConnection: peer.factory, patience: 4 });
  const ended = dialing.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(3999);
  expect(peer.isClosed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(peer.isClosed).toBe(true);
  expect(await ended).toBeInstanceOf(ConnectionFailed);
});

test("counts what has arrived over each pair of addresses", async () => {
  const peer = new FakePeer();
  peer.stats.set("1", { type: "candidate-pair", bytesReceived: 900, responsesReceived: 2 });
  peer.stats.set("2", { type: "candidate-pair", bytesReceived: 90, requestsReceived: 5 });
  peer.stats.set("3", { type: "transport", bytesReceived: 7000 });
  peer.described = () => peer.open();
  const connection = await dial(TARGET, { peerConnection: peer.factory });
  expect(await connection.received()).toBe(997);
  peer.become("disconnected", "disconnected");
  expect(await connection.received()).toBe(0);
});

test("browser without a pair of addresses is given up after 3 s", async () => {
  const peer = new FakePeer();
  peer.described = () => {};
  const dialing = dial(TARGET, { peerConnection: peer.factory }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(3000);
  expect(await dialing).toBeInstanceOf(ConnectionFailed);
  expect(vi.getTimerCount()).toBe(0);
});

test("browser with a candidate pair that is not in use yet is waited for", async () => {
  const peer = new FakePeer();
  peer.stats.set("1", { type: "candidate-pair", state: "waiting" });
  peer.described = () => setTimeout(() => peer.open(), 8000);
  const dialing = dial(TARGET, { peerConnection: peer.factory });
  await vi.advanceTimersByTimeAsync(8000);
  await dialing;
});

test.each<RTCIceConnectionState>(["disconnected", "checking"])(
  "refusal by the listener is reported while ICE is %s",
  async (ice) => {
    const error = await refused((peer) => {
      peer.become("checking", "connecting");
      peer.become(ice, "failed");
    });
    expect(error.message).toBe("the code was refused by 192.0.2.7, 2001:db8::7");
    expect(error.kind).toBe("code-used");
  },
);

test("the same states late are no refusal", async () => {
  const error = await refused((peer) => {
    peer.become("checking", "connecting");
    setTimeout(() => peer.become("disconnected", "failed"), 15_300);
  }, 20);
  expect(error.message).toMatch(/^no answer from/);
});

test.each<[RTCIceConnectionState, RTCPeerConnectionState, RegExp]>([
  ["failed", "failed", /^no answer from/],
  ["failed", "connecting", /^no answer from/],
  [
    "connected",
    "failed",
    /^an answer came from 192\.0\.2\.7, 2001:db8::7, but the encrypted connection failed/,
  ],
])("ICE %s and connection %s end the dial at once", async (ice, connection, message) => {
  const peer = new FakePeer();
  peer.described = () => {
    peer.become("checking", "connecting");
    setTimeout(() => peer.become(ice, connection), 10);
  };
  const dialing = expect(dial(TARGET, { peerConnection: peer.factory })).rejects.toThrow(message);
  await vi.advanceTimersByTimeAsync(11);
  await dialing;
  expect(peer.isClosed).toBe(true);
});

test("channel that is closed before all are open ends the attempt", async () => {
  const peer = new FakePeer();
  peer.described = () => {
    peer.become("connected", "connected");
    channel(peer, "text").closed();
  };
  await expect(dial(TARGET, { peerConnection: peer.factory })).rejects.toThrow(ConnectionFailed);
});

test("error of the browser becomes a ConnectionFailed", async () => {
  const peer = new FakePeer();
  peer.described = () => {
    throw new DOMException("SDP is not good", "OperationError");
  };
  await expect(dial(TARGET, { peerConnection: peer.factory })).rejects.toThrow(
    /^the browser refused to connect: .*SDP is not good/,
  );
  expect(peer.isClosed).toBe(true);
});

test("browser that creates no connection causes a ConnectionFailed", async () => {
  const peerConnection = () => {
    throw new DOMException("not allowed", "NotAllowedError");
  };
  await expect(dial(TARGET, { peerConnection })).rejects.toThrow(ConnectionFailed);
});

test("browser without WebRTC is reported", async () => {
  await expect(dial(TARGET)).rejects.toThrow("this browser has no WebRTC");
});

test("send returns false from 4 MiB on, and writable waits until 1 MiB is left", async () => {
  const [connection, peer] = await connected();
  const { data } = connection.channels;
  while (data.send(new Uint8Array(65_536)));
  const fake = channel(peer, "data");
  expect(fake.bufferedAmount).toBe(4 * MIB);
  let isWritable = false;
  const waiting = data.writable().then(() => {
    isWritable = true;
  });
  fake.drain(3 * MIB - 1);
  await vi.advanceTimersByTimeAsync(1000);
  expect(isWritable).toBe(false);
  fake.drain(1);
  await waiting;
  expect(data.send("again")).toBe(true);
});

test("refusal of the browser is a full buffer, and does not spin", async () => {
  const [connection, peer] = await connected();
  const { data } = connection.channels;
  channel(peer, "data").refusal = new DOMException("queue is full", "OperationError");
  expect(data.send("message")).toBe(false);
  let isWritable = false;
  const waiting = data.writable().then(() => {
    isWritable = true;
  });
  await vi.advanceTimersByTimeAsync(1);
  expect(isWritable).toBe(false);
  await vi.advanceTimersByTimeAsync(100);
  await waiting;
  expect(data.send("message")).toBe(true);
});

test("message that the browser refuses for another reason ends in an error", async () => {
  const [connection] = await connected();
  expect(() => connection.channels.data.send(new Uint8Array(262_145))).toThrow(
    /^the browser can't send: .*too large/,
  );
});

test("channel that the browser has closed refuses at once", async () => {
  const [connection, peer] = await connected();
  channel(peer, "data").readyState = "closing";
  expect(() => connection.channels.data.send("late")).toThrow(ConnectionFailed);
});

test("largest message is the browser's limit where that is lower", async () => {
  const peer = new FakePeer();
  peer.sctp = { maxMessageSize: 100_000 };
  const [connection] = await connected(peer);
  expect(connection.channels.data.maxMessageSize).toBe(100_000);
});

test.each(["onclose", "onerror"] as const)("%s of one channel ends all, soon", async (name) => {
  const [connection, peer] = await connected();
  const { control, data } = connection.channels;
  channel(peer, "data")[name]();
  await expect(data.receive()).rejects.toThrow("the other side closed the connection");
  // Messages that the end has overtaken are not lost.
  await vi.advanceTimersByTimeAsync(50);
  channel(peer, "control").onmessage({ data: "bye" });
  await vi.advanceTimersByTimeAsync(1000);
  expect(await control.receive()).toBe("bye");
  await expect(control.receive()).rejects.toThrow(ConnectionFailed);
  expect(() => control.send("late")).toThrow(ConnectionFailed);
});

test.each(["failed", "closed"] as const)("connection that is %s ends, soon", async (state) => {
  const [connection, peer] = await connected();
  const receiving = expect(connection.channels.text.receive()).rejects.toThrow("was lost");
  peer.become("disconnected", state);
  await vi.advanceTimersByTimeAsync(1000);
  await receiving;
});

test("connection that is closed for the peer later ends on this side at once", async () => {
  const peer = new FakePeer();
  peer.described = () => peer.open();
  const link = await dial(TARGET, { peerConnection: peer.factory });
  const receiving = link.channels.data.receive();
  link.close(10);
  await expect(receiving).rejects.toThrow("the connection is closed");
  expect(peer.isClosed).toBe(false);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(peer.isClosed).toBe(true);
});

test("channel that closes after the path was lost is not closed by the other side", async () => {
  const [connection, peer] = await connected();
  peer.become("disconnected", "disconnected");
  channel(peer, "data").closed();
  await expect(connection.channels.data.receive()).rejects.toThrow("was lost");
});

test("connection that is disconnected may recover", async () => {
  const [connection, peer] = await connected();
  peer.become("disconnected", "disconnected");
  await vi.advanceTimersByTimeAsync(60_000);
  peer.become("connected", "connected");
  expect(connection.channels.control.send("still here")).toBe(true);
});
