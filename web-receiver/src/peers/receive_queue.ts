/** The receive queue of a channel. As `dcsend/peers/receive_queue.py`. */
import { type DcsendError, LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import { MAX_QUEUED } from "./contract.ts";

/** A message of a channel. */
export type Message = Uint8Array<ArrayBuffer> | string;

/** Bytes counted for a message besides its content, to limit the number of empty ones. */
const OVERHEAD = 64;

/** Messages taken before the array that holds them is cut; `shift` is slow in a long one. */
const MOST_TAKEN = 1024;

interface Waiter {
  readonly resolve: (message: Message) => void;
  readonly reject: (reason: DcsendError) => void;
}

/** A bounded queue with an end; the connection calls `put`, its user `get`. */
export class ReceiveQueue {
  #messages: Message[] = [];
  #taken = 0;
  #queued = 0;
  #end: DcsendError | null = null;
  #waiter: Waiter | null = null;
  /** Of `arrived`. */
  #wake = () => {};

  /** Add a message; past MAX_QUEUED, end the queue and drop its messages. */
  put(message: Message): void {
    if (this.#end !== null) return;
    if (this.#waiter !== null) {
      this.#waiter.resolve(message);
      this.#waiter = null;
      return;
    }
    this.#queued += message.length + OVERHEAD;
    if (this.#queued > MAX_QUEUED) {
      this.#messages = [];
      this.#taken = 0;
      this.end(new RemoteProtocolError("the peer sends faster than it was allowed to"));
      return;
    }
    this.#messages.push(message);
    this.#wake();
  }

  /** Make `get` reject with `reason` once the queue is empty; the first reason stays. */
  end(reason: DcsendError): void {
    if (this.#end !== null) return;
    this.#end = reason;
    this.#waiter?.reject(reason);
    this.#waiter = null;
    this.#wake();
  }

  /** Resolve when there is a message for `get`; reject if there will be none. One caller. */
  async arrived(): Promise<void> {
    if (this.#messages[this.#taken] === undefined && this.#end === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#messages[this.#taken] === undefined && this.#end !== null) throw this.#end;
  }

  /** Resolve to the next message, or reject with the reason of the end. One caller at a time. */
  get(): Promise<Message> {
    const message = this.#messages[this.#taken];
    if (message !== undefined) {
      this.#take(message);
      return Promise.resolve(message);
    }
    if (this.#end !== null) return Promise.reject(this.#end);
    if (this.#waiter !== null) {
      return Promise.reject(new LocalProtocolError("two wait for one channel"));
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  #take(message: Message): void {
    this.#queued -= message.length + OVERHEAD;
    this.#messages[this.#taken++] = "";
    if (this.#taken === this.#messages.length || this.#taken === MOST_TAKEN) {
      this.#messages.splice(0, this.#taken);
      this.#taken = 0;
    }
  }
}
