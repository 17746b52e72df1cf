/**
 * The events of a run, as values. As `dcsend/session/events.py`.
 *
 * Texts of the peer are not escaped here; the display escapes them.
 */
import type { Entry, LeftOut } from "../entry.ts";
import type { DcsendError } from "../errors.ts";
import type { Export } from "../files/contract.ts";

/** The peer is connected and authenticated, and has sent Hello. */
export interface Connected {
  readonly type: "connected";
  readonly path: string;
  /** `IPv4`, `IPv6` or empty. */
  readonly family: string;
  readonly address: string;
  /** Name and version of the peer's program; untrusted. */
  readonly peer: string;
  /** Name of the peer's device, empty if it sent none; untrusted. */
  readonly name: string;
  /** Whether the peer claims to run in a browser. */
  readonly isBrowser: boolean;
  /** Round trip in seconds; null if none has been measured. */
  readonly rtt: number | null;
  /** Role of this page: the opposite of the peer's. */
  readonly role: "sender" | "receiver";
}

/** Everything that is offered, before a byte of it is accepted. */
export interface ManifestKnown {
  readonly type: "manifest";
  readonly entries: readonly Entry[];
  /** How much the sender found and does not offer. */
  readonly leftOut: LeftOut;
}

/** Bytes that are written at the receiver; the same on both sides. Every 0.25 s to 1 s. */
export interface Progressed {
  readonly type: "progress";
  readonly bytes: number;
  /** Bytes; null if not known. */
  readonly total: number | null;
  /** Bytes per second over the last seconds. */
  readonly rate: number;
  /** Seconds left at this rate; null if unknown. */
  readonly eta: number | null;
  /** The current file. */
  readonly path: string;
  /** Bytes of it that are written. */
  readonly done: number;
  /** Seconds since `bytes` last grew. */
  readonly still: number;
  /** What the transfer waits for: the peer, or the disk of this device. */
  readonly waits: "peer" | "disk";
}

/** How much of what an earlier transfer has received is verified. */
export interface Checking {
  readonly type: "checking";
  readonly path: string;
  /** Bytes that are verified; all when the check has ended. */
  readonly bytes: number;
  readonly total: number;
}

/** The verdict on one file. */
export interface FileFinished {
  readonly type: "file";
  readonly path: string;
  readonly status: "ok" | "mismatch" | "failed" | "skipped";
  readonly bytes: number;
  /**
   * The name it was saved under here; empty on the sending side, and if the browser does not report
   * it.
   */
  readonly saved: string;
  readonly sha256: string;
  /** The reason if the status is not ok. */
  readonly reason: string;
}

/** A message of the text channel, or an entry of kind text (`snippet`). */
export interface TextExchanged {
  readonly type: "text";
  readonly text: string;
  readonly sent: boolean;
  readonly kind: "line" | "random" | "snippet";
}

/** A warning or a note; the run goes on. */
export interface Warned {
  readonly type: "warning";
  readonly kind: string;
  readonly message: string;
  readonly hint: string;
}

/** Why the run failed. */
export interface Failed {
  readonly type: "failed";
  readonly error: DcsendError;
}

/** The last event of every run, exactly one. */
export interface Finished {
  readonly type: "done";
  readonly ok: boolean;
  readonly bytes: number;
  /** From acceptance to the end. */
  readonly seconds: number;
  readonly files: readonly FileFinished[];
  /** How much the sender found and did not offer. */
  readonly leftOut: LeftOut;
  /** Files for the browser's downloads. */
  readonly exports: readonly Export[];
}

export type Event =
  | Connected
  | ManifestKnown
  | Progressed
  | Checking
  | FileFinished
  | TextExchanged
  | Warned
  | Failed
  | Finished;

/** Called with every event, in order; must not block. */
export type Emit = (event: Event) => void;
