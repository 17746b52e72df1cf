/**
 * The interface of connected, ordered, reliable channels. As `dcsend/peers/contract.py`.
 *
 * test/check-channel.ts tests every implementation against it.
 */

/** The channels of every connection, in the order in which the dialer opens them. */
export const LABELS = ["control", "data", "text"] as const;

/** The label of one of the three channels. */
export type Label = (typeof LABELS)[number];

/**
 * Bytes received but not yet taken, for one channel. No browser can slow a peer down
 * (w3c/webrtc-pc#2086), so a peer that ignores the protocol's window is disconnected here.
 */
export const MAX_QUEUED = 32 * 1024 * 1024;

/** One ordered, reliable, bidirectional channel of messages (RFC 8831). */
export interface Channel {
  readonly label: Label;
  /** Bytes; the most that the peer accepts. */
  readonly maxMessageSize: number;
  /**
   * Queue a message, or return false and queue nothing because the buffer is full.
   * After false, await `writable()` and send the same message again. True promises nothing
   * about delivery. Throws ConnectionFailed when the connection has ended.
   */
  send(message: Uint8Array<ArrayBuffer> | string): boolean;
  /**
   * Resolve when `send` may succeed; possibly too early, never too late. Rejects with
   * ConnectionFailed.
   */
  writable(): Promise<void>;
  /**
   * Resolve to the next message; those that arrived before the end come first. One caller at a
   * time. Rejects with ConnectionFailed at the end, RemoteProtocolError past MAX_QUEUED.
   */
  receive(): Promise<Uint8Array<ArrayBuffer> | string>;
  /**
   * Resolve when a message waits for `receive`, which is not called meanwhile. Rejects as `receive`.
   */
  arrived(): Promise<void>;
}

/** The path of a connection. */
export interface Route {
  readonly path: "direct" | "relayed" | "memory";
  /** `IPv4`, `IPv6` or empty. */
  readonly family: string;
  /** The peer's address; empty if the browser does not report it, or only a random name for it. */
  readonly remote: string;
  /** Round trip in seconds; null if not measured yet. */
  readonly rtt: number | null;
}

/** A connected peer. */
export interface Connection {
  /** Features that it adds to Hello. */
  readonly features?: readonly string[];
  /** Whether nothing arrives from the peer at the moment, and that may change. */
  readonly isInterrupted?: boolean;
  /** Note that the transfer is accepted. */
  accepted?(): void;
  readonly channels: Readonly<Record<Label, Channel>>;
  /** Return the path that is used now. */
  route(): Promise<Route>;
  /** End the connection at once, and drop what is buffered; idempotent. */
  close(): void;
}

/** One of the connections of `session/lasting.ts`. */
export interface Link extends Connection {
  /**
   * Resolve to a number that rises when something arrives, on any channel or below them; to 0 while
   * the browser takes the path for lost.
   */
  received(): Promise<number>;
  /** As `Connection.close`; the peer is notified `seconds` later, at once by default. */
  close(seconds?: number): void;
}
