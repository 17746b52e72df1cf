/**
 * Events: the values that `Sender.receive` and `Receiver.receive` return.
 *
 * Immutable. Text in them is as the peer sent it: pass it to `printable()` before it is shown.
 * Imports only types.
 */
import type { Entry, LeftOut } from "../entry.ts";
import type { CancelReason, DeclineReason, Status } from "./messages.ts";

/** A valid Hello of the peer has arrived. */
export interface PeerIntroduced {
  readonly type: "peer-introduced";
  /** Name and version of its program. */
  readonly agent: string;
  /** The protocol version of the connection. */
  readonly version: number;
  /** Its optional capabilities, known or not. */
  readonly features: readonly string[];
  /** Name of the device; empty for none. */
  readonly name: string;
}

/** The whole manifest has arrived: accept or decline it. */
export interface ManifestReceived {
  readonly type: "manifest-received";
  /** Everything that is offered; paths are not validated yet. */
  readonly entries: readonly Entry[];
  /** What the sender found and does not offer. */
  readonly leftOut: LeftOut;
}

/** The receiver has accepted: the files can be sent. */
export interface Accepted {
  readonly type: "accepted";
  /** Entries that it does not accept, each with one of SKIP_REASONS. */
  readonly skip: ReadonlyMap<number, string>;
  /** Offset at which to start each file that it has in part, in bytes. */
  readonly have: ReadonlyMap<number, number>;
}

/** The receiver has declined the offer; the transfer has ended. */
export interface Declined {
  readonly type: "declined";
  readonly reason: DeclineReason;
  /** For people; may be empty. */
  readonly message: string;
}

/** The receiver has written more content. */
export interface Acknowledged {
  readonly type: "acknowledged";
  /** Bytes of data messages whose content the receiver has written. */
  readonly bytes: number;
}

/** The status of a file has arrived. */
export interface VerdictReceived {
  readonly type: "verdict-received";
  /** The entry's number. */
  readonly number: number;
  readonly status: Status;
}

/** The receiver needs bytes again: see `Sender.asked`. */
export interface AskedAgain {
  readonly type: "asked-again";
}

/** Complete has arrived: call `end`. */
export interface Completed {
  readonly type: "completed";
  /** Whether every accepted entry is ok. */
  readonly ok: boolean;
  /** Number of files and texts with the status ok. */
  readonly files: number;
  /** Sum of their sizes. */
  readonly bytes: number;
}

/** The peer has cancelled; the transfer has ended. */
export interface Cancelled {
  readonly type: "cancelled";
  readonly reason: CancelReason;
  /** For people; may be empty. */
  readonly message: string;
}

/** The sender has received Complete or Decline; both sides may close. */
export interface PeerSaidBye {
  readonly type: "peer-said-bye";
}

export type Event =
  | PeerIntroduced
  | ManifestReceived
  | Accepted
  | Declined
  | Acknowledged
  | AskedAgain
  | VerdictReceived
  | Completed
  | Cancelled
  | PeerSaidBye;
