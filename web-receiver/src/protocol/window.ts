/**
 * The window: the bytes of data messages that may be in flight.
 *
 * SCTP does not slow a sender down when the receiver's disk is slow, so the protocol does. Both sides
 * count alike: the sender to wait, the receiver to detect a violation. Imports nothing.
 */

/** Bytes of data messages sent and acknowledged, headers included. */
export class Window {
  /**
   * Bytes that may be in flight. One frame of any length may be if nothing else is: otherwise a small
   * window would stop the transfer.
   */
  size: number;
  /** Bytes that have been sent. */
  sent = 0;
  /** Bytes that are acknowledged. */
  acknowledged = 0;

  constructor(size: number) {
    this.size = size;
  }

  /** Let `size` bytes be in flight at most; no effect if it was less. */
  shrink(size: number): void {
    this.size = Math.min(this.size, size);
  }

  /** Let `size` bytes be in flight from now on; there may be more at present. */
  resize(size: number): void {
    this.size = size;
  }

  /** Return whether a data message of `cost` bytes may be sent now. */
  allows(cost: number): boolean {
    const inFlight = this.sent - this.acknowledged;
    return inFlight === 0 || inFlight + cost <= this.size;
  }

  /** Return the bytes that may be sent now; at least `frame` if nothing is in flight. */
  room(frame: number): number {
    const inFlight = this.sent - this.acknowledged;
    return inFlight > 0 ? Math.max(0, this.size - inFlight) : Math.max(this.size, frame);
  }

  /** Count a data message that is sent. */
  send(cost: number): void {
    this.sent += cost;
  }

  /** Return what is wrong with `total` as the next acknowledgement; empty if nothing is. */
  fault(total: number): string {
    if (total < this.acknowledged) return `acknowledges ${total} bytes after ${this.acknowledged}`;
    if (total > this.sent) return `acknowledges ${total} bytes, only ${this.sent} were sent`;
    return "";
  }

  /** Record `total` bytes since the beginning as acknowledged. */
  acknowledge(total: number): void {
    this.acknowledged = total;
  }
}
