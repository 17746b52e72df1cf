/** Connections in memory that are lost, and the terminal's side, which makes them again. */
import { expect, vi } from "vitest";
import { ConnectionFailed, ConnectionLost, type DcsendError } from "../src/errors.ts";
import { LABELS, type Label } from "../src/peers/contract.ts";
import type { Message } from "../src/peers/receive_queue.ts";
import { encodeReceipt, isReceipt, readReceipt } from "../src/protocol/receipts.ts";
import type { Event } from "../src/session/events.ts";
import { LastingConnection } from "../src/session/lasting.ts";
import type { Redial } from "../src/session/ways_back.ts";
import { MemoryConnection } from "./memory-peers.ts";

export const HELLO =
  '{"type":"hello","versions":[1],"agent":"t","role":"sender","features":["reconnect"],"max_frame":65016}';

/** Messages of each channel and direction. */
export const COUNT = 100;

/** One end of a connection in memory that can be lost. */
export class MemoryLink extends MemoryConnection {
  isClosed = false;

  /** End this side without a message of the other one. */
  lose(error: DcsendError = new ConnectionLost("the connection was lost")): void {
    for (const label of LABELS) this.channels[label].end(error);
    this.isSilent = true;
  }

  override close(seconds = 0): void {
    this.lose(new ConnectionFailed("the connection is closed"));
    const close = () => {
      this.isClosed = true;
    };
    if (seconds > 0) setTimeout(close, seconds * 1000);
    else close();
  }
}

/** The terminal's side: the rules K-2 to K-9 in few words, and links that are cut. */
export class Listener {
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
export async function accepted(listener: Listener, hello = HELLO) {
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
export async function exchange(connection: LastingConnection, listener: Listener, count = COUNT) {
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
