/** A connection that goes on over another one: nothing is lost, repeated or in another order. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CodeUsed, ConnectionFailed, ConnectionLost, type DcsendError } from "../src/errors.ts";
import { LABELS, type Label } from "../src/peers/contract.ts";
import type { Message } from "../src/peers/receive_queue.ts";
import { encodeReceipt, isReceipt, readReceipt } from "../src/protocol/receipts.ts";
import type { Event } from "../src/session/events.ts";
import { LastingConnection, LIMIT, type Redial } from "../src/session/lasting.ts";
import { MemoryConnection } from "./memory-peers.ts";

const HELLO =
  '{"type":"hello","versions":[1],"agent":"t","role":"sender","features":["reconnect"],"max_frame":65016}';

/** Messages of each channel and direction. */
const COUNT = 100;

/** One end of a connection in memory that can be lost. */
class MemoryLink extends MemoryConnection {
  isClosed = false;

  /** End this side without a message of the other one. */
  lose(error: DcsendError = new ConnectionLost("the connection was lost")): void {
    for (const label of LABELS) this.channels[label].end(error);
    this.isSilent = true;
  }

  override close(): void {
    this.isClosed = true;
    this.lose(new ConnectionFailed("the connection is closed"));
  }
}

/** The terminal's side: the rules K-2 to K-9 in few words, and links that are cut. */
class Listener {
  readonly sent: Record<Label, Message[]> = { control: [], data: [], text: [] };
  readonly arrived: Record<Label, Message[]> = { control: [], data: [], text: [] };
  readonly receipts: string[] = [];
  readonly links: MemoryLink[] = [];
  /** Whether a dial succeeds. */
  isThere = true;
  refusal: DcsendError | null = null;
  dials = 0;
  /** The first message on `control` of a next connection, in place of Resume. */
  first = "";
  readonly #cuts: number[];
  #link: MemoryLink | null = null;

  /** `cuts`: after how many messages each connection is lost; those after the last one are not. */
  constructor(cuts: readonly number[] = []) {
    this.#cuts = [...cuts];
  }

  /** Return the dialer's end of a new connection. */
  pair(): MemoryLink {
    let left = this.#cuts.shift() ?? Number.POSITIVE_INFINITY;
    const ends: MemoryLink[] = [];
    const filter = (message: Message) => {
      left -= 1;
      if (left < 0) for (const end of ends) end.lose();
      return message;
    };
    const [ours, theirs] = [new MemoryLink(filter), new MemoryLink(filter)];
    ends.push(ours, theirs);
    ours.join(theirs);
    this.links.push(ours);
    if (this.#link === null) this.#use(theirs);
    else void this.#resume(theirs);
    return ours;
  }

  /** The attempts without an answer, and the most at once. */
  open = 0;
  most = 0;
  /** Seconds of each part of a handshake. */
  delay = 0;

  readonly redial: Redial = async (patience, signal) => {
    this.dials += 1;
    if (this.refusal !== null) throw this.refusal;
    if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay * 1000));
    if (this.isThere && !signal.aborted) return this.pair();
    this.open += 1;
    this.most = Math.max(this.most, this.open);
    await new Promise((resolve) => {
      signal.addEventListener("abort", resolve);
      setTimeout(resolve, patience * 1000);
    });
    this.open -= 1;
    throw new ConnectionFailed("no answer");
  };

  send(label: Label, message: Message): void {
    this.sent[label].push(message);
    this.#put(label, message);
  }

  #put(label: Label, message: Message): void {
    try {
      this.#link?.channels[label].send(message);
    } catch {} // it is sent again
  }

  #use(link: MemoryLink): void {
    this.#link = link;
    for (const label of LABELS) void this.#read(link, label);
  }

  async #read(link: MemoryLink, label: Label): Promise<void> {
    try {
      for (;;) {
        const message = await link.channels[label].receive();
        if (link !== this.#link) return;
        if (label === "control" && isReceipt(message)) this.receipts.push(message);
        else this.arrived[label].push(message);
      }
    } catch {} // it was lost
  }

  async #resume(link: MemoryLink): Promise<void> {
    try {
      const theirs = readReceipt("resume", await link.channels.control.receive());
      const { control, data, text } = this.arrived;
      const counts = { control: control.length, data: data.length, text: text.length };
      link.channels.control.send(this.first || encodeReceipt("resume", counts));
      this.#use(link);
      for (const label of LABELS) {
        for (const message of this.sent[label].slice(theirs[label])) this.#put(label, message);
      }
    } catch {} // it was lost
  }
}

