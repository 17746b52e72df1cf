/**
 * The interfaces of sinks and sources: plain values that can be posted to a worker and back. As
 * `dcsend/files/sink.py` and `dcsend/files/source.py`.
 */
import type { Bytes, Content } from "../content.ts";
import type { Entry } from "../entry.ts";

/** The result of one entry. */
export interface Outcome {
  readonly number: number;
  readonly status: "ok" | "mismatch" | "failed" | "aborted";
  /** The name it was saved under, if the browser reports it; empty for texts and failed entries. */
  readonly saved: string;
  /** Bytes received. */
  readonly size: number;
  /** Of the bytes received, in hex; empty for entries that failed before their content. */
  readonly sha256: string;
  /** The reason if the status is not ok; lower case, no full stop. */
  readonly reason: string;
  /** The content of a text; null for other entries. */
  readonly text: string | null;
  /** The file, if it must go to the downloads before its verdict is sent; see `Place`. */
  readonly download?: Export;
}

/** Bytes of a part that were changed on the disk, and are to be received again. */
export interface Damage {
  /** Offset of the first. */
  readonly start: number;
  /** Offset of the byte after the last. */
  readonly end: number;
}

/** How much of what an earlier transfer has received is verified. */
export interface Checked {
  readonly path: string;
  /** Bytes that are verified. */
  readonly done: number;
  /** Bytes that were received earlier. */
  readonly total: number;
}

/** What a sink that continues parts has found. */
export interface Findings {
  /** Changed ranges by the number of the entry, each once. */
  readonly damage: readonly (readonly [number, Damage])[];
  /** Of one part; null if all are verified. */
  readonly checked: Checked | null;
}

/** With a file that exists in a chosen folder: the new one gets another name, or replaces it. */
export type Existing = "rename" | "overwrite";

/**
 * Where received files go. The page uses the first that browser and origin support, see
 * `destinations` in files/capabilities.ts:
 *
 * picker  one file at a place that the person chose (save picker); Chromium, secure contexts
 * folder  files in a folder that the person chose (folder picker); Chromium, secure contexts
 * private the origin's private file system, through a synchronous handle in a worker, then the
 *         browser's downloads; several files as one zip at the end, or loose ones one by one, each
 *         when it is complete. Outside of a zip an unfinished file stays as a part (parts.ts)
 * stream  a download that a service worker streams; hosted pages; several files as one zip
 * memory  Blob parts; everywhere; several files as in `private`
 */
export type Destination =
  | { readonly type: "picker"; readonly handle: FileSystemFileHandle }
  | {
      readonly type: "folder";
      readonly handle: FileSystemDirectoryHandle;
      readonly existing: Existing;
    }
  | { readonly type: "private"; readonly zipped: boolean }
  | { readonly type: "stream" }
  /** `run` is the transfer for which content is kept, see kept.ts. */
  | { readonly type: "memory"; readonly zipped: boolean; readonly run?: string };

/** A complete and verified file for the browser's downloads. */
export interface Export {
  /** A safe name for it. */
  readonly name: string;
  /** On disk where the destination is; never read as a whole. */
  readonly blob: Blob;
}

/** Receives the files of one manifest; the disk work is done in a worker. */
export interface Sink {
  /** Bytes of parts that it continues, by the number of the entry; at least 1. */
  readonly have?: ReadonlyMap<number, number>;
  /** Number, offset and SHA-256 of some beginnings of them, in the order of numbers and offsets. */
  readonly digests?: readonly (readonly [number, number, string])[];
  /** What was found during the last `apply`. */
  readonly findings?: Findings;
  /**
   * Write `portion` in order; resolve to the entries that have ended, when all of it is written (not
   * only queued). Rejects with DestinationError when the destination is full or gone.
   */
  apply(portion: readonly Content[]): Promise<readonly Outcome[]>;
  /**
   * End the transfer after the last file: create folders, end the zip. Resolves to the outcomes
   * withheld until now (files in a zip are safe only when the zip is), and to the complete files
   * for the downloads, including each `download` of an outcome.
   */
  finish(): Promise<{ readonly outcomes: readonly Outcome[]; readonly exports: readonly Export[] }>;
  /**
   * Release everything, and delete unfinished files. Resolves to the complete files for the
   * downloads, as finish() does, also after it; to none when called again.
   */
  close(): Promise<readonly Export[]>;
}

/** A piece of a file to send. */
export interface Block {
  readonly number: number;
  readonly offset: number;
  readonly payload: Bytes;
  /** SHA-256 of the whole file, with its last block only; otherwise null. */
  readonly digest: Bytes | null;
  /** Why the file is given up; empty if it isn't. Lower case, safe to show. */
  readonly failure: string;
}

/** A thing that a person chose to send: its entry and its content. */
export interface Chosen {
  readonly entry: Entry;
  /** null for directories. */
  readonly file: Blob | null;
}

/** Reads the chosen files in order, ahead of the caller, in a worker. */
export interface Source {
  /**
   * Resolve to the next block of the next entry that isn't skipped; null after the last. Reads no
   * more of entries before the number `due`.
   */
  next(due: number): Promise<Block | null>;
  close(): void;
}
