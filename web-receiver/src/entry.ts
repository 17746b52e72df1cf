/** An entry of a manifest; a plain value for all layers, as in `dcsend/entry.py`. Imports nothing. */

/** The kind of an entry; a `text` is shown and not saved. */
export type Kind = "file" | "directory" | "link" | "text";

/** Numbers of files that a sender found and does not offer. */
export interface LeftOut {
  /** Symbolic links, which are not sent without `--links`. */
  readonly links: number;
  /** Sockets, pipes and devices inside a folder, which can't be sent. */
  readonly others: number;
  /** Files that could not be read, or whose names can't be sent. */
  readonly unreadable: number;
}

/** Nothing is left out. */
export const NOTHING_LEFT_OUT: LeftOut = { links: 0, others: 0, unreadable: 0 };

/** One file, directory, symbolic link or text of a manifest. */
export interface Entry {
  /** Relative, components joined by `/`; as received, before `safePath`. */
  readonly path: string;
  readonly kind: Kind;
  /** Bytes; null for a stream of unknown length; 0 for directories and links. */
  readonly size: number | null;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  /** Microseconds since 1970-01-01 UTC; null if unknown. */
  readonly mtime: number | null;
  /** The target of a link; empty otherwise. */
  readonly target: string;
  /** Bytes allocated on the sender's disk, if the file is sparse; otherwise null. */
  readonly stored: number | null;
}
