/** Both sides of a short code go on over other connections: nothing is lost, repeated or reordered. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectionFailed } from "../src/errors.ts";
import { LABELS, type Label } from "../src/peers/contract.ts";
import type { Message } from "../src/peers/receive_queue.ts";
import { encodeReceipt } from "../src/protocol/receipts.ts";
import type { Event } from "../src/session/events.ts";
import { LastingConnection } from "../src/session/lasting.ts";
import { HELLO, MemoryLink } from "./lost-links.ts";

const COUNT = 60;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000);

type Ends = [joiner: MemoryLink, allocator: MemoryLink];

/** A page that shows a code, and a page in which it was entered. */
class Both {
  readonly pairs: Ends[] = [];
  /** Whether the joiner meets the allocator. */
  meets = true;
  /** How often each waits at the moment, and has begun to. */
  waits = 0;
  begun = 0;
  readonly events: Event[] = [];
  readonly joiner: LastingConnection;
  readonly allocator: LastingConnection;
  readonly #cuts: number[];
  #take: ((link: MemoryLink) => void) | null = null;

  constructor(cuts: readonly number[] = []) {
    this.#cuts = [...cuts];
    const [joiner, allocator] = this.pair();
    const dial = async () => {
      if (!this.meets || this.#take === null) throw new ConnectionFailed("it does not wait");
      const [ours, theirs] = this.pair();
      this.#take(theirs);
      return ours;
    };
    this.joiner = new LastingConnection(joiner, dial);
    this.allocator = new LastingConnection(
      allocator,
      (_, signal) => this.#wait(signal),
      null,
      false,
      false,
    );
    this.allocator.report((event) => this.events.push(event));
  }

  /** Connect once more, as the joiner, which sends nothing. */
  dial(): MemoryLink {
    const [ours, theirs] = this.pair();
    if (this.#take === null) throw new Error("it does not wait");
    this.#take(theirs);
    return ours;
  }

  /** Return both ends of a new connection. */
  pair(): Ends {
    let left = this.#cuts.shift() ?? Number.POSITIVE_INFINITY;
    const filter = (message: Message) => {
      left -= 1;
      if (left < 0) for (const end of ends) end.lose();
      return message;
    };
    const ends: Ends = [new MemoryLink(filter), new MemoryLink(filter)];
    ends[0].join(ends[1]);
    this.pairs.push(ends);
    return ends;
  }

  #wait(signal: AbortSignal): Promise<MemoryLink> {
    if (this.#take !== null) return Promise.reject(new ConnectionFailed("it waits already"));
    this.waits += 1;
    this.begun += 1;
    return new Promise<MemoryLink>((resolve, reject) => {
      this.#take = resolve;
      signal.addEventListener("abort", () => reject(new ConnectionFailed("it is over")));
    }).finally(() => {
      this.waits -= 1;
      this.#take = null;
    });
  }

  /** Exchange Hello, and accept. */
  async accept(): Promise<this> {
    for (const one of [this.joiner, this.allocator]) {
      expect(one.channels.control.send(HELLO)).toBe(true);
    }
    for (const one of [this.joiner, this.allocator]) {
      expect(await one.channels.control.receive()).toBe(HELLO);
      one.accepted();
    }
    return this;
  }

  /** Exchange one message, so that a message of each side has arrived after Accept. */
  async greet(): Promise<this> {
    this.joiner.channels.control.send("{}");
    this.allocator.channels.control.send("{}");
    await this.joiner.channels.control.receive();
    await this.allocator.channels.control.receive();
    return this;
  }

  /** Silence, or end it, on the newest connection. */
  silence(isSilent = true): void {
    for (const end of this.pairs.at(-1) ?? []) end.isSilent = isSilent;
  }

  close(): void {
    this.joiner.close();
    this.allocator.close();
  }
}

/** Send on each channel in both directions, and check what arrives. */
async function exchange({ joiner, allocator }: Both, count = COUNT): Promise<void> {
  const numbers = Array.from({ length: count }, (_, number) => `${number}`);
  const send = async (from: LastingConnection, label: Label) => {
    for (const message of numbers) {
      while (!from.channels[label].send(message)) await from.channels[label].writable();
    }
  };
  const receive = async (at: LastingConnection, label: Label) => {
    const taken: Message[] = [];
    while (taken.length < count) taken.push(await at.channels[label].receive());
    return taken;
  };
  const ways = LABELS.flatMap((label) => [
    { from: joiner, to: allocator, label },
    { from: allocator, to: joiner, label },
  ]);
  const received = Promise.all(ways.map(({ to, label }) => receive(to, label)));
  const sent = Promise.all(ways.map(({ from, label }) => send(from, label)));
  await pass(150);
  expect(await received).toEqual(ways.map(() => numbers));
  await sent;
}

test.each(Array.from({ length: 40 }, (_, seed) => seed))(
  "nothing is lost, repeated or reordered wherever the connections are cut, seed %i",
  async (seed) => {
    let state = seed + 1;
    const random = (most: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % most;
    };
    const [first = 0, ...others] = Array.from({ length: 1 + random(8) }, () => random(3 * COUNT));
    const both = await new Both([4 + first, ...others]).accept();
    await exchange(both);
    both.close();
  },
);

test("the allocator takes over when Resume has arrived, and leaves the former connection open for the joiner", async () => {
  const both = await (await new Both().accept()).greet();
  const [[, former] = []] = both.pairs;
  both.meets = false;
  both.silence();
  const receiving = both.allocator.channels.text.receive();
  await pass(2.5);
  const link = both.dial();
  await pass(1);
  expect(both.allocator.link).toBe(former);
  expect(both.allocator.channels.data.send("still")).toBe(true);
  link.channels.control.send(encodeReceipt("resume", { control: 2, data: 0, text: 0 }));
  await pass(0.5);
  expect(both.allocator.link).toBe(both.pairs[1]?.[1]);
  expect(await link.channels.control.receive()).toMatch(/^{"type":"resume","control":2,/);
  link.channels.text.send("over the new one");
  await pass(0);
  expect(await Promise.race([receiving, pass(1)])).toBe("over the new one");
  expect(former?.isClosed).toBe(false);
  await pass(10);
  expect(former?.isClosed).toBe(true);
  both.close();
});

test("the allocator stays for 60 s after the path has answered, and takes a connection then", async () => {
  const both = await (await new Both().accept()).greet();
  both.meets = false;
  both.silence();
  await pass(3);
  expect([both.waits, both.begun]).toEqual([1, 1]);
  both.silence(false);
  await pass(58);
  expect([both.waits, both.events]).toEqual([1, []]);
  const link = both.dial();
  link.channels.control.send(encodeReceipt("resume", { control: 2, data: 0, text: 0 }));
  await pass(0.1);
  expect(both.allocator.link).toBe(both.pairs[1]?.[1]);
  await pass(3);
  expect(both.waits).toBe(0);
  both.close();
});

test("the allocator leaves 60 s after the path has answered, and waits again later", async () => {
  const both = await (await new Both().accept()).greet();
  both.meets = false;
  both.silence();
  await pass(3);
  both.silence(false);
  await pass(63);
  expect(both.waits).toBe(0);
  for (const gap of [3, 30]) {
    both.silence();
    await pass(3);
    both.silence(false);
    await pass(gap);
  }
  expect(both.waits).toBe(1);
  await pass(33);
  expect(both.waits).toBe(0);
  both.silence();
  await pass(6);
  both.silence(false);
  await pass(30);
  expect([both.allocator.isInterrupted, both.waits]).toEqual([false, 1]);
  both.silence();
  await pass(595);
  expect(both.events).toHaveLength(2); // one for each interruption
  expect(both.allocator.isInterrupted).toBe(true);
  expect(both.waits).toBe(1);
  await pass(10);
  expect(() => both.allocator.check()).toThrow("the connection was lost");
  both.close();
});

test("a connection without Resume is replaced by the next one at once", async () => {
  const both = await (await new Both().accept()).greet();
  both.meets = false;
  both.silence();
  await pass(2.5);
  both.dial();
  await pass(2);
  expect(both.waits).toBe(1);
  const link = both.dial();
  link.channels.control.send(encodeReceipt("resume", { control: 2, data: 0, text: 0 }));
  await pass(0.1);
  expect(both.allocator.link).toBe(both.pairs[2]?.[1]);
  expect(both.pairs[1]?.[1].isClosed).toBe(true);
  both.close();
});

test("a joiner that ends a new connection before it has used it is awaited", async () => {
  const both = await (await new Both().accept()).greet();
  both.meets = false;
  both.silence();
  await pass(2.5);
  const link = both.dial();
  link.channels.control.send(encodeReceipt("resume", { control: 2, data: 0, text: 0 }));
  await pass(0.1);
  const receiving = both.allocator.channels.control.receive();
  both.pairs[1]?.[1].lose(new ConnectionFailed("the other side closed the connection"));
  await pass(1);
  const next = both.dial();
  next.channels.control.send(encodeReceipt("resume", { control: 2, data: 0, text: 0 }));
  next.channels.control.send("more");
  await pass(1);
  expect(await receiving).toBe("more");
  both.close();
});

test("the allocator waits for 60 s only while the joiner may not have its answer", async () => {
  const both = await new Both().accept();
  both.meets = false;
  both.silence();
  await pass(64);
  expect(both.allocator.isInterrupted).toBe(true);
  await pass(3);
  expect(() => both.allocator.check()).toThrow("the connection was lost");
  both.close();
});
