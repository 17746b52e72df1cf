/** A link with both codes: src/session/either.ts. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CodeUsed, ConnectionFailed, type DcsendError, Interrupted } from "../src/errors.ts";
import type { Connection } from "../src/peers/contract.ts";
import { either, HEAD_START } from "../src/session/either.ts";
import { type MemoryConnection, memoryPair } from "./memory-peers.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** One of the two ways: a connection that the test opens, or an error that it raises. */
class Way {
  isBegun = false;
  isEnded = false;
  readonly here: MemoryConnection;
  readonly there: MemoryConnection;
  connected: () => void = () => undefined;
  failed: (error: DcsendError) => void = () => undefined;
  readonly connect = (signal: AbortSignal): Promise<Connection> => {
    this.isBegun = true;
    signal.addEventListener("abort", () => {
      this.isEnded = true;
      this.failed(new Interrupted("the attempt was cancelled"));
    });
    return new Promise((resolve, reject) => {
      this.connected = () => resolve(this.here);
      this.failed = reject;
    });
  };

  constructor() {
    [this.here, this.there] = memoryPair();
  }

  /** Whether this side has closed the connection. */
  get isClosed(): boolean {
    try {
      this.there.channels.text.send("");
      return false;
    } catch {
      return true;
    }
  }

  hello(): void {
    this.connected();
    this.there.channels.control.send("hello");
  }
}

function started() {
  const [dial, join, leaving] = [new Way(), new Way(), new AbortController()];
  const state: { connection?: Connection; error?: DcsendError } = {};
  either(dial.connect, join.connect, leaving.signal).then(
    (connection) => {
      state.connection = connection;
    },
    (error) => {
      state.error = error;
    },
  );
  return { dial, join, leaving, state };
}

const later = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

test("a dial that connects uses no short code", async () => {
  const { dial, join, state } = started();
  dial.hello();
  await later(10);
  expect(state.connection).toBe(dial.here);
  expect([join.isBegun, dial.isClosed]).toEqual([false, false]);
  expect(await dial.here.channels.control.receive()).toBe("hello");
});

test("the short code is used when the dial has not connected after its head start", async () => {
  const { dial, join, state } = started();
  await later(HEAD_START - 0.1);
  expect(join.isBegun).toBe(false);
  await later(0.2);
  join.hello();
  await later(0);
  expect(state.connection).toBe(join.here);
  expect([dial.isEnded, join.isEnded]).toEqual([true, false]);
});

test("a dial that fails begins the other attempt at once", async () => {
  const { dial, join } = started();
  dial.failed(new ConnectionFailed("no answer"));
  await later(0);
  expect(join.isBegun).toBe(true);
});

test("of two connections, the one with the first message is used and the other closed", async () => {
  const { dial, join, state } = started();
  await later(2);
  dial.connected();
  join.hello();
  await later(0);
  expect(state.connection).toBe(join.here);
  expect([dial.isClosed, join.isClosed]).toEqual([true, false]);
});

test("of two connections whose first messages arrive at once, one is used and the other closed", async () => {
  const { dial, join, state } = started();
  await later(2);
  dial.connected();
  join.connected();
  await later(0);
  for (const way of [dial, join]) way.there.channels.control.send("hello");
  await later(0);
  const used = state.connection === dial.here ? dial : join;
  expect(state.connection).toBe(used.here);
  expect(used.isClosed).toBe(false);
  expect((used === dial ? join : dial).isClosed).toBe(true);
});

test("a connection that the listener closes before its first message does not end the other", async () => {
  const { dial, join, state } = started();
  await later(2);
  dial.connected();
  dial.there.cut();
  await later(0);
  expect(state).toEqual({});
  join.hello();
  await later(0);
  expect(state.connection).toBe(join.here);
});

test("a connection without a message is used after a while", async () => {
  const { dial, state } = started();
  dial.connected();
  await later(4.9);
  expect(state.connection).toBeUndefined();
  await later(0.2);
  expect(state.connection).toBe(dial.here);
});

test("a dial that finds the code used ends both at once", async () => {
  const { dial, join, state } = started();
  dial.failed(new CodeUsed("another device has used the code"));
  await later(10);
  expect(state.error).toBeInstanceOf(CodeUsed);
  expect(join.isBegun).toBe(false);
});

test("the error of both states what each has tried", async () => {
  const { dial, join, state } = started();
  await later(2);
  join.failed(new ConnectionFailed("the server can't be reached", "check the network"));
  await later(1);
  expect(state).toEqual({});
  dial.failed(new ConnectionFailed("no answer from 192.168.1.7", "open the port"));
  await later(0);
  expect(state.error?.message).toBe(
    "the server can't be reached; directly: no answer from 192.168.1.7",
  );
  expect(state.error?.hint).toBe("check the network");
});

test("stopping ends both", async () => {
  const { dial, join, leaving, state } = started();
  await later(2);
  leaving.abort();
  await later(0);
  expect([dial.isEnded, join.isEnded]).toEqual([true, true]);
  expect(state.error).toBeInstanceOf(Interrupted);
});
