/**
 * From verdicts to how a run ended, and from a peer's last word to an error, and back. As
 * `dcsend/session/outcome.py`. Imports only leaves, types and session.
 */
import {
  ConnectionFailed,
  DcsendError,
  DestinationError,
  type ErrorKind,
  IncompatibleVersion,
  IntegrityError,
  PartlyDone,
  PeerRefused,
  SourceError,
} from "../errors.ts";
import type { Export } from "../files/operations.ts";
import { printable } from "../printable.ts";
import type { CancelReason, DeclineReason } from "../protocol/messages.ts";
import type { Emit, Event, FileFinished } from "./events.ts";

/** Whose fault it is that a file isn't there. */
export type Fault = "integrity" | "source" | "destination";

const FAULTS = {
  integrity: IntegrityError,
  source: SourceError,
  destination: DestinationError,
} as const;

/** What the peer is told when a transfer ends because of an error here; else `error`. */
const REASONS: { readonly [kind in ErrorKind]?: CancelReason } = {
  protocol: "protocol",
  version: "version",
  integrity: "integrity",
  destination: "destination",
  source: "source",
  connection: "timeout",
  timeout: "timeout",
  interrupted: "interrupted",
};

/** What a run has achieved so far; the only way for its parts to tell of it. */
export class Tally {
  readonly files: FileFinished[] = [];
  readonly bad: { readonly file: FileFinished; readonly fault: Fault }[] = [];
  exports: readonly Export[] = [];
  /** Payload bytes written at the receiver. */
  bytes = 0;
  /** When the manifest was accepted, in seconds; null if it wasn't. */
  started: number | null = null;
  readonly #emit: Emit;
  #sealed = false;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** Whether it has been decided how the run ended. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Tell of what happened, unless it comes after the end. */
  readonly emit = (event: Event): void => {
    if (!this.#sealed) this.#emit(event);
  };

  /** Keep and tell a verdict; `fault` is null where nothing is wrong. */
  report(file: FileFinished, fault: Fault | null): void {
    if (this.#sealed) return;
    this.files.push(file);
    if (fault !== null) this.bad.push({ file, fault });
    this.#emit(file);
  }

  /** Let nothing be told any more: work that can't be cancelled may still go on. */
  seal(): void {
    this.#sealed = true;
  }
}

/** Turn whatever was thrown into an error of ours. */
export function asError(error: unknown): DcsendError {
  if (error instanceof DcsendError) return error;
  const unexpected = new DcsendError(`unexpected: ${printable(String(error))}`);
  unexpected.cause = error;
  return unexpected;
}

/** The reason of the `cancel` message that goes with an error. */
export function cancelReason(error: DcsendError): CancelReason {
  return REASONS[error.kind] ?? "error";
}

/** The reason of the `decline` message that goes with an error. */
export function declineReason(error: DcsendError): DeclineReason {
  if (error.kind === "refused") return "declined";
  return error.kind === "destination" ? "destination" : "error";
}

/** What to throw when the peer has ended the transfer. */
export function peerCancelled(reason: CancelReason, message: string): DcsendError {
  const detail = printable(message);
  switch (reason) {
    case "integrity":
      return new IntegrityError(detail || "the other side received damaged bytes");
    case "version":
      return new IncompatibleVersion(detail || "the other side has another version");
    case "timeout":
      return new ConnectionFailed(
        `the other side gave up; it reports: ${detail || "nothing arrived in time"}`,
      );
    case "interrupted":
      return new PeerRefused("the other side cancelled", "start it again there for a new code");
    default:
      return new PeerRefused(`the other side stopped: ${detail || reason}`);
  }
}

/** What to throw when the receiver does not want the files. */
export function peerDeclined(reason: DeclineReason, message: string): DcsendError {
  if (reason === "declined") return new PeerRefused("the other side declined");
  return new PeerRefused(`the other side declined: ${printable(message || reason)}`);
}

/** What to say of a connection that ended while the page could not do anything for it. */
export function suspended(error: DcsendError): DcsendError {
  if (error.kind !== "connection") return error;
  return new ConnectionFailed(
    `the browser had suspended this page, and then ${error.message}`,
    "keep this page in front and the screen on; start again on both sides",
  );
}

/** The error that sums up the verdicts, or null if all is well. */
export function failure({ files, bad }: Pick<Tally, "files" | "bad">): DcsendError | null {
  const [first] = bad;
  if (first === undefined) return null;
  const name = `${printable(first.file.path)}: `;
  const reason = first.file.reason || first.file.status;
  // Some reasons begin with the name already.
  const detail = reason.startsWith(name) ? reason : name + reason;
  const message =
    files.length > 1 ? `${bad.length} of ${files.length} did not make it; ${detail}` : detail;
  // Damaged bytes outrank everything; else it has one name only if all failed in one way.
  if (bad.some(({ fault }) => fault === "integrity")) return new IntegrityError(message);
  const alike = bad.length === files.length && bad.every(({ fault }) => fault === first.fault);
  return new (alike ? FAULTS[first.fault] : PartlyDone)(message);
}
