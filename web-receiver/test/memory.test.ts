/** The in-memory connection of the tests, and the mailbox of every channel. */
import { describe, expect, test } from "vitest";
import { ConnectionFailed, LocalProtocolError, RemoteProtocolError } from "../src/errors.ts";
import { MAX_QUEUED } from "../src/peers/contract.ts";
import { Mailbox } from "../src/peers/mailbox.ts";
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

test("mailbox counts messages without content", async () => {
  const mailbox = new Mailbox();
  for (let count = 0; count <= MAX_QUEUED / 64; count++) mailbox.put("");
  await expect(mailbox.get()).rejects.toThrow(RemoteProtocolError);
});

test("mailbox gets room back as messages are taken", async () => {
  const mailbox = new Mailbox();
  const message = new Uint8Array(MAX_QUEUED / 2);
  for (let count = 0; count < 4; count++) {
    mailbox.put(message);
    expect(await mailbox.get()).toBe(message);
  }
});

test("mailbox keeps the first reason of its end", async () => {
  const mailbox = new Mailbox();
  mailbox.end(new ConnectionFailed("first"));
  mailbox.end(new ConnectionFailed("second"));
  mailbox.put("late");
  await expect(mailbox.get()).rejects.toThrow("first");
});

test("mailbox refuses a second caller, and the first gets the message", async () => {
  const mailbox = new Mailbox();
  const first = mailbox.get();
  await expect(mailbox.get()).rejects.toThrow(LocalProtocolError);
  mailbox.put("message");
  expect(await first).toBe("message");
});
