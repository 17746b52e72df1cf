/** One thing in a transfer: a plain value of every layer, as in `dcsend/entry.py`. Imports nothing. */

/** What an entry is; a `text` is shown and never saved. */
export type Kind = "file" | "directory" | "link" | "text";

/** One file, directory, symbolic link or text of a manifest. */
export interface Entry {
  /** Relative, components joined by `/`; as the peer said it, not yet judged safe. */
  readonly path: string;
  readonly kind: Kind;
  /** Bytes; null for a stream whose length nobody knows yet; 0 for directories and links. */
  readonly size: number | null;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  /** Microseconds since 1970-01-01 UTC; null if not known. */
  readonly mtime: number | null;
  /** Where a link points; empty otherwise. */
  readonly target: string;
  /** Bytes allocated on the sender's disk, if the file is sparse; else null. */
  readonly stored: number | null;
}