/** A connection after Hello and Accept. */
async function accepted(listener: Listener, hello = HELLO) {
  const events: Event[] = [];
  const connection = new LastingConnection(listener.pair(), listener.redial);
  connection.report((event) => events.push(event));
  listener.send("control", hello);
  expect(connection.channels.control.send(hello)).toBe(true);
  expect(await connection.channels.control.receive()).toBe(hello);
  connection.accepted();
  return { connection, events };
}

const numbered = (number: number) => `${number}`;

/** Send on each channel in both directions, and check what arrives. */
async function exchange(connection: LastingConnection, listener: Listener, count = COUNT) {
  const numbers = Array.from({ length: count }, (_, number) => numbered(number));
  const send = async (label: Label) => {
    for (const message of numbers) {
      const channel = connection.channels[label];
      while (!channel.send(message)) await channel.writable();
    }
  };
  const receive = async (label: Label) => {
    const taken: Message[] = [];
    while (taken.length < count) taken.push(await connection.channels[label].receive());
    return taken;
  };
  for (const label of LABELS) for (const message of numbers) listener.send(label, message);
  const receiving = Promise.all(LABELS.map(receive));
  const sending = Promise.all(LABELS.map(send));
  await vi.advanceTimersByTimeAsync(120_000);
  expect(await receiving).toEqual(LABELS.map(() => numbers));
  await sending;
  await vi.advanceTimersByTimeAsync(60_000);
  for (const label of LABELS) {
    const hellos = label === "control" ? [HELLO] : [];
    expect(listener.arrived[label]).toEqual([...hellos, ...numbers]);
  }
}

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

  const INTERRUPTED = { type: "warning", kind: "interrupted", message: "", hint: "" };

  /** The first connection of a transfer that is silent from now on, and the others. */
  async function silent(listener = new Listener(), hasAccept = true) {
    const { connection, events } = await accepted(listener);
    if (hasAccept) {
      listener.send("control", "{}");
      await connection.channels.control.receive();
    }
    await vi.advanceTimersByTimeAsync(0);
    const [link] = listener.links;
    if (link === undefined) throw new Error("no link");
    link.isSilent = true;
    return { listener, connection, events, link };
  }

  test("is dialed again after 2 s of silence, while it is used", async () => {
    const { listener, connection, events } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(1999);
    expect(listener.dials).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(listener.dials).toBe(1);
    expect(connection.channels.data.send("still")).toBe(true);
    await vi.advanceTimersByTimeAsync(2900);
    expect([connection.isInterrupted, events]).toEqual([false, []]);
    expect(listener.arrived.data).toEqual(["still"]);
    await vi.advanceTimersByTimeAsync(200);
    expect([connection.isInterrupted, events]).toEqual([true, [INTERRUPTED]]);
    connection.close();
  });

  test("is dialed again after 5 s if the peer may not have the answer of this page", async () => {
    const { listener, connection } = await silent(new Listener(), false);
    await vi.advanceTimersByTimeAsync(4900);
    expect(listener.dials).toBe(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(listener.dials).toBe(1);
    connection.close();
  });

  test("is dialed again before 5 s at most three times in a minute, if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    const fall = async (seconds: number) => {
      link.isSilent = true;
      await vi.advanceTimersByTimeAsync(seconds * 1000);
      link.isSilent = false;
      await vi.advanceTimersByTimeAsync(1000);
      return listener.dials;
    };
    const dials: number[] = [];
    for (let time = 0; time < 4; time += 1) dials.push(await fall(3));
    expect(dials).toEqual([1, 2, 3, 3]);
    expect(await fall(5)).toBe(4);
    expect(events).toEqual([INTERRUPTED]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await fall(3)).toBe(5);
    connection.close();
  });

  test("a refusal ends nothing while the path may answer", async () => {
    const { listener, connection, link } = await silent();
    listener.refusal = new CodeUsed("the code was used");
    await vi.advanceTimersByTimeAsync(4900);
    expect(listener.dials).toBe(2);
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(3);
    link.isSilent = false;
    await exchange(connection, listener, 10);
    connection.close();
  });

  test("is dialed each 2 s, at most two at once, though none is answered", async () => {
    const { listener, connection } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(2000);
    for (let dials = 1; dials < 30; dials += 1) {
      expect(listener.dials).toBe(dials);
      await vi.advanceTimersByTimeAsync(2000);
    }
    expect(listener.most).toBe(2);
    connection.close();
  });

  test("another connection takes over within 5 s without a warning", async () => {
    const { listener, connection, events } = await silent();
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(1);
    expect(connection.link).toBe(listener.links[1]);
    await exchange(connection, listener, 10);
    expect([listener.dials, events]).toEqual([1, []]);
    connection.close();
  });

  test("gives the attempts up if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(4500);
    expect([listener.dials, listener.open]).toEqual([2, 2]);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(listener.open).toBe(0);
    await exchange(connection, listener, 10);
    expect([listener.dials, events, connection.link]).toEqual([2, [], link]);
    connection.close();
  });

  test("sends no Resume if the path has answered during the handshake of another one", async () => {
    const { listener, connection, link } = await silent();
    listener.delay = 0.1;
    await vi.advanceTimersByTimeAsync(2000);
    expect(listener.dials).toBe(1);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(110);
    expect(listener.links[1]?.isClosed).toBe(true);
    await exchange(connection, listener, 10);
    expect([listener.dials, connection.link]).toEqual([1, link]);
    connection.close();
  });

  test("goes on after it was interrupted, if the path answers", async () => {
    const { listener, connection, events, link } = await silent();
    listener.isThere = false;
    await vi.advanceTimersByTimeAsync(9000);
    expect(connection.isInterrupted).toBe(true);
    link.isSilent = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(connection.isInterrupted).toBe(false);
    await exchange(connection, listener, 10);
    expect(events).toEqual([INTERRUPTED]);
    connection.close();
  });

  test("is not dialed again while messages are acknowledged, though nothing else arrives", async () => {
    const { listener, connection, link } = await silent();
    let [acknowledged, sent] = [2, 2];
    const { send } = link.channels.control;
    link.channels.control.send = (message) => {
      sent += 1;
      setTimeout(() => {
        acknowledged = sent;
      }, 800);
      return send.call(link.channels.control, message);
    };
    link.received = async () => acknowledged;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(listener.dials).toBe(0);
    expect(listener.receipts.length).toBeLessThan(40);
    connection.close();
  });

  test("is dialed again at once after the page was suspended", async () => {
    const { listener, connection } = await silent();
    await vi.advanceTimersByTimeAsync(250);
    const now = vi.spyOn(performance, "now");
    const later = performance.now() + 60_000;
    now.mockImplementation(() => later);
    await vi.advanceTimersByTimeAsync(250);
    expect(listener.dials).toBe(1);
    now.mockRestore();
    connection.close();
  });

  /** Let the next connection of a listener have a control channel that carries nothing. */
  function clogNext(listener: Listener): void {
    const { pair } = listener;
    listener.pair = () => {
      const link = pair.call(listener);
      link.channels.control.clog();
      listener.pair = pair;
      return link;
    };
  }

  test("ends the other attempts when one has connected", async () => {
    const { listener, connection } = await silent();
    clogNext(listener);
    listener.delay = 3;
    await vi.advanceTimersByTimeAsync(8500);
    expect([listener.dials, listener.links.length]).toEqual([4, 2]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(connection.link).toBe(listener.links[2]);
    connection.close();
  });

  test("a later connection takes over from one on which Resume is not answered", async () => {
    const { listener, connection } = await silent();
    clogNext(listener);
    await vi.advanceTimersByTimeAsync(2000);
    expect([listener.dials, connection.isInterrupted]).toEqual([1, true]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(connection.link).toBe(listener.links[2]);
    expect(listener.links[1]?.isClosed).toBe(true);
    await exchange(connection, listener, 10);
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
