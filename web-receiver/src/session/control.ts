/**
 * The control channel of either half: the protocol's messages go in and out in order, whoever has
 * made them, up to the last word. Imports engine and protocol types, leaves, session.
 */
import type { Channel, Connection, Route } from "../engines/base.ts";
import type { DcsendError } from "../errors.ts";
import type { Event } from "../protocol/events.ts";
import { WORKING_SECONDS } from "../protocol/limits.ts";
import type { Side } from "../protocol/side.ts";
import { cancelReason, peerCancelled, type Tally } from "./outcome.ts";

type Message = Uint8Array | string;

/** What was there before a half was: the connection, its peer's first message, its route. */
export interface Meeting {
  readonly connection: Connection;
  readonly hello: Message;
  readonly route: Route;
  /** Told whenever something comes, on whatever channel. */
  readonly heard: () => void;
  /** Gives the peer a minute for its next step; `missed` completes "the other side …". */
  readonly expect: (missed: string) => void;
  /** Gives the peer as much time as it takes. */
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
  readonly #meeting: Meeting;
  readonly #channel: Channel;
  readonly #side: Side;
  readonly #role: "sender" | "receiver";
  readonly #tally: Tally;
  #sent: Promise<void> = Promise.resolve();
  #followed: Promise<void> = Promise.resolve();
  #toldUs = false;

  constructor(meeting: Meeting, side: Side, role: "sender" | "receiver", tally: Tally) {
    this.#meeting = meeting;
    this.#channel = meeting.connection.channels.control;
    this.#side = side;
    this.#role = role;
    this.#tally = tally;
  }

  /** Ends with the last message of the peer, or its fault. */
  get followed(): Promise<void> {
    return this.#followed;
  }

  /** Whether all files are judged: nothing can be cancelled any more. */
  get lastWordSaid(): boolean {
    return this.#side.state === "completed" || this.#side.state === "done";
  }

  /**
   * Say hello and follow the peer, from its Hello on, until `handle` says that it is the end; call
   * `taken` after each message.
   */
  follow(handle: (event: Event) => boolean, taken: () => void): Promise<void> {
    this.#side.start();
    this.#followed = this.#follow(handle, taken);
    return this.#followed;
  }

  /** Send what the protocol wants to send; in order, whoever calls. */
  flush(): Promise<void> {
    const messages = this.#side.messagesToSend();
    this.#sent = this.#sent.then(() => sendAll(this.#channel, messages));
    return this.#sent;
  }

  /** Say now and then that this side is what the peer waits for, while `works`; until it is over. */
  reassure(works: () => boolean): () => void {
    const timer = setInterval(() => {
      if (!works()) return;
      this.#side.working();
      // A lost connection is told by the control channel.
      this.flush().catch(() => undefined);
    }, WORKING_SECONDS * 1000);
    return () => clearInterval(timer);
  }

  /** Tell the peer why we stop, and wait until it has hung up; not if it told us. */
  async farewell(error: DcsendError): Promise<void> {
    this.#side.cancel(cancelReason(error), error.message);
    await this.flush();
    if (this.#toldUs) return;
    const over = await this.#followed.then(
      () => true,
      () => false,
    );
    while (!over) await this.#channel.receive();
  }

  /** Tell the peer, before this call returns, that the page is going away; if there is room. */
  leave(message: string): void {
    this.#side.cancel("interrupted", message);
    try {
      for (const text of this.#side.messagesToSend()) this.#channel.send(text);
    } catch {
      // Nobody is there to be told.
    }
  }

  async #follow(handle: (event: Event) => boolean, taken: () => void): Promise<void> {
    for (let message = this.#meeting.hello; ; message = await this.#channel.receive()) {
      this.#meeting.heard();
      for (const event of this.#side.receive(message)) {
        if (this.#attend(event) || handle(event)) return;
      }
      taken();
      await this.flush();
    }
  }

  /** Deal with what means the same to both halves. */
  #attend(event: Event): false {
    if (event.type === "cancelled") {
      this.#toldUs = true;
      throw peerCancelled(event.reason, event.message);
    }
    if (event.type === "peer-introduced") {
      const { path, family, remote: address, rtt } = this.#meeting.route;
      const role = this.#role;
      this.#tally.emit({ type: "connected", path, family, address, peer: event.agent, rtt, role });
    }
    return false;
  }
}
