/**
 * The content of entries, in order: the protocol reads it from frames, a sink writes it. Plain
 * values that can be posted to a worker. As `dcsend/content.py`. Imports nothing.
 */

/** Bytes in a buffer of their own or a part of one; the buffer may be transferred. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What all types of content have. */
interface Part {
  /** Place of the entry in the manifest, from 0. */
  readonly number: number;
  /** Bytes of the window to acknowledge when the content is written. */
  readonly cost: number;
}

/** Bytes of a file, `offset` bytes from its start. */
export interface Data extends Part {
  readonly type: "data";
  readonly offset: number;
  /** May be a view of the received message. */
  readonly payload: Bytes;
}

/** A run of zero bytes. */
export interface Hole extends Part {
  readonly type: "hole";
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

/** The last bytes of a file, often none, and the digest of all of them. */
export interface End extends Part {
  readonly type: "end";
  /** Bytes of the whole file, `payload` included. */
  readonly size: number;
  /** SHA-256 of the whole file, 32 bytes, as the sender computed it; in a buffer of its own. */
  readonly digest: Bytes;
  /** The last bytes; of a small file all bytes. */
  readonly payload: Bytes;
}

/** The sender has given the file up. */
export interface Abort extends Part {
  readonly type: "abort";
  /** From the sender; not safe to show. */
  readonly reason: string;
}

/** The sender has another file than the receiver has a part of: it follows from its start. */
export interface Restart extends Part {
  readonly type: "restart";
  /** Bytes that the receiver has, which are of no use. */
  readonly offset: number;
}

/** Bytes of a part that were changed on the receiver's disk, and have been sent again. */
export interface Repair extends Part {
  readonly type: "repair";
  readonly offset: number;
  /** Bytes; 0: the sender does not send the rest of what was asked for. */
  readonly length: number;
  /** Empty if they are zeros. */
  readonly payload: Bytes;
}

/** Content of entries, in the order of the frames. */
export type Content = Data | Hole | End | Abort | Restart | Repair;
