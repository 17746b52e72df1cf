/**
 * Everything that can go wrong, as one tree: that of `dcsend/errors.py`, without the exit statuses.
 *
 * A message is lower case, has no full stop and names the thing; `hint` is the next step.
 * Text of a peer in a message has gone through `printable`. Imports nothing.
 */

/** What kind of failure it is; the same words as in `dcsend --json`. */
export type ErrorKind =
  | "unexpected"
  | "usage"
  | "code"
  | "source"
  | "destination"
  | "connection"
  | "integrity"
  | "refused"
  | "code-used"
  | "authentication"
  | "timeout"
  | "code-expired"
  | "version"
  | "partly"
  | "interrupted"
  | "bug"
  | "protocol";

/** The root of the tree. */
export class DcsendError extends Error {
  /** The class of failure; decides which words a person sees. */
  readonly kind: ErrorKind = "unexpected";
  /** What to do next; empty if there is nothing to do. */
  readonly hint: string;

  constructor(message: string, hint = "") {
    super(message);
    this.name = new.target.name;
    this.hint = hint;
  }
}

/** The person asked for something impossible. */
export class UsageError extends DcsendError {
  override readonly kind: ErrorKind = "usage";
}

/** The code is damaged, incomplete, or not a code at all. */
export class MalformedCode extends UsageError {
  override readonly kind: ErrorKind = "code";
}

/** A source is missing, unreadable, or changed while it was sent. */
export class SourceError extends DcsendError {
  override readonly kind: ErrorKind = "source";
}

/** The destination is full, refused, or can't be written. */
export class DestinationError extends DcsendError {
  override readonly kind: ErrorKind = "destination";
}

/** No path to the peer, nobody there, or the path was lost. */
export class ConnectionFailed extends DcsendError {
  override readonly kind: ErrorKind = "connection";
}

/** Bytes arrived that are not the ones that were sent. */
export class IntegrityError extends DcsendError {
  override readonly kind: ErrorKind = "integrity";
}

/** The other side declined or cancelled. */
export class PeerRefused extends DcsendError {
  override readonly kind: ErrorKind = "refused";
}

/** The code is too old. */
export class CodeExpired extends DcsendError {
  override readonly kind: ErrorKind = "code-expired";
}

/** The two sides, or the code and this page, share no version. */
export class IncompatibleVersion extends DcsendError {
  override readonly kind: ErrorKind = "version";
}

/** Some files are safe, others are not. */
export class PartlyDone extends DcsendError {
  override readonly kind: ErrorKind = "partly";
}

/** The person, or the browser, ended it. */
export class Interrupted extends DcsendError {
  override readonly kind: ErrorKind = "interrupted";
}

/** This page misused the protocol: a bug in dcsend. */
export class LocalProtocolError extends DcsendError {
  override readonly kind: ErrorKind = "bug";
}

/** The peer broke a rule of the protocol; the connection is not used further. */
export class RemoteProtocolError extends DcsendError {
  override readonly kind: ErrorKind = "protocol";
}
