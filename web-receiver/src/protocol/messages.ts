/**
 * The control messages: their fields and their JSON form.
 *
 * `decode` validates every field and throws RemoteProtocolError for a violation. `encode` decodes
 * its own result, so that no message is sent that a peer would have to refuse. Must not import files
 * or peers.
 */
import type { Entry, LeftOut } from "../entry.ts";
import { IncompatibleVersion, LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import { printable } from "../printable.ts";
import { DEVICE_NAME } from "./device.ts";
import { AMOUNT, entryFields, readEntry } from "./entries.ts";
import * as limits from "./limits.ts";
import {
  array,
  BOOLEAN,
  byNumber,
  checkDepth,
  choice,
  DIGESTS,
  type Digest,
  Fields,
  integer,
  LONE_SURROGATE,
  parse,
  type Shape,
  text,
  utf8Length,
  type Values,
} from "./strict.ts";

/** Feature of a peer in a browser, which ends a silent connection by itself. */
export const BROWSER = "browser";
/** Feature of a sender that sends bytes again which were changed on the receiver's disk. */
export const AGAIN = "again";
/** Feature of a sender that begins anew with a peer that has lost its state. */
export const ANEW = "anew";
/** Feature of a side that can go on over another connection. */
export const RECONNECT = "reconnect";
/** Feature of a sender that takes another window from Ack, and fits its frames to it. */
export const WINDOW = "window";
export const ROLES = ["sender", "receiver"] as const;
export const SKIP_REASONS = [
  "exists",
  "same",
  "unsafe",
  "declined",
  "unsupported",
  "failed",
] as const;
export const DECLINE_REASONS = [
  "declined",
  "destination",
  "unsupported",
  "error",
  "interrupted",
  "timeout",
  "dry-run",
] as const;
export const STATUSES = ["ok", "mismatch", "failed"] as const;
export const CANCEL_REASONS = [
  "interrupted",
  "error",
  "protocol",
  "version",
  "integrity",
  "destination",
  "source",
  "timeout",
] as const;

export type Role = (typeof ROLES)[number];
export type DeclineReason = (typeof DECLINE_REASONS)[number];
export type Status = (typeof STATUSES)[number];
export type CancelReason = (typeof CANCEL_REASONS)[number];

/** The first message of either side. */
export interface Hello {
  readonly type: "hello";
  /** Protocol versions that the program supports, 1 to 16 of them. */
  readonly versions: readonly number[];
  /** Name and version of the program, at most 128 code points; shown, never interpreted. */
  readonly agent: string;
  readonly role: Role;
  /** Optional capabilities, at most 64; unknown ones are ignored. */
  readonly features: readonly string[];
  /** Bytes of the longest data message that it accepts, 1024 or more; `max_frame` on the wire. */
  readonly maxFrame: number;
  /** Name that people use for the device, see DEVICE_NAME; empty for none. */
  readonly name: string;
}

/** Everything that the sender offers; a long one is divided into several messages. */
export interface Manifest {
  readonly type: "manifest";
  /** Numbered from 0, counted over all Manifest messages. */
  readonly entries: readonly Entry[];
  /** Whether no other Manifest follows. */
  readonly last: boolean;
  /** What the sender found and does not offer; only in the last message, missing for nothing. */
  readonly leftOut?: LeftOut;
}

/** The receiver accepts files; a long one is divided into several messages. */
export interface Accept {
  readonly type: "accept";
  /** Bytes of data messages that may be in flight; the same in each message. */
  readonly window: number;
  /** [entry number, one of SKIP_REASONS]. */
  readonly skip: readonly (readonly [number, string])[];
  /** [file number, bytes that the receiver already holds]. */
  readonly have: readonly (readonly [number, number])[];
  /** Whether no other Accept follows. */
  readonly last: boolean;
  /** [file number, offset, SHA-256 of the bytes before it in hex]; not used by the page as a sender. */
  readonly digests?: readonly Digest[];
}

/** The receiver declines the offer. */
export interface Decline {
  readonly type: "decline";
  readonly reason: DeclineReason;
  /** For people, at most 500 code points. */
  readonly message: string;
}

/** Content is written, so that more may be sent. */
export interface Ack {
  readonly type: "ack";
  /** Bytes of data messages since the beginning, headers included. */
  readonly bytes: number;
  /** How many may be in flight from now on; missing: as before. */
  readonly window?: number;
}

/** The results of files. */
export interface Verdict {
  readonly type: "verdict";
  /** [file number, status]; each file once. */
  readonly files: readonly (readonly [number, Status])[];
}

/** Bytes that the receiver had were changed on its disk: they are to be sent again. */
export interface Again {
  readonly type: "again";
  /** Number of the file. */
  readonly file: number;
  /** Offset of the first byte. */
  readonly from: number;
  /** Offset of the byte after the last. */
  readonly to: number;
}

/** The last message of the receiver. */
export interface Complete {
  readonly type: "complete";
  /** Whether every accepted entry is ok. */
  readonly ok: boolean;
  /** Number of files and texts with the status ok. */
  readonly files: number;
  /** Sum of their sizes. */
  readonly bytes: number;
}

/** The disk, the source or the pipe of this side has not finished yet. */
export interface Working {
  readonly type: "working";
}

/** The sender has received Complete or Decline; both sides may close. */
export interface Bye {
  readonly type: "bye";
}

/** The transfer ends; from either side, at any time before Complete. */
export interface Cancel {
  readonly type: "cancel";
  readonly reason: CancelReason;
  /** For people, at most 500 code points. */
  readonly message: string;
}

export type Message =
  | Hello
  | Manifest
  | Accept
  | Decline
  | Ack
  | Verdict
  | Working
  | Again
  | Complete
  | Bye
  | Cancel;

/**
 * Return the JSON text of a message.
 *
 * Throws LocalProtocolError: the message contains something that a peer must refuse.
 */
export function encode(message: Message): string {
  const encoded = JSON.stringify(wireForm(message));
  try {
    const decoded = decode(encoded);
    // A name that is not valid and an unknown reason are read as something else, without an error.
    if (message.type !== "manifest" && JSON.stringify(wireForm(decoded)) !== encoded) {
      throw new RemoteProtocolError("a peer would read something else");
    }
  } catch (error) {
    const rule = error instanceof RemoteProtocolError ? error.message : "";
    throw new LocalProtocolError(`can't send this ${message.type}: ${rule}`);
  }
  return encoded;
}

/**
 * Read a message of the control channel.
 *
 * Throws RemoteProtocolError: it breaks a rule of PROTOCOL.md.
 */
export function decode(encoded: string): Message {
  const values = parse(encoded);
  const name = values.get("type");
  if (!isType(name)) {
    const shown = typeof name === "string" ? printable(name.slice(0, 40)) : "none";
    throw new RemoteProtocolError(`unknown message type: ${shown}`);
  }
  // Entries have a depth of their own.
  checkDepth(name, values, name === "manifest" ? "entries" : "");
  return READERS[name](new Fields(name, values));
}

/**
 * Return the role of a peer from its first message.
 *
 * Throws RemoteProtocolError: it is not a Hello.
 */
export function peekRole(message: string | Uint8Array): Role {
  const hello = typeof message === "string" ? decode(message) : null;
  if (hello?.type === "hello") return hello.role;
  throw new RemoteProtocolError("the first message is no hello");
}

/** Return the features of a peer from its first message; none if that is not a Hello. */
export function helloFeatures(message: string | Uint8Array): readonly string[] {
  try {
    const hello = typeof message === "string" ? decode(message) : null;
    return hello?.type === "hello" ? hello.features : [];
  } catch {
    return []; // the protocol reports it
  }
}

/** Return the highest version that both sides support. Throws IncompatibleVersion: none. */
export function chooseVersion(hello: Hello): number {
  const common = hello.versions.filter((version) => limits.VERSIONS.includes(version));
  if (common.length > 0) return Math.max(...common);
  const theirs = hello.versions.join(", ");
  throw new IncompatibleVersion(
    `the other side supports protocol version ${theirs}, this side ${limits.VERSIONS.join(", ")}`,
  );
}

/** Return the text, cut to what Cancel and Decline may contain. */
export function clip(explanation: string): string {
  const unicode = explanation.replace(new RegExp(LONE_SURROGATE, "gu"), "\ufffd");
  return [...unicode].slice(0, limits.MAX_MESSAGE).join("");
}

/** Return the bytes of the path and the target of an entry in UTF-8. */
export function namesOf({ path, target }: Entry): number {
  return utf8Length(path) + (target === "" ? 0 : utf8Length(target));
}

/** Divide all entries into messages of about 48 KiB, or of one entry that is longer. */
export function* splitManifest(entries: Iterable<Entry>): Generator<Manifest> {
  let part: Entry[] = [];
  let room = limits.SPLIT_CONTROL;
  for (const entry of entries) {
    const cost = utf8Length(JSON.stringify(entryFields(entry))) + 1;
    if (part.length > 0 && cost > room) {
      yield { type: "manifest", entries: part, last: false };
      part = [];
      room = limits.SPLIT_CONTROL;
    }
    part.push(entry);
    room -= cost;
  }
  yield { type: "manifest", entries: part, last: true };
}

/** Divide the answer to an offer into messages of at most 1000 pairs and 256 digests. */
export function* splitAccept(
  window: number,
  skip: ReadonlyMap<number, string>,
  have: ReadonlyMap<number, number>,
  digests: readonly Digest[] = [],
): Generator<Accept> {
  const skips = [...skip];
  const haves = [...have];
  const of = (number: number) => digests.filter(([file]) => file === number);
  const longest = Math.max(1, ...haves.map(([number]) => of(number).length));
  // Digests are in the message of their file.
  const most = digests.length > 0 ? Math.floor(limits.MAX_DIGESTS / longest) : Number.MAX_VALUE;
  let last: boolean;
  do {
    const some = skips.splice(0, limits.PAIRS_PER_MESSAGE);
    const parts = haves.splice(0, Math.min(limits.PAIRS_PER_MESSAGE - some.length, most));
    const their = parts.flatMap(([number]) => of(number));
    last = skips.length + haves.length === 0;
    const accept = { type: "accept", window, skip: some, have: parts, last } as const;
    yield their.length > 0 ? { ...accept, digests: their } : accept;
  } while (!last);
}

/** Divide verdicts into messages of at most 1000 pairs. */
export function* splitVerdict(files: Verdict["files"]): Generator<Verdict> {
  for (let start = 0; start < files.length; start += limits.PAIRS_PER_MESSAGE) {
    yield { type: "verdict", files: files.slice(start, start + limits.PAIRS_PER_MESSAGE) };
  }
}

// --- the JSON form

function wireForm(message: Message): object {
  if (message.type === "manifest") {
    const { leftOut, ...others } = message;
    return { ...others, entries: message.entries.map(entryFields), left_out: leftOut };
  }
  if (message.type !== "hello") return message;
  const { maxFrame, name, ...others } = message;
  return { ...others, max_frame: maxFrame, name: name || undefined };
}

// --- the values that each field may have

const MESSAGE = text(limits.MAX_MESSAGE);
const POSITIVE = integer(1, limits.MAX_SAFE);
const VERSIONS = array(1, limits.MAX_VERSIONS, integer(1, limits.MAX_VERSION));
const FEATURES = array(0, limits.MAX_FEATURES, text(limits.MAX_FEATURE));
const AGENT = text(limits.MAX_AGENT);
const ROLE = choice(ROLES);
const FRAME = integer(limits.MIN_FRAME, limits.MAX_FRAME_LIMIT);
const OBJECT: Shape<Values> = {
  name: "an object",
  fits: (value): value is Values => value instanceof Map,
};
const ENTRIES = array(0, limits.MAX_ENTRIES, OBJECT);
const HAVE = byNumber(0, POSITIVE);
const COUNT = integer(0, limits.MAX_ENTRIES);
const NUMBER = integer(0, limits.MAX_ENTRIES - 1);

/** One function for each message: fields in, message out. */
const READERS: {
  readonly [type in Message["type"]]: (fields: Fields) => Message;
} = {
  hello(fields) {
    return {
      type: "hello",
      versions: fields.read("versions", VERSIONS),
      agent: fields.read("agent", AGENT),
      role: fields.read("role", ROLE),
      features: fields.read("features", FEATURES),
      maxFrame: fields.read("max_frame", FRAME),
      // It is only shown: an invalid one must not end the transfer.
      name: fields.lenient("name", DEVICE_NAME),
    };
  },
  manifest(fields) {
    const entries = fields.read("entries", ENTRIES).map(readEntry);
    const last = readLast(fields, entries.length);
    return { type: "manifest", entries, last, ...readLeftOut(fields, last) };
  },
  accept(fields) {
    const window = fields.read("window", POSITIVE);
    const skip = fields.reasonsByNumber("skip", 0, SKIP_REASONS, "failed");
    const have = fields.read("have", HAVE);
    const last = readLast(fields, skip.length + have.length);
    const digests = fields.has("digests") ? { digests: fields.read("digests", DIGESTS) } : {};
    return { type: "accept", window, skip, have, last, ...digests };
  },
  decline(fields) {
    const reason = fields.reason("reason", DECLINE_REASONS, "error");
    return { type: "decline", reason, message: fields.read("message", MESSAGE) };
  },
  ack(fields) {
    const window = fields.has("window") ? { window: fields.read("window", POSITIVE) } : {};
    return { type: "ack", bytes: fields.read("bytes", AMOUNT), ...window };
  },
  verdict(fields) {
    return {
      type: "verdict",
      files: fields.reasonsByNumber("files", 1, STATUSES, "failed"),
    };
  },
  again(fields) {
    const from = fields.read("from", AMOUNT);
    const to = fields.read("to", integer(from + 1, limits.MAX_SAFE));
    return { type: "again", file: fields.read("file", NUMBER), from, to };
  },
  complete(fields) {
    return {
      type: "complete",
      ok: fields.read("ok", BOOLEAN),
      files: fields.read("files", COUNT),
      bytes: fields.read("bytes", AMOUNT),
    };
  },
  working() {
    return { type: "working" };
  },
  bye() {
    return { type: "bye" };
  },
  cancel(fields) {
    const reason = fields.reason("reason", CANCEL_REASONS, "error");
    return { type: "cancel", reason, message: fields.read("message", MESSAGE) };
  },
};

function isType(name: unknown): name is Message["type"] {
  return typeof name === "string" && Object.hasOwn(READERS, name);
}

/** Read whether this part is the last; an empty one must be. */
function readLast(fields: Fields, count: number): boolean {
  const last = fields.read("last", BOOLEAN);
  if (last || count > 0) return last;
  throw fields.refusal("last", "is false after nothing");
}

/** Read what is not offered; nothing where all counts are 0. */
function readLeftOut(manifest: Fields, last: boolean): Pick<Manifest, "leftOut"> {
  const values = manifest.optional("left_out", OBJECT);
  if (values === null) return {};
  const fields = new Fields("left_out", values);
  const count = (kind: keyof LeftOut) => fields.optional(kind, AMOUNT) ?? 0;
  const leftOut = {
    links: count("links"),
    others: count("others"),
    unreadable: count("unreadable"),
  };
  if (leftOut.links + leftOut.others + leftOut.unreadable === 0) return {};
  if (!last) throw manifest.refusal("left_out", "comes before the last message");
  return { leftOut };
}
