/**
 * Two connected peers in one process, with the interface of src/peers/contract.ts.
 *
 * In addition to a real network they can hold messages back, lose the connection, and change a
 * byte.
 */
import { ConnectionFailed, type DcsendError } from "../src/errors.ts";
import { type Channel, LABELS, type Label, type Link, type Route } from "../src/peers/contract.ts";
import { type Message, ReceiveQueue } from "../src/peers/receive_queue.ts";

/** Bytes on the way from which `send` returns false. */
const HIGH_WATER = 1024 * 1024;

/** Called with every message on its way; returns the one that arrives. */
export type Filter = (message: Message) => Message;

/** One end of a channel; messages arrive at the other end in a later microtask. */
export class MemoryChannel implements Channel {
  readonly label: Label;
  readonly maxMessageSize = 262_144;
  readonly #filter: Filter;
  readonly #queue = new ReceiveQueue();
  #peer: MemoryChannel = this;
  #inFlight = 0;
  #held: Message[] | null = null;
  #waiting: (() => void)[] = [];
  #end: DcsendError | null = null;

  constructor(label: Label, filter: Filter) {
    this.label = label;
    this.#filter = filter;
  }

  /** Make each the other end of the other. */
  join(peer: MemoryChannel): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  /** Hold every message sent from here until `unclog`. */
  clog(): void {
    this.#held ??= [];
  }

  /** Deliver messages again, the held ones first. */
  unclog(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const message of held) this.#deliver(message);
  }

  send(message: Message): boolean {
    if (this.#end !== null) throw this.#end;
    if (this.#inFlight >= HIGH_WATER) return false;
    this.#inFlight += message.length;
    // A copy, as on a network: either end may change its own.
    const sent = typeof message === "string" ? message : message.slice();
    queueMicrotask(() => this.#deliver(sent));
    return true;
  }

  writable(): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    if (this.#inFlight < HIGH_WATER) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => (this.#end === null ? resolve() : reject(this.#end)));
    });
  }

  receive(): Promise<Message> {
    return this.#queue.get();
  }

  arrived(): Promise<void> {
    return this.#queue.arrived();
  }

  /** End both directions of this end. */
  end(reason: DcsendError): void {
    this.#end ??= reason;
    this.#queue.end(reason);
    this.#wake();
  }

  #deliver(message: Message): void {
    if (this.#end !== null) return;
    if (this.#held !== null) {
      this.#held.push(message);
      return;
    }
    this.#inFlight -= message.length;
    if (this.#inFlight <= HIGH_WATER / 2) this.#wake();
    this.#peer.#queue.put(this.#filter(message));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** One end of a connection in memory. */
export class MemoryConnection implements Link {
  /** Whether nothing arrives; otherwise checks do all the time. */
  isSilent = false;
  readonly channels: Readonly<Record<Label, MemoryChannel>>;
  #peer: MemoryConnection = this;
  #received = 1;

  constructor(filter: Filter) {
    const [control, data, text] = LABELS;
    this.channels = {
      control: new MemoryChannel(control, filter),
      data: new MemoryChannel(data, filter),
      text: new MemoryChannel(text, filter),
    };
  }

  /** Make each the other end of the other. */
  join(peer: MemoryConnection): void {
    this.#peer = peer;
    peer.#peer = this;
    for (const label of LABELS) this.channels[label].join(peer.channels[label]);
  }

  async received(): Promise<number> {
    if (!this.isSilent) this.#received += 1;
    return this.#received;
  }

  async route(): Promise<Route> {
    return { path: "memory", family: "", remote: "", rtt: 0 };
  }

  /** End both ends, as a closed transport does. */
  close(): void {
    this.cut();
  }

  /** End both ends at once, without a message: a lost connection. */
  cut(): void {
    for (const label of LABELS) {
      this.channels[label].end(new ConnectionFailed("the connection is closed"));
      this.#peer.channels[label].end(new ConnectionFailed("the other side closed the connection"));
    }
  }
}

/** Return two connected ends. */
export function memoryPair(
  filter: Filter = (message) => message,
): [MemoryConnection, MemoryConnection] {
  const [left, right] = [new MemoryConnection(filter), new MemoryConnection(filter)];
  left.join(right);
  return [left, right];
}
