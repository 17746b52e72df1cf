/**
 * The seams inside a sink: one thing that is written (Output), and where things are put (Place).
 *
 * Everything here is the worker's side. Imports types only.
 */
import type { Entry } from "../../entry.ts";
import type { Export } from "../operations.ts";

/** Bytes whose buffer may be posted elsewhere. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** One thing that is written from its first byte to its last. Calls are made one after another. */
export interface Output {
  /** The name it will have. */
  readonly saved: string;
  /** Append `pieces`; resolve when they are written. They belong to the output from now on. */
  write(pieces: readonly Bytes[]): Promise<void>;
  /** Append `length` zeros, which take neither room nor memory if that can be avoided. */
  skip(length: number): Promise<void>;
  /** It is complete: put it in place. */
  finish(): Promise<void>;
  /** Remove what there is of it. Never rejects; may come while another call is under way. */
  discard(): Promise<void>;
}

/** An output that may have to be handed to the browser's downloads. */
export interface Target extends Output {
  /** After finish(): what is left to hand over; nothing after discard(). */
  exports(): Promise<readonly Export[]>;
}

/** Where the files of one manifest are put. */
export interface Place {
  /** Files are safe only when all are: their good outcomes wait for finish(). */
  readonly withholds: boolean;
  /** Why nothing in it can be completed any more; empty while all is well. */
  readonly spoiled: string;
  /** Begin the file `entry`, whose name has not been judged yet. */
  open(entry: Entry): Promise<Output>;
  /** Make the folder `entry`. */
  makeFolder(entry: Entry): Promise<void>;
  /** All is there: return what is left to hand to the downloads. */
  finish(): Promise<readonly Export[]>;
  /** Remove what isn't finished. Never rejects. */
  discard(): Promise<void>;
}

/** `pieces` as one, without a copy if there is but one. */
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
