/**
 * One RTCDataChannel of the browser, with the interface of contract.ts.
 */
import { ConnectionFailed, type DcsendError } from "../errors.ts";
import { MAX_MESSAGE_SIZE } from "./answer.ts";
import type { Channel, Label } from "./contract.ts";
import { type Message, ReceiveQueue } from "./receive_queue.ts";

/**
 * Bytes in the browser's buffer from which `send` returns false. Chromium's limit is 16 MiB, and
 * all of them are sent before a later message, such as Cancel.
 */
const HIGH_WATER = 4 * 1024 * 1024;

/** Bytes in the buffer at which `writable` resolves. */
const LOW_WATER = 1024 * 1024;

/**
 * Milliseconds before the next attempt if a channel refuses although its buffer is nearly empty.
 */
const RETRY = 20;

/** One RTCDataChannel. */
export class BrowserChannel implements Channel {
  readonly label: Label;
  maxMessageSize = MAX_MESSAGE_SIZE;
  readonly #channel: RTCDataChannel;
  readonly #queue = new ReceiveQueue();
  #waiting: (() => void)[] = [];
  #refused = false;
  #end: DcsendError | null = null;

  /** `changed` is called when the channel has opened, and when it has ended. */
  constructor(
    label: Label,
    channel: RTCDataChannel,
    changed: (channel: BrowserChannel, isOver: boolean) => void,
  ) {
    this.label = label;
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_WATER;
    // From the beginning: messages without a handler are lost.
    channel.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) =>
      this.#queue.put(typeof data === "string" ? data : new Uint8Array(data));
    channel.onbufferedamountlow = () => this.#wake();
    channel.onopen = () => changed(this, false);
    channel.onclose = channel.onerror = () => changed(this, true);
  }

  /** `closed` as soon as it has ended for any reason. */
  get state(): RTCDataChannelState {
    return this.#end === null ? this.#channel.readyState : "closed";
  }

  send(message: Message): boolean {
    if (this.#end !== null) throw this.#end;
    if (this.#channel.bufferedAmount >= HIGH_WATER) return false;
    try {
      // One call for each type, as the DOM types require; the browser copies the bytes.
      if (typeof message === "string") this.#channel.send(message);
      else this.#channel.send(message);
      return true;
    } catch (error) {
      if ((error as Error).name !== "OperationError") {
        throw new ConnectionFailed(`the browser can't send: ${error}`);
      }
      this.#refused = true;
      return false;
    }
  }

  writable(): Promise<void> {
    if (this.#end !== null) return Promise.reject(this.#end);
    const { bufferedAmount } = this.#channel;
    if (bufferedAmount < HIGH_WATER && !this.#refused) return Promise.resolve();
    // The event fires when the amount falls to the mark, not if it is already below it.
    if (bufferedAmount <= LOW_WATER) setTimeout(() => this.#wake(), RETRY);
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

  /** Note how many bytes the peer accepts in one message. */
  limit(size: number): void {
    this.maxMessageSize = size;
  }

  /**
   * End both directions; messages that have arrived can still be received. The first reason stays.
   */
  end(reason: DcsendError): void {
    this.#end ??= reason;
    this.#queue.end(reason);
    this.#wake();
  }

  #wake(): void {
    this.#refused = false;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
