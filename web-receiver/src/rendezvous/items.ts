/**
 * The content of sealed messages: descriptions, candidates, the end of either. As
 * `dcsend/rendezvous/items.py`, which has the layout.
 *
 * Items of unknown types are ignored. The input has been authenticated, and is validated all the
 * same.
 *
 * Must not import anything of src/ but `description`, `errors`, `bytes` and `signaling/blob`.
 */
import type { Candidate, Description } from "../description.ts";
import { LocalProtocolError, MalformedCode, RemoteProtocolError } from "../errors.ts";
import { pack, packCandidate, unpack, unpackCandidate } from "../signaling/blob.ts";
import { type Bytes, concat } from "./bytes.ts";

/** Bytes of the value of a bye, at most. */
export const MAX_BYE = 200;

const HEAD_SIZE = 3;
const PRIORITY_SIZE = 4;
const LARGEST_PRIORITY = 2 ** 31 - 1;
/** How the NAT of a side maps addresses (RFC 4787, 4.1), by its byte. */
const MAPPINGS = ["unknown", "none", "endpoint-independent", "address-dependent"] as const;
/** Whether UDP leaves the network of a side, by its byte. */
const UDP = ["unknown", "works", "blocked"] as const;

/** What a side has found out about its network, for the message when no path is found. */
export interface Network {
  readonly kind: "network";
  readonly mapping: (typeof MAPPINGS)[number];
  readonly udp: (typeof UDP)[number];
}

/** The side ends the attempt. */
export interface Bye {
  readonly kind: "bye";
  /** As in Cancel: `interrupted`, `error`, …; without NUL, not empty. */
  readonly reason: string;
  /** Text for people, untrusted; without NUL. At most MAX_BYE bytes with the reason and a NUL. */
  readonly message: string;
}

/** One item of a message. */
export type Item =
  | { readonly kind: "description"; readonly description: Description }
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  /** No more candidates follow (RFC 8838, 8.2). */
  | { readonly kind: "end" }
  | Bye
  | Network;

/**
 * Return the plaintext of a message, without padding. Throws LocalProtocolError for an item that has
 * no binary form.
 */
export function encode(items: readonly Item[]): Bytes {
  const encoded = items.map((item) => {
    const [type, value] = encodeOne(item);
    return Uint8Array.of(type, value.length >> 8, value.length & 0xff, ...value);
  });
  return concat(...encoded);
}

function encodeOne(item: Item): readonly [type: number, value: Uint8Array | number[]] {
  switch (item.kind) {
    case "description":
      return [1, packed(item.description)];
    case "candidate":
      return [2, encodeCandidate(item.candidate)];
    case "end":
      return [3, []];
    case "bye":
      return [4, encodeBye(item)];
    case "network":
      return [5, [MAPPINGS.indexOf(item.mapping), UDP.indexOf(item.udp)]];
  }
}

function packed(description: Description): Bytes {
  try {
    return pack(description);
  } catch (error) {
    if (!(error instanceof MalformedCode)) throw error;
    throw new LocalProtocolError(`the description can't be sent: ${error.message}`);
  }
}

function encodeCandidate(candidate: Candidate): number[] {
  const bytes = packCandidate(candidate);
  const { priority } = candidate;
  if (bytes.length === 0 || !(priority > 0 && priority <= LARGEST_PRIORITY)) {
    throw new LocalProtocolError("the candidate has no binary form");
  }
  return [...bytes, ...[24, 16, 8, 0].map((shift) => (priority >> shift) & 0xff)];
}

function encodeBye({ reason, message }: Bye): Bytes {
  const value = new TextEncoder().encode(`${reason}\0${message}`);
  const nuls = value.filter((byte) => byte === 0).length;
  if (value.length > MAX_BYE || nuls > 1 || reason === "") {
    throw new LocalProtocolError("the reason or the message of a bye is invalid");
  }
  return value;
}

/**
 * Read the plaintext of a message, with or without padding. Throws RemoteProtocolError if an item is
 * malformed or the padding is not zero, and IncompatibleVersion for a description of another
 * version.
 */
export function decode(plaintext: Uint8Array): Item[] {
  const items: Item[] = [];
  let position = 0;
  while (position < plaintext.length && plaintext[position] !== 0) {
    const [type = 0, high = 0, low = 0] = plaintext.subarray(position, position + HEAD_SIZE);
    const start = position + HEAD_SIZE;
    position = start + ((high << 8) | low);
    if (position > plaintext.length) {
      throw new RemoteProtocolError("a sealed message ends within an item");
    }
    const item = decodeOne(type, plaintext.slice(start, position));
    if (item !== null) items.push(item);
  }
  if (plaintext.subarray(position).some((byte) => byte !== 0)) {
    throw new RemoteProtocolError("the padding of a sealed message is not zero");
  }
  return items;
}

/** Return an item; null if its type is unknown. */
function decodeOne(type: number, value: Bytes): Item | null {
  switch (type) {
    case 1:
      return decodeDescription(value);
    case 2:
      return decodeCandidate(value);
    case 3:
      if (value.length > 0) throw new RemoteProtocolError("the end of candidates has a value");
      return { kind: "end" };
    case 4:
      return decodeBye(value);
    case 5:
      return decodeNetwork(value);
    default:
      return null;
  }
}

function decodeDescription(value: Bytes): Item {
  try {
    return { kind: "description", description: unpack(value) };
  } catch (error) {
    if (!(error instanceof MalformedCode)) throw error;
    throw new RemoteProtocolError(`the description is invalid: ${error.message}`);
  }
}

function decodeCandidate(value: Bytes): Item {
  const end = Math.max(0, value.length - PRIORITY_SIZE);
  const candidate = unpackCandidate(value.slice(0, end));
  const priority = value.subarray(end).reduce((sum, byte) => sum * 256 + byte, 0);
  if (candidate === null || priority === 0 || priority > LARGEST_PRIORITY) {
    throw new RemoteProtocolError("a candidate is invalid");
  }
  return { kind: "candidate", candidate: { ...candidate, priority } };
}

function decodeBye(value: Bytes): Item {
  let parts: string[] = [];
  try {
    parts = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value).split("\0");
  } catch {
    // Not UTF-8.
  }
  const [reason = "", message = ""] = parts;
  if (value.length > MAX_BYE || parts.length !== 2 || reason === "") {
    throw new RemoteProtocolError("a bye is invalid");
  }
  return { kind: "bye", reason, message };
}

function decodeNetwork(value: Bytes): Item {
  if (value.length !== 2) {
    throw new RemoteProtocolError(`the facts of a network have ${value.length} bytes`);
  }
  const [mapping = 0, udp = 0] = value;
  return {
    kind: "network",
    mapping: MAPPINGS[mapping] ?? "unknown",
    udp: UDP[udp] ?? "unknown",
  };
}
