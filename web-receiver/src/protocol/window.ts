/**
 * The window: how many bytes of data messages may be in flight.
 *
 * No browser slows a peer down by itself, so the protocol does. Both sides run the same arithmetic:
 * the sender to wait, the receiver to refuse who doesn't. Imports nothing.
 */

/** Bytes of data messages sent and acknowledged, headers included. */
export class Window {
  /**
   * How many bytes may be in flight. One frame always may, however long, when nothing else is:
   * otherwise a small window would stop it all.
   */
  size: number;
  /** Bytes that have been sent. */
  sent = 0;
  /** Bytes of them that are acknowledged. */
  acknowledged = 0;

  constructor(size: number) {
    this.size = size;
  }

  /** Say whether a data message of `cost` bytes may go now. */
  allows(cost: number): boolean {
    const inFlight = this.sent - this.acknowledged;
    return inFlight === 0 || inFlight + cost <= this.size;
  }

  /** Count the bytes that may go now; at least `frame` if nothing is in flight. */
  room(frame: number): number {
    const inFlight = this.sent - this.acknowledged;
    return inFlight > 0 ? Math.max(0, this.size - inFlight) : Math.max(this.size, frame);
  }

  /** Count a data message that goes. */
  send(cost: number): void {
    this.sent += cost;
  }

  /** Say what is wrong with `total` as the next acknowledgement; empty if nothing is. */
  fault(total: number): string {
    if (total < this.acknowledged) return `acknowledges ${total} bytes after ${this.acknowledged}`;
    if (total > this.sent) return `acknowledges ${total} bytes, only ${this.sent} were sent`;
    return "";
  }

  /** Take `total`, counted since the beginning, as written by the receiver. */
  acknowledge(total: number): void {
    this.acknowledged = total;
  }
}
