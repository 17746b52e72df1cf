/**
 * What happens in a run, as values, for whoever shows it. As `dcsend/session/events.py`.
 *
 * Text that came from the peer is raw here; the display escapes it. Imports only leaves and types.
 */
import type { Entry } from "../entry.ts";
import type { DcsendError } from "../errors.ts";
import type { Export } from "../files/operations.ts";

/** The other side is there, and it is the right one. */
export interface Connected {
  readonly type: "connected";
  readonly path: string;
  /** `IPv4`, `IPv6` or empty. */
  readonly family: string;
  readonly address: string;
  /** What the peer calls itself; a stranger's text. */
  readonly peer: string;
  /** Round trip in seconds, or null. */
  readonly rtt: number | null;
  /** What this page does: the opposite of the peer's role. */
  readonly role: "sender" | "receiver";
}

/** Everything that is offered, before a byte of it is accepted. */
export interface ManifestKnown {
  readonly type: "manifest";
  readonly entries: readonly Entry[];
}

/** Bytes that are written at the receiver: the truth on both sides. At most every 250 ms. */
export interface Progressed {
  readonly type: "progress";
  readonly bytes: number;
  /** null if not known. */
  readonly total: number | null;
  /** Bytes per second over the last seconds. */
  readonly rate: number;
  /** Seconds left at this rate; null if that can't be said. */
  readonly eta: number | null;
  /** The file that is on the way now. */
  readonly path: string;
}

/** The verdict over one file. */
export interface FileFinished {
  readonly type: "file";
  readonly path: string;
  readonly status: "ok" | "mismatch" | "failed" | "skipped";
  readonly bytes: number;
  /** The name it was saved under here; empty if not here or not known. */
  readonly saved: string;
  readonly sha256: string;
  /** Why it is not ok. */
  readonly reason: string;
}

/** Something on the text channel, or a text that was sent as such (`snippet`). */
export interface TextExchanged {
  readonly type: "text";
  readonly text: string;
  readonly sent: boolean;
  readonly kind: "line" | "random" | "snippet";
}

/** Something to know that does not end the run. */
export interface Warned {
  readonly type: "warning";
  readonly kind: string;
  readonly message: string;
  readonly hint: string;
}

/** Why the run ended without being done. */
export interface Failed {
  readonly type: "failed";
  readonly error: DcsendError;
}

/** The last event of every run, exactly one. */
export interface Finished {
  readonly type: "done";
  readonly ok: boolean;
  readonly bytes: number;
  /** From the accepted manifest to the end. */
  readonly seconds: number;
  readonly files: readonly FileFinished[];
  /** What is to be handed to the browser's downloads. */
  readonly exports: readonly Export[];
}

export type Event =
  | Connected
  | ManifestKnown
  | Progressed
  | FileFinished
  | TextExchanged
  | Warned
  | Failed
  | Finished;

/** Told of every event, in order; must not block. */
export type Emit = (event: Event) => void;
