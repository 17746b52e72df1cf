/**
 * All errors, as one tree of classes: that of `dcsend/errors.py`, without exit statuses.
 *
 * A message is lower case, has no full stop and names the thing; `hint` is the next step.
 * Text from a peer in a message is escaped by `printable`. Imports nothing.
 */

/** The kind of an error; the same words as in `dcsend --json`. */
export type ErrorKind =
  | "unexpected"
  | "usage"
  | "code"
  | "source"
  | "destination"
  | "connection"
  | "integrity"
  | "refused"
  | "cannot-save"
  | "code-used"
  | "authentication"
  | "timeout"
  | "code-expired"
  | "version"
  | "partly"
  | "interrupted"
  | "bug"
  | "protocol";

/** The base class. */
export class DcsendError extends Error {
  /** The kind of error, by which the page chooses its text. */
  readonly kind: ErrorKind = "unexpected";
  /** The next step; empty if there is none. */
  readonly hint: string;

  constructor(message: string, hint = "") {
    super(message);
    this.name = new.target.name;
    this.hint = hint;
  }
}

/** The request of the user is impossible. */
export class UsageError extends DcsendError {
  override readonly kind: ErrorKind = "usage";
}

/** The code is damaged, incomplete, or not a code. */
export class MalformedCode extends UsageError {
  override readonly kind: ErrorKind = "code";
}

/** The end of the code is missing; further input may complete it. The page treats it as damaged. */
export class IncompleteCode extends MalformedCode {}

/** A source is missing, unreadable, or changed while it was sent. */
export class SourceError extends DcsendError {
  override readonly kind: ErrorKind = "source";
}

/** The destination is full, refused, or can't be written to. */
export class DestinationError extends DcsendError {
  override readonly kind: ErrorKind = "destination";
}

/** No connection could be made, or it was lost. */
export class ConnectionFailed extends DcsendError {
  override readonly kind: ErrorKind = "connection";
}

/** It was lost, and neither side has closed it. */
export class ConnectionLost extends ConnectionFailed {}

/** Received bytes differ from the sent ones. */
export class IntegrityError extends DcsendError {
  override readonly kind: ErrorKind = "integrity";
}

/** The peer declined or cancelled. */
export class PeerRefused extends DcsendError {
  override readonly kind: ErrorKind = "refused";
}

/** The receiver can't save what is offered: files exist, or the disk is full. */
export class PeerCannotSave extends PeerRefused {
  override readonly kind: ErrorKind = "cannot-save";
  /** Offered paths that exist there. */
  readonly existing: readonly string[];
  /** The number of further existing paths, which the receiver did not name. */
  readonly unnamed: number;

  constructor(message: string, existing: readonly string[] = [], unnamed = 0) {
    super(message);
    this.existing = existing;
    this.unnamed = unnamed;
  }
}

/** The listener refused the code, because it has been used or has expired. */
export class CodeUsed extends DcsendError {
  override readonly kind: ErrorKind = "code-used";
}

/** The words, a tag or a seal are not those of the other side. */
export class AuthenticationFailed extends DcsendError {
  override readonly kind: ErrorKind = "authentication";
}

/** The side that shows the code has other words. */
export class WrongWords extends AuthenticationFailed {}

/** The peer ended the run after waiting for too long. */
export class PeerGaveUp extends DcsendError {
  override readonly kind: ErrorKind = "timeout";
}

/** The code has expired. */
export class CodeExpired extends DcsendError {
  override readonly kind: ErrorKind = "code-expired";
}

/** The two sides, or the code and this page, have no version in common. */
export class IncompatibleVersion extends DcsendError {
  override readonly kind: ErrorKind = "version";
}

/** Some files were transferred and verified, others were not. */
export class PartlyDone extends DcsendError {
  override readonly kind: ErrorKind = "partly";
}

/** The user or the browser ended the run. */
export class Interrupted extends DcsendError {
  override readonly kind: ErrorKind = "interrupted";
}

/** This page violated the protocol: a bug in dcsend. */
export class LocalProtocolError extends DcsendError {
  override readonly kind: ErrorKind = "bug";
}

/** The peer violated the protocol; the connection is not used further. */
export class RemoteProtocolError extends DcsendError {
  override readonly kind: ErrorKind = "protocol";
}
