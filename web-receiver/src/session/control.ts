/**
 * The control channel of a transfer, for both halves: protocol messages in order, up to the end. As
 * `dcsend/session/control.py`.
 */

import type { DcsendError } from "../errors.ts";
import type { Channel, Connection, Route } from "../peers/contract.ts";
import type { Event } from "../protocol/events.ts";
import { BROWSER } from "../protocol/messages.ts";
import type { Side } from "../protocol/side.ts";
import { WORKING_SECONDS } from "./liveness.ts";
import { firstMessage } from "./meeting.ts";
import { cancelReason, peerCancelled, type Tally } from "./outcome.ts";

type Message = Uint8Array | string;

/** A connected peer: what is there before a half of a transfer is. */
export interface ConnectedPeer {
  readonly connection: Connection;
  /** The peer's Hello; null if this side sends its own first. */
  readonly hello: Message | null;
  readonly route: Route;
  /** Called for each message that arrives, on any channel. */
  readonly noteArrival: () => void;
  /**
   * Sets the deadline of the peer's next step to 60 s from now; `missed` completes "the other side
   * …".
   */
  readonly expect: (missed: string) => void;
  /** Removes that deadline. */
  readonly lift: () => void;
}

/** Send in order, waiting for room as often as it takes. */
export async function sendAll(channel: Channel, messages: readonly string[]): Promise<void> {
  for (const message of messages) {
    while (!channel.send(message)) await channel.writable();
  }
}

/** Carries the messages of one side of the protocol. */
export class Control {
  readonly #peer: ConnectedPeer;
  readonly #channel: Channel;
  readonly #side: Side;
  readonly #role: "sender" | "receiver";
  readonly #tally: Tally;
  #sent: Promise<void> = Promise.resolve();
  #followed: Promise<void> = Promise.resolve();
  #peerEnded = false;

  constructor(peer: ConnectedPeer, side: Side, role: "sender" | "receiver", tally: Tally) {
    this.#peer = peer;
    this.#channel = peer.connection.channels.control;
    this.#side = side;
    this.#role = role;
    this.#tally = tally;
  }

  /** Settles with the last message of the peer; rejects if the peer has broken a rule. */
  get followed(): Promise<void> {
    return this.#followed;
  }

  /** Whether every file has a verdict: the transfer can no longer be cancelled. */
  get isComplete(): boolean {
    return this.#side.state === "completed" || this.#side.state === "done";
  }

  /**
   * Send Hello, and process the peer's messages, its Hello first, until `handle` returns true.
   * `taken` is called after each message. Rejects with a DcsendError.
   */
  follow(handle: (event: Event) => boolean, taken: () => void): Promise<void> {
    this.#side.start(this.#peer.connection.features);
    this.#followed = this.#follow(handle, taken);
    return this.#followed;
  }

  /** Send what the protocol has queued; calls keep their order. */
  flush(): Promise<void> {
    const messages = this.#side.messagesToSend();
    this.#sent = this.#sent.then(() => sendAll(this.#channel, messages));
    return this.#sent;
  }

  /** Send Working in intervals while `works`; return a function that ends this. */
  reassure(works: () => boolean): () => void {
    const timer = setInterval(() => {
      if (!works()) return;
      this.#side.working();
      // `follow` reports a lost connection.
      this.flush().catch(() => undefined);
    }, WORKING_SECONDS * 1000);
    return () => clearInterval(timer);
  }

  /** Send Cancel, and wait until the peer closes, unless the peer has ended the transfer. */
  async cancel(error: DcsendError): Promise<void> {
    this.#side.cancel(cancelReason(error), error.message);
    await this.flush();
    if (this.#peerEnded) return;
    const over = await this.#followed.then(
      () => true,
      () => false,
    );
    while (!over) await this.#channel.receive();
  }

  /** Send Cancel before this call returns, if there is room: the page is being closed. */
  leave(message: string): void {
    this.#side.cancel("interrupted", message);
    try {
      for (const text of this.#side.messagesToSend()) this.#channel.send(text);
    } catch {
      // The connection is lost: there is no peer to inform.
    }
  }

  async #follow(handle: (event: Event) => boolean, taken: () => void): Promise<void> {
    let message = this.#peer.hello;
    if (message === null) {
      await this.flush();
      message = await firstMessage(this.#peer.connection);
    }
    for (; ; message = await this.#channel.receive()) {
      this.#peer.noteArrival();
      for (const event of this.#side.receive(message)) {
        if (this.#attend(event) || handle(event)) return;
      }
      taken();
      await this.flush();
    }
  }

  /** Process what means the same to both halves. */
  #attend(event: Event): false {
    if (event.type === "cancelled") {
      this.#peerEnded = true;
      throw peerCancelled(event.reason, event.message);
    }
    if (event.type === "peer-introduced") {
      const { path, family, remote: address, rtt } = this.#peer.route;
      const role = this.#role;
      const { agent: peer, name, features } = event;
      const isBrowser = features.includes(BROWSER);
      const there = { path, family, address, peer, name, isBrowser, rtt };
      this.#tally.emit({ type: "connected", ...there, role });
    }
    return false;
  }
}
