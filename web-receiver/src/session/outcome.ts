/**
 * Turn verdicts into the result of a run, and a peer's last message into an error, and back. As
 * `dcsend/session/outcome.py`.
 */

import { type Kind, type LeftOut, NOTHING_LEFT_OUT } from "../entry.ts";
import {
  ConnectionFailed,
  DcsendError,
  DestinationError,
  type ErrorKind,
  IncompatibleVersion,
  IntegrityError,
  PartlyDone,
  PeerCannotSave,
  PeerGaveUp,
  PeerRefused,
  SourceError,
} from "../errors.ts";
import type { Export } from "../files/contract.ts";
import { printable } from "../printable.ts";
import type { CancelReason, DeclineReason } from "../protocol/messages.ts";
import type { Emit, Event, FileFinished, ManifestKnown } from "./events.ts";

/** What caused a file to fail. */
export type Fault = "integrity" | "source" | "destination";

const FAULTS = {
  integrity: IntegrityError,
  source: SourceError,
  destination: DestinationError,
} as const;

/** Reasons of Cancel by the kind of the error that ends the transfer here; otherwise `error`. */
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

/** What a run has achieved so far; its parts report events through it. */
export class Tally {
  readonly files: FileFinished[] = [];
  readonly bad: { readonly file: FileFinished; readonly fault: Fault }[] = [];
  exports: readonly Export[] = [];
  /** Number of files, texts and links that were offered; 0 before that is known. */
  offered = 0;
  /** Number of them without a verdict, because the sender could not read them. */
  unheard = 0;
  leftOut: LeftOut = NOTHING_LEFT_OUT;
  /** Payload bytes written at the receiver. */
  bytes = 0;
  /** When the manifest was accepted, in seconds; null if it wasn't. */
  started: number | null = null;
  readonly #emit: Emit;
  #sealed = false;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** Whether the result of the run is decided. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Emit an event, unless the result is decided. */
  readonly emit = (event: Event): void => {
    if (!this.#sealed) this.#emit(event);
  };

  /** Note what is offered, and how many entries the sender could not read. */
  expect({ entries, leftOut }: ManifestKnown, unheard: number): void {
    this.leftOut = leftOut;
    this.unheard = unheard;
    const folders = entries.filter(({ kind }) => kind === "directory").length;
    this.offered = entries.length - folders + unheard;
  }

  /** Note that the manifest has been accepted, at `now` in seconds. */
  begin(now: number): void {
    this.started = now;
  }

  /** Count bytes that have been written at the receiver. */
  count(size: number): void {
    this.bytes += size;
  }

  /** Note the files that go to the downloads. */
  export(files: readonly Export[]): void {
    this.exports = files;
  }

  /** Keep and emit a verdict; `fault` is null if it is not a failure. */
  report(file: FileFinished, fault: Fault | null, kind: Kind = "file"): void {
    if (this.#sealed) return;
    // Folders that were created are not counted.
    if (kind === "directory" && fault !== null) this.offered += 1;
    this.files.push(file);
    if (fault !== null) this.bad.push({ file, fault });
    this.#emit(file);
  }

  /** Emit nothing more: work that can't be cancelled may still go on. */
  seal(): void {
    this.#sealed = true;
  }
}

/** Return a thrown value as a DcsendError. */
export function asError(error: unknown): DcsendError {
  if (error instanceof DcsendError) return error;
  const unexpected = new DcsendError(`unexpected: ${printable(String(error))}`);
  unexpected.cause = error;
  return unexpected;
}

/** Return the reason code of the `cancel` message that goes with `error`. */
export function cancelReason(error: DcsendError): CancelReason {
  return REASONS[error.kind] ?? "error";
}

/** Return the reason code of the `decline` message that goes with `error`. */
export function declineReason(error: DcsendError): DeclineReason {
  if (error.kind === "refused") return "declined";
  return error.kind === "destination" ? "destination" : "error";
}

/** Return the error that ends this side when the peer has cancelled. */
export function peerCancelled(reason: CancelReason, message: string): DcsendError {
  const detail = printable(message);
  switch (reason) {
    case "integrity":
      return new IntegrityError(reported(detail) || "the other side received damaged bytes");
    case "version":
      return new IncompatibleVersion(reported(detail) || "the other side has another version");
    case "timeout":
      return new PeerGaveUp(
        `the other side stopped; it reports: ${detail || "nothing arrived in time"}`,
      );
    case "interrupted":
      return new PeerRefused("the other side cancelled");
    default:
      return new PeerRefused(`the other side stopped: ${detail || reason}`);
  }
}

/** Introduce a text of the peer; the page capitalises the start of a sentence. */
function reported(detail: string): string {
  return detail === "" ? "" : `the other side reports: ${detail}`;
}

/**
 * The message of dcsend for files that exist at the receiver: the first of them, and how many more.
 */
const EXIST = /^(.+?)(?: and (\d+) more)? exist(s?) in .+ already$/s;

/** Return the error for a receiver that can't save `paths`, from its message. */
function cannotSave(message: string, paths: readonly string[]): PeerCannotSave {
  const said = `the other side can't save it: ${printable(message) || "no reason"}`;
  const [, names, more = "0", one] = EXIST.exec(message) ?? [];
  if (names === undefined) return new PeerCannotSave(said);
  const named =
    one === "s" ? paths.filter((path) => printable(path) === names) : among(names, paths);
  return new PeerCannotSave(said, named, Number(more));
}

/**
 * Return those of `paths` that occur in a list of several names. A name may contain the separator
 * of the list: the longest are looked for first, and what they match holds no others.
 */
function among(names: string, paths: readonly string[]): readonly string[] {
  let list = `, ${names}, `;
  const found = new Set<string>();
  const candidates = paths.filter((path) => {
    const name = printable(path);
    return name !== names && list.includes(`, ${name}, `);
  });
  for (const path of candidates.sort((a, b) => b.length - a.length)) {
    const name = `, ${printable(path)}, `;
    if (!list.includes(name)) continue;
    list = list.replace(name, () => ", \n, ");
    found.add(path);
  }
  return paths.filter((path) => found.has(path));
}

/** Return the error that ends the sender when the receiver has declined the files at `paths`. */
export function peerDeclined(
  reason: DeclineReason,
  message: string,
  paths: readonly string[] = [],
): DcsendError {
  if (reason === "declined") return new PeerRefused("the other side declined");
  if (reason === "destination") return cannotSave(message, paths);
  return new PeerRefused(`the other side declined: ${printable(message || reason)}`);
}

/** Return the error for a connection that was lost while the page was suspended. */
export function suspended(error: DcsendError): DcsendError {
  if (error.kind !== "connection" && error.kind !== "timeout") return error;
  return new ConnectionFailed(
    `the browser had suspended this page, and then ${error.message}`,
    "keep this page in front and the screen on; start again on both sides",
  );
}

/** The fields that determine the result. */
export type Sum = Pick<Tally, "files" | "bad" | "offered" | "unheard">;

/** Return the error that sums up the verdicts; null if there is no failure. */
export function failure({ files, bad, offered, unheard }: Sum): DcsendError | null {
  const [first] = bad;
  const lost = bad.length + unheard;
  if (lost === 0) return null;
  const whole = offered || files.length;
  if (first === undefined && whole === 1) return new SourceError(unread(unheard));
  const detail = first === undefined ? unread(unheard) : cause(first.file);
  const message = whole > 1 ? `${lost} of ${whole} failed; ${detail}` : `it failed: ${detail}`;
  // Damaged bytes outrank everything; other failures have a name of their own only if all are
  // alike.
  if (bad.some(({ fault }) => fault === "integrity")) return new IntegrityError(message);
  const faults = new Set<Fault>(bad.map(({ fault }) => fault));
  if (unheard > 0) faults.add("source");
  const [fault, ...others] = faults;
  const alike = fault !== undefined && others.length === 0 && lost === whole;
  return new (alike ? FAULTS[fault] : PartlyDone)(message);
}

function unread(unheard: number): string {
  return unheard === 1
    ? "the sender can't read it, or can't send its name"
    : "the sender can't read them, or can't send their names";
}

function cause(file: FileFinished): string {
  const name = `${printable(file.path)}: `;
  const reason = file.reason || file.status;
  // Some reasons begin with the name.
  return reason.startsWith(name) ? reason : name + reason;
}
