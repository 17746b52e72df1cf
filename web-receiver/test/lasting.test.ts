/** A connection that goes on over another one: nothing is lost, repeated or in another order. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CodeUsed, ConnectionFailed, ConnectionLost } from "../src/errors.ts";
import { encodeReceipt, readReceipt } from "../src/protocol/receipts.ts";
import { LIMIT } from "../src/session/interruption.ts";
import { LastingConnection } from "../src/session/lasting.ts";
import { accepted, COUNT, exchange, HELLO, Listener } from "./lost-links.ts";

describe("a lasting connection", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    "loses, repeats and reorders nothing wherever it is cut, seed %i",
    async (seed) => {
      let state = seed + 1;
      const random = (most: number) => {
        state = (state * 48_271) % 2_147_483_647;
        return state % most;
      };
      const cuts = Array.from({ length: random(12) + 1 }, () => random(3 * COUNT));
      const listener = new Listener([2 + (cuts[0] ?? 0), ...cuts.slice(1)]);
      const { connection } = await accepted(listener);
      await exchange(connection, listener);
      connection.close();
    },
  );

  test.each(Array.from({ length: 12 }, (_, cut) => cut))(
    "takes over though the next one is lost at message %i",
    async (cut) => {
      const listener = new Listener([30, cut, cut]);
      const { connection } = await accepted(listener);
      await exchange(connection, listener, 20);
      connection.close();
    },
  );

  test("confirms after 64 messages", async () => {
    const listener = new Listener();
    const { connection } = await accepted(listener);
    await exchange(connection, listener, 50);
    // Each of the receipts is a valid one.
    const last = listener.receipts.map((text) => readReceipt("received", text)).at(-1);
    expect(listener.receipts).toHaveLength(2);
    expect((last?.control ?? 0) + (last?.data ?? 0) + (last?.text ?? 0)).toBe(128);
    connection.close();
  });

  test("is lost when the time is over", async () => {
    const listener = new Listener();
    listener.isThere = false;
    const { connection } = await accepted(listener);
    const receiving = connection.channels.data.receive().catch((error: unknown) => error);
    listener.links[0]?.lose();
    await vi.advanceTimersByTimeAsync((LIMIT - 5) * 1000);
    expect(connection.isInterrupted).toBe(true);
    expect(connection.channels.data.send("x")).toBe(false);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await receiving).toBeInstanceOf(ConnectionLost);
    expect(() => connection.channels.data.send("x")).toThrow("the connection was lost");
    expect(listener.dials).toBeLessThan(310);
  });

  test("ends when the listener refuses this side again and again", async () => {
    const listener = new Listener();
    listener.refusal = new CodeUsed("the code was used");
    const { connection } = await accepted(listener);
    const receiving = connection.channels.data.receive().catch((error: unknown) => error);
    listener.links[0]?.lose();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await receiving).toBeInstanceOf(ConnectionLost);
    expect(listener.dials).toBe(3);
  });

  test("ends when the other side has closed it", async () => {
    const listener = new Listener();
    const { connection } = await accepted(listener);
    const receiving = connection.channels.control.receive().catch((error: unknown) => error);
    listener.links[0]?.lose(new ConnectionFailed("the other side closed the connection"));
    expect(await receiving).toHaveProperty("message", "the other side closed the connection");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(listener.dials).toBe(0);
  });

  test.each([
    ["a peer without the feature", HELLO.replace("reconnect", "other")],
    ["a peer whose first message is none", '{"type":"bye"}'],
  ])("is not made again with %s", async (_, hello) => {
    const listener = new Listener();
    const { connection } = await accepted(listener, hello);
    const receiving = connection.channels.control.receive().catch((error: unknown) => error);
    listener.links[0]?.lose();
    expect(await receiving).toBeInstanceOf(ConnectionLost);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(listener.dials).toBe(0);
  });

  test("is not made again before the transfer is accepted", async () => {
    const listener = new Listener();
    const connection = new LastingConnection(listener.pair(), listener.redial);
    listener.send("control", HELLO);
    await connection.channels.control.receive();
    listener.links[0]?.lose();
    await expect(connection.channels.control.receive()).rejects.toBeInstanceOf(ConnectionLost);
    expect(listener.dials).toBe(0);
  });

  test.each([
    encodeReceipt("received", { control: 1, data: 0, text: 0 }),
    encodeReceipt("resume", { control: 1, data: 9, text: 0 }),
    '{"type":"resume","control":1}',
    HELLO,
  ])("ends with an error for the first message %s", async (first) => {
    const listener = new Listener();
    listener.first = first;
    const { connection } = await accepted(listener);
    const receiving = connection.channels.control.receive().catch((error: unknown) => error);
    listener.links[0]?.lose();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await receiving).toHaveProperty("kind", "protocol");
  });

  const ticket = { code: "code", certificate: {} as RTCCertificate };
  const ANEW = HELLO.replace("reconnect", 'reconnect","anew');
  const last = ({ arrived }: Listener) => arrived.control.at(-1);

  test("announces that the page is loaded again, to a peer that begins anew", async () => {
    const listener = new Listener();
    const connection = new LastingConnection(listener.pair(), listener.redial, ticket);
    listener.send("control", ANEW);
    await connection.channels.control.receive();
    expect(connection.ticket).toBe(ticket);
    expect(connection.away()).toBe(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(last(listener)).toBeUndefined(); // nothing is accepted
    connection.accepted();
    expect(connection.away()).toBe(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(last(listener)).toBe('{"type":"away"}');
  });

  test("announces nothing to another peer, which would refuse it", async () => {
    const listener = new Listener();
    const connection = new LastingConnection(listener.pair(), listener.redial, ticket);
    listener.send("control", HELLO);
    await connection.channels.control.receive();
    connection.accepted();
    expect(connection.away()).toBe(false);
    await vi.advanceTimersByTimeAsync(0);
    expect(last(listener)).toBeUndefined();
    expect(connection.ticket).toBeNull();
  });

  test("lasts from Hello on after the page was loaded again", async () => {
    const listener = new Listener();
    const connection = new LastingConnection(listener.pair(), listener.redial, ticket, true);
    connection.channels.control.send(HELLO);
    connection.away();
    await vi.advanceTimersByTimeAsync(0);
    expect(last(listener)).toBe('{"type":"away"}');
    listener.send("control", ANEW);
    await connection.channels.control.receive();
    expect(connection.lasts).toBe(true);
  });

  test("ends with an error when more is confirmed than was sent", async () => {
    const listener = new Listener();
    const { connection } = await accepted(listener);
    listener.send("control", encodeReceipt("received", { control: 1, data: 1, text: 0 }));
    await expect(connection.channels.control.receive()).rejects.toThrow("confirms 1 messages");
  });
});

describe("vectors", () => {
  const path = new URL("../../tests/vectors/receipts.txt", import.meta.url);
  const lines = readFileSync(path, "utf-8").split("\n\n")[1]?.trim().split("\n") ?? [];

  test.each(lines)("%s", (line) => {
    const [, name, verdict, message] = /^(received|resume) (ok|bad) (.*)$/.exec(line) ?? [];
    if (name === undefined || message === undefined) throw new Error(line);
    const read = () => readReceipt(name as "received" | "resume", message);
    if (verdict === "ok") expect(read()).toHaveProperty("control");
    else expect(read).toThrow();
  });
});
