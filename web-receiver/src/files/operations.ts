/**
 * What a sink is told and what it answers, what a source gives: plain values that can be posted to
 * a worker and back. As `dcsend/files/operations.py`. Imports only leaves.
 */
import type { Entry } from "../entry.ts";

/** Bytes of a file: `offset` from its start. */
export interface Write {
  readonly type: "write";
  /** Place of the entry in the manifest, from 0; in all operations. */
  readonly number: number;
  readonly offset: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** A run of zeros. */
export interface Hole {
  readonly type: "hole";
  readonly number: number;
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

/** The file is complete. */
export interface End {
  readonly type: "end";
  readonly number: number;
  /** Bytes of the whole file. */
  readonly size: number;
  /** SHA-256 of the whole file, as the sender computed it. */
  readonly digest: Uint8Array<ArrayBuffer>;
}

/** The sender gave the file up. */
export interface Abort {
  readonly type: "abort";
  readonly number: number;
  /** In the sender's words; not yet safe to show. */
  readonly reason: string;
}

/** In the order in which frames came. */
export type Operation = Write | Hole | End | Abort;

/** How one entry ended. */
export interface Outcome {
  readonly number: number;
  readonly status: "ok" | "mismatch" | "failed" | "aborted";
  /** The name it has now, as far as the browser tells; empty for texts and what failed. */
  readonly saved: string;
  /** Bytes received. */
  readonly size: number;
  /** Of the bytes received, in hex; empty for what failed early. */
  readonly sha256: string;
  /** Why it is not ok; lower case, no full stop. */
  readonly reason: string;
  /** The content of a text, else null. */
  readonly text: string | null;
}

/**
 * Where received files go. The first that the page's origin and the browser can do, see
 * `destinations()` in files/capabilities.ts:
 *
 * picker  one file into a place the person chose (save picker); Chromium, secure contexts
 * folder  files into a folder the person chose (folder picker); Chromium, secure contexts
 * private the origin's private file system, through a synchronous handle in a worker, handed to the
 *         browser's downloads at the end; several files as one zip
 * stream  a download that a service worker streams; hosted pages; several files as one zip
 * memory  Blob parts; everywhere; several files as one zip
 */
export type Destination =
  | { readonly type: "picker"; readonly handle: FileSystemFileHandle }
  | { readonly type: "folder"; readonly handle: FileSystemDirectoryHandle }
  | { readonly type: "private" }
  | { readonly type: "stream" }
  | { readonly type: "memory" };

/** Something complete and verified that must still be handed to the browser's downloads. */
export interface Export {
  /** A safe name for it. */
  readonly name: string;
  /** Backed by disk where the destination is; never read as a whole. */
  readonly blob: Blob;
}

/** Receives the files of one manifest; lives beside a worker that does the disk work. */
export interface Sink {
  /**
   * Execute in order; resolve when all of it is written (not merely queued), to what has ended.
   * Rejects with DestinationError when the destination as a whole is lost or full.
   */
  apply(batch: readonly Operation[]): Promise<readonly Outcome[]>;
  /**
   * Conclude after the last file: make folders, close the zip. Outcomes withheld until now (files
   * inside a zip are safe only when the zip is), and what is left to hand to the downloads.
   */
  finish(): Promise<{ readonly outcomes: readonly Outcome[]; readonly exports: readonly Export[] }>;
  /** Let go of everything; what isn't finished is deleted. Idempotent. */
  close(): Promise<void>;
}

/** A piece of a file on its way out. */
export interface Block {
  readonly number: number;
  readonly offset: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the whole file, with its last block only; else null. */
  readonly digest: Uint8Array<ArrayBuffer> | null;
  /** Why the file is given up; empty if it isn't. Lower case, safe to show. */
  readonly failure: string;
}

/** What a person chose to send: an entry, and where its bytes are. */
export interface Chosen {
  readonly entry: Entry;
  /** null for directories. */
  readonly file: Blob | null;
}

/** Reads the chosen files in order, ahead of who asks, in a worker. */
export interface Source {
  /** The next block of the next entry that isn't skipped; null after the last. */
  next(): Promise<Block | null>;
  close(): void;
}
