/**
 * The interfaces inside a sink: a file that is written (Output), and where files are put (Place).
 * Used in the worker only.
 */
import type { Bytes } from "../../content.ts";
import type { Entry } from "../../entry.ts";
import type { Export } from "../contract.ts";

/** A file that is written from its first byte to its last. One call at a time. */
export interface Output {
  /** The name it will have. */
  readonly saved: string;
  /** Append `pieces`, which the output owns from now on; resolve when they are written. */
  write(pieces: readonly Bytes[]): Promise<void>;
  /** Append `length` zeros, which use neither disk nor memory where that is possible. */
  skip(length: number): Promise<void>;
  /** Put the complete file in place. */
  finish(): Promise<void>;
  /** Remove what was written, unless it stays as a part. Never rejects; may be called during another call. */
  discard(): Promise<void>;
}

/** An output that may go to the browser's downloads. */
export interface Target extends Output {
  /**
   * Return the files for the downloads: after finish() the complete one, after discard() none.
   * Never rejects.
   */
  exports(): Promise<readonly Export[]>;
}

/** Where the files of one manifest are put. */
export interface Place {
  /** Whether files are safe only when all are: their outcomes `ok` wait for finish(). */
  readonly withholds: boolean;
  /** Why nothing can be completed any more; empty otherwise. */
  readonly spoiled: string;
  /** Begin the file `entry`, whose name has not been validated yet. */
  open(entry: Entry): Promise<Output>;
  /** Create the folder `entry`. */
  makeFolder(entry: Entry): Promise<void>;
  /**
   * Return the complete file `output` if it goes to the downloads alone, without waiting for the
   * others. A place without this method returns all in finish().
   */
  handOver?(output: Output): Promise<Export | undefined>;
  /** End the place; return all files for the downloads. */
  finish(): Promise<readonly Export[]>;
  /** Remove unfinished files; return the complete ones for the downloads. Never rejects. */
  discard(): Promise<readonly Export[]>;
}

/** Return `pieces` as one; a single piece is not copied. */
export function joined(pieces: readonly Bytes[]): Bytes {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let position = 0;
  for (const piece of pieces) {
    whole.set(piece, position);
    position += piece.length;
  }
  return whole;
}
