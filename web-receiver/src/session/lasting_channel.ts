/** One channel of a lasting connection. As `dcsend/session/lasting_channel.py`. */
import { RemoteProtocolError } from "../errors.ts";
import type { Channel, Label, Link } from "../peers/contract.ts";
import type { Message } from "../peers/receive_queue.ts";
import type { LastingConnection } from "./lasting.ts";

/** Bytes of a channel that the peer has not confirmed, after which it violates the protocol. */
const MAX_KEPT = 64 * 1024 * 1024;

/** One channel, which goes on over the next connection. */
export class LastingChannel implements Channel {
  readonly label: Label;
  readonly maxMessageSize: number;
  /** Messages that have arrived, over all connections. */
  received = 0;
  readonly #owner: LastingConnection;
  /** Messages that were sent, and are not confirmed. */
  #kept: Message[] = [];
  #size = 0;
  /** Messages that the peer has confirmed. */
  #confirmed = 0;
  /** Messages that are kept no more; those in `#kept` follow. */
  #released = 0;
  /** Of those in `#kept`, the number to be sent over this connection, too; the last ones. */
  #again = 0;
  /** A message that came while another connection was about to take over. */
  #held: { readonly link: Link; readonly message: Message } | null = null;

  constructor(owner: LastingConnection, { label, maxMessageSize }: Channel) {
    this.#owner = owner;
    this.label = label;
    this.maxMessageSize = maxMessageSize;
  }

  send(message: Message): boolean {
    const owner = this.#owner;
    owner.check();
    if (!owner.isUsable || this.#again > 0) return false;
    const { link } = owner;
    try {
      const isSent = link.channels[this.label].send(message);
      if (isSent && owner.keeps) this.#keep(message);
      return isSent;
    } catch (error) {
      owner.ended(link, error);
      return false;
    }
  }

  async writable(): Promise<void> {
    const owner = this.#owner;
    await owner.usable();
    const { link } = owner;
    if (this.#again > 0) return owner.changed();
    try {
      await link.channels[this.label].writable();
    } catch (error) {
      owner.ended(link, error);
    }
  }

  async receive(): Promise<Message> {
    const owner = this.#owner;
    for (;;) {
      if (this.#held === null) {
        await owner.usable();
        const { link } = owner;
        try {
          this.#held = { link, message: await link.channels[this.label].receive() };
        } catch (error) {
          owner.ended(link, error);
          continue;
        }
      }
      // Not awaited otherwise: Resume must not be sent between this and the count.
      while (owner.isUndecided) await owner.changed();
      const { link, message } = this.#held;
      this.#held = null;
      // The peer sends it again if it came over a former connection.
      if (link !== owner.link || owner.takes(this.label, message)) continue;
      this.received += 1;
      owner.arrived(message);
      return message;
    }
  }

  arrived(): Promise<void> {
    return this.#owner.link.channels[this.label].arrived();
  }

  #keep(message: Message): void {
    if (this.label === "control" && !this.#owner.lasts) {
      // An offer may be long. The peer has received it if it accepts.
      this.#released += 1;
      return;
    }
    this.#kept.push(message);
    this.#size += message.length;
    if (this.#size > MAX_KEPT) {
      this.#owner.end(new RemoteProtocolError("the peer does not confirm what it receives"));
    }
  }

  // --- for the connection

  /** Keep nothing: the peer can't connect again. */
  forget(): void {
    this.#kept = [];
  }

  /** Note that the peer has received `count` messages since the beginning. */
  confirm(count: number): void {
    const more = count - this.#released;
    if (count < this.#confirmed || more > this.#kept.length - this.#again) {
      throw new RemoteProtocolError(`the peer confirms ${count} messages of ${this.label}`);
    }
    this.#confirmed = count;
    if (more <= 0) return;
    this.#released = count;
    for (const { length } of this.#kept.splice(0, more)) this.#size -= length;
  }

  /** Send again everything that is not confirmed. */
  rewind(): void {
    this.#again = this.#kept.length;
  }

  /** Send over `link` what it has not been sent over. */
  async sendAgain(link: Link): Promise<void> {
    const channel = link.channels[this.label];
    while (this.#again > 0 && this.#owner.link === link) {
      const message = this.#kept[this.#kept.length - this.#again];
      if (message === undefined || channel.send(message)) this.#again -= 1;
      else await channel.writable();
    }
  }
}
