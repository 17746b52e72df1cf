/**
 * What happened: the values that `Sender.receive` and `Receiver.receive…` return.
 *
 * Past tense and immutable. Text in them is as the peer sent it: `printable()` it before it is
 * shown. Imports only types.
 */
import type { Entry } from "../entry.ts";
import type { Bytes } from "./frames.ts";
import type { CancelReason, DeclineReason, Status } from "./messages.ts";

/** The peer's Hello came, and it fits. */
export interface PeerIntroduced {
  readonly type: "peer-introduced";
  /** Name and version of its program. */
  readonly agent: string;
  /** The protocol version that both use from now on. */
  readonly version: number;
  /** Optional abilities it named, known or not. */
  readonly features: readonly string[];
}

/** The whole manifest is here: accept or decline it. */
export interface ManifestReceived {
  readonly type: "manifest-received";
  /** Everything that is offered; paths not yet judged safe. */
  readonly entries: readonly Entry[];
}

/** The receiver wants the files: send them. */
export interface Accepted {
  readonly type: "accepted";
  /** Entries it doesn't want, with one of SKIP_REASONS. */
  readonly skip: ReadonlyMap<number, string>;
  /** Where to start in files that it has the beginning of, in bytes. */
  readonly have: ReadonlyMap<number, number>;
}

/** The receiver wants none of it; nothing more happens. */
export interface Declined {
  readonly type: "declined";
  readonly reason: DeclineReason;
  /** For people; may be empty. */
  readonly message: string;
}

/** More may be sent. */
export interface Acknowledged {
  readonly type: "acknowledged";
  /** Bytes of data messages whose content the receiver has written. */
  readonly bytes: number;
}

/** The receiver said what became of a file. */
export interface FileJudged {
  readonly type: "file-judged";
  /** The entry's number. */
  readonly number: number;
  readonly status: Status;
}

/** The receiver's last word came: call `end`. */
export interface Completed {
  readonly type: "completed";
  /** Whether every accepted file is safe. */
  readonly ok: boolean;
  /** How many are. */
  readonly files: number;
  /** Their sizes, summed. */
  readonly bytes: number;
}

/** The peer ended it; nothing more happens. */
export interface Cancelled {
  readonly type: "cancelled";
  readonly reason: CancelReason;
  /** For people; may be empty. */
  readonly message: string;
}

/** The sender knows the receiver's last word; both may close. */
export interface PeerSaidBye {
  readonly type: "peer-said-bye";
}

/** Content to write. */
export interface DataReceived {
  readonly type: "data-received";
  /** The entry's number. */
  readonly number: number;
  /** Where it belongs, in bytes. */
  readonly offset: number;
  /** The content; a view into the message that was given in. */
  readonly payload: Bytes;
  /** What to pass to `Receiver.written` when it is written, in bytes. */
  readonly cost: number;
}

/** Zeros to leave out. */
export interface HoleReceived {
  readonly type: "hole-received";
  /** The entry's number. */
  readonly number: number;
  /** Where they begin, in bytes. */
  readonly offset: number;
  /** How many, in bytes. */
  readonly length: number;
  /** What to pass to `Receiver.written`, in bytes. */
  readonly cost: number;
}

/** The last content of a file: write it, compare the digest, give a verdict. */
export interface FileEnded {
  readonly type: "file-ended";
  /** The entry's number. */
  readonly number: number;
  /** Where the payload belongs, in bytes. */
  readonly offset: number;
  /** The last content, often empty; may be a view into the message that was given in. */
  readonly payload: Bytes;
  /** Length of the whole file, in bytes. */
  readonly size: number;
  /** SHA-256 of the whole file, 32 bytes; in a buffer of its own. */
  readonly digest: Bytes;
  /** What to pass to `Receiver.written` when it is written, in bytes. */
  readonly cost: number;
}

/** The sender gave a file up: give the verdict `failed`. */
export interface FileAborted {
  readonly type: "file-aborted";
  /** The entry's number. */
  readonly number: number;
  /** For people. */
  readonly reason: string;
  /** What to pass to `Receiver.written`, in bytes. */
  readonly cost: number;
}

export type FrameEvent = DataReceived | HoleReceived | FileEnded | FileAborted;

export type Event =
  | PeerIntroduced
  | ManifestReceived
  | Accepted
  | Declined
  | Acknowledged
  | FileJudged
  | Completed
  | Cancelled
  | PeerSaidBye;
