/**
 * Data frames: a 24-byte header, then the payload, as in PROTOCOL.md.
 *
 * Network byte order. The CRC covers the header, with its own field as zero, and all that follows.
 * This module has the layout only; `ledger` validates the order of frames, `window` their amount.
 */

import type { Bytes } from "../content.ts";
import { crc32 } from "../crc32.ts";
import { IntegrityError, LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import * as limits from "./limits.ts";

/** One frame that has arrived. */
export interface Frame {
  readonly kind: "data" | "hole" | "abort" | "batch" | "restart" | "again";
  /** Number of the entry; of a BATCH that of its first file. */
  readonly number: number;
  /** Offset of the content in the file, in bytes; of a BATCH the number of its files. */
  readonly offset: number;
  /**
   * Bytes of content; of a HOLE its zeros, of an ABORT the bytes of the reason. An AGAIN that has a
   * length and no payload is zeros; without a length it ends its range.
   */
  readonly length: number;
  /** Content or reason; a view into the message, not a copy. */
  readonly payload: Bytes;
  /**
   * SHA-256 of the whole file, with END only; of a BATCH those of all its files. A copy, not a view
   * into the message.
   */
  readonly digest: Bytes | null;
}

const DATA = 1;
const HOLE = 2;
const ABORT = 3;
/** Whole files; not sent by the page, which reads one file after the other. */
const BATCH = 4;
/** Not sent by the page, which does not compare what a receiver has. */
const RESTART = 5;
/** Type of a frame of bytes that are sent again. */
export const AGAIN_FRAME = 6;
/** Flag of a DATA frame that is the last of its file: the digest follows the payload. */
const END = 1;
const CRC_AT = 20;
const HEADER = limits.FRAME_HEADER;

const NO_CRC = new DataView(new ArrayBuffer(4));
const EMPTY: Bytes = new Uint8Array();
const reasons = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Make a DATA frame; with `digest` (32 bytes) it is the last of its file.
 *
 * Throws LocalProtocolError: it is empty and not the last, too long, or out of range.
 */
export function encodeData(
  number: number,
  offset: number,
  payload: Uint8Array,
  digest: Uint8Array | null = null,
): Bytes {
  const length = payload.length;
  const most = digest === null ? limits.MAX_PAYLOAD : limits.MAX_PAYLOAD_WITH_DIGEST;
  if (length > most) throw new LocalProtocolError(`payload of ${length} bytes is too long`);
  if (digest === null) {
    if (length > 0) return encode(DATA, 0, number, offset, length, payload);
    throw new LocalProtocolError("an empty data frame must be the last of its file");
  }
  if (digest.length === limits.DIGEST) {
    return encode(DATA, END, number, offset, length, payload, digest);
  }
  throw new LocalProtocolError(`digest of ${digest.length} bytes is not a SHA-256`);
}

/**
 * Make an AGAIN frame: content; with an empty payload the range is not sent.
 *
 * Throws LocalProtocolError: it is too long, or a number is out of range.
 */
export function encodeAgain(number: number, offset: number, payload: Uint8Array): Bytes {
  const { length } = payload;
  if (length <= limits.MAX_PAYLOAD) return encode(AGAIN_FRAME, 0, number, offset, length, payload);
  throw new LocalProtocolError(`payload of ${length} bytes is too long`);
}

/** Return the bytes of the window that a hole of `length` bytes takes. */
export function holeCost(length: number): number {
  return limits.FRAME_HEADER + Math.floor(length / limits.HOLE_UNIT);
}

/**
 * Make a HOLE frame: `length` zero bytes at `offset`.
 *
 * Throws LocalProtocolError: the length is not from 1 to 2^30, or a number is out of range.
 */
export function encodeHole(number: number, offset: number, length: number): Bytes {
  if (length >= 1 && length <= limits.MAX_HOLE) {
    return encode(HOLE, 0, number, offset, length, EMPTY);
  }
  throw new LocalProtocolError(`hole of ${length} bytes is not from 1 to ${limits.MAX_HOLE}`);
}

/**
 * Make an ABORT frame: the sender gives the file up at `offset`. A reason of more than 500 bytes is
 * cut between two characters.
 *
 * Throws LocalProtocolError: a number is out of range.
 */
export function encodeAbort(number: number, offset: number, reason: string): Bytes {
  const room = new Uint8Array(limits.MAX_MESSAGE);
  const { written } = new TextEncoder().encodeInto(reason, room);
  return encode(ABORT, 0, number, offset, written, room.subarray(0, written));
}

/**
 * Read a message of the data channel.
 *
 * Throws IntegrityError: its checksum is wrong. RemoteProtocolError: it breaks a rule of PROTOCOL.md.
 */
export function decodeFrame(message: Bytes): Frame {
  const size = message.length;
  if (size < HEADER || size > limits.MAX_FRAME) {
    throw new RemoteProtocolError(`data message of ${size} bytes is not a frame`);
  }
  const view = new DataView(message.buffer, message.byteOffset, size);
  // First, so that every damaged field is reported as damage.
  const crc = crc32(view, HEADER, size, crc32(NO_CRC, 0, 4, crc32(view, 0, CRC_AT)));
  if (crc !== view.getUint32(CRC_AT)) throw new IntegrityError("a frame was damaged on its way");
  const type = view.getUint8(0);
  const flags = view.getUint8(1);
  const number = view.getUint32(4);
  // Above MAX_SAFE it is not exact, but still above MAX_SAFE.
  const offset = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
  const length = view.getUint32(16);
  if (
    view.getUint16(2) !== 0 ||
    offset > limits.MAX_SAFE - length ||
    number >= limits.MAX_ENTRIES
  ) {
    throw new RemoteProtocolError("frame with a number out of range");
  }
  const ends = type === DATA && flags === END;
  const content = isBare(type, size) ? 0 : length;
  const kind = kindOf(type, length);
  const digests = type === BATCH ? offset : Number(ends);
  if (
    kind === null ||
    (flags !== 0 && !ends) ||
    (type === DATA && length === 0 && !ends) ||
    (type === BATCH && offset === 0) ||
    size !== HEADER + content + digests * limits.DIGEST
  ) {
    throw new RemoteProtocolError(
      `frame of type ${type} with flags ${flags} and a length of ${length} bytes`,
    );
  }
  const payload = message.subarray(HEADER, HEADER + content);
  if (kind === "abort") abortReason(payload);
  const digest = digests > 0 ? message.slice(HEADER + content) : null;
  return { kind, number, offset, length, payload, digest };
}

/** Read the reason of an ABORT frame. Throws RemoteProtocolError: it is not UTF-8. */
export function abortReason(payload: Uint8Array): string {
  try {
    return reasons.decode(payload);
  } catch {
    throw new RemoteProtocolError("reason of an abort frame is not UTF-8");
  }
}

/** Return the kind of a type; null if the type or the length is not valid. */
function kindOf(type: number, length: number): Frame["kind"] | null {
  if (type === DATA) return "data";
  if (type === BATCH) return "batch";
  if (type === RESTART && length === 0) return "restart";
  if (type === AGAIN_FRAME && length <= limits.MAX_HOLE) return "again";
  if (type === HOLE && length >= 1 && length <= limits.MAX_HOLE) return "hole";
  if (type === ABORT && length <= limits.MAX_MESSAGE) return "abort";
  return null;
}

/** Return whether a frame has no payload, although it may have a length. */
function isBare(type: number, size: number): boolean {
  return type === HOLE || (type === AGAIN_FRAME && size === HEADER);
}

function encode(
  type: number,
  flags: number,
  number: number,
  offset: number,
  length: number,
  payload: Uint8Array,
  digest: Uint8Array = EMPTY,
): Bytes {
  if (
    !(
      number >= 0 &&
      number < limits.MAX_ENTRIES &&
      offset >= 0 &&
      offset <= limits.MAX_SAFE - length
    )
  ) {
    throw new LocalProtocolError(`file number ${number} or offset ${offset} is out of range`);
  }
  const frame = new Uint8Array(HEADER + payload.length + digest.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, type);
  view.setUint8(1, flags);
  view.setUint32(4, number);
  view.setUint32(8, Math.floor(offset / 2 ** 32));
  view.setUint32(12, offset); // takes the lower 32 bits
  view.setUint32(16, length);
  frame.set(payload, HEADER);
  frame.set(digest, HEADER + payload.length);
  view.setUint32(CRC_AT, crc32(view, 0, frame.length));
  return frame;
}
