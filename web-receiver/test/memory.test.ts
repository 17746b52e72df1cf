/** The in-memory connection of the tests, and the receive queue of every channel. */
import { describe, expect, test } from "vitest";
import { ConnectionFailed, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { MAX_QUEUED } from "../src/peers/contract.ts";
import { ReceiveQueue } from "../src/peers/receive_queue.ts";
import { CHECKS } from "./check-channel.ts";
import { memoryPair } from "./memory-peers.ts";

describe("in-memory connection keeps the contract", () => {
  test.each(CHECKS.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check(...memoryPair());
  });
});

test("filter changes messages on their way", async () => {
  const [left, right] = memoryPair(() => "changed");
  left.channels.data.send("sent");
  expect(await right.channels.data.receive()).toBe("changed");
});

test("clogged channel holds messages in order", async () => {
  const [left, right] = memoryPair();
  const channel = left.channels.data;
  channel.clog();
  channel.send("1");
  channel.send("2");
  let arrived = false;
  const waiting = right.channels.data.receive().then((message) => {
    arrived = true;
    return message;
  });
  left.channels.text.send("overtakes");
  expect(await right.channels.text.receive()).toBe("overtakes");
  expect(arrived).toBe(false);
  channel.unclog();
  channel.send("3");
  expect(await waiting).toBe("1");
  expect(await right.channels.data.receive()).toBe("2");
  expect(await right.channels.data.receive()).toBe("3");
});

test("cut ends both ends", async () => {
  const [left, right] = memoryPair();
  const waiting = [left.channels.text.receive(), right.channels.text.receive()];
  left.cut();
  for (const end of waiting) await expect(end).rejects.toThrow(ConnectionFailed);
});

test("receive queue counts messages without content", async () => {
  const queue = new ReceiveQueue();
  for (let count = 0; count <= MAX_QUEUED / 64; count++) queue.put("");
  await expect(queue.get()).rejects.toThrow(RemoteProtocolError);
});

test("receive queue gets room back as messages are taken", async () => {
  const queue = new ReceiveQueue();
  const message = new Uint8Array(MAX_QUEUED / 2);
  for (let count = 0; count < 4; count++) {
    queue.put(message);
    expect(await queue.get()).toBe(message);
  }
});

test("receive queue keeps the first reason of its end", async () => {
  const queue = new ReceiveQueue();
  queue.end(new ConnectionFailed("first"));
  queue.end(new ConnectionFailed("second"));
  queue.put("late");
  await expect(queue.get()).rejects.toThrow("first");
});

test("receive queue refuses a second caller, and the first gets the message", async () => {
  const queue = new ReceiveQueue();
  const first = queue.get();
  await expect(queue.get()).rejects.toThrow(LocalProtocolError);
  queue.put("message");
  expect(await first).toBe("message");
});
