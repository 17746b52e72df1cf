/**
 * The journal of a part: the file that it belongs to, and digests of its beginning. The format and
 * the rules are those of `dcsend/files/journal.py`, without the field `manifest`. Pure.
 *
 *     {"v":1,"path":"film.mkv","size":104857600,"mtime":1700000000000000}
 *     {"offset":8388608,"sha256":"9b…"}
 *     {"offset":16777216,"from":8388608,"sha256":"04…"}
 */
import type { Entry } from "../entry.ts";

/** Bytes between two lines; at most so many are received again after an interruption. */
export const INTERVAL = 8 << 20;
/** Bytes; a smaller file is sent again faster than it is verified. */
export const MIN_SIZE = 8 << 20;

/** A line of a journal. */
export interface Point {
  /** Bytes from the start of the file. */
  readonly offset: number;
  /** The digest is of the bytes [start, offset): 0, or the offset of the line before. */
  readonly start: number;
  /** In hex. */
  readonly sha256: string;
  /** Bytes of the journal to the end of this line. */
  readonly end: number;
}

/** The file that a journal is of. */
export type Named = Pick<Entry, "path" | "size" | "mtime">;

/** Return whether a part of `entry` gets a journal. */
export function wantsJournal({ kind, size }: Entry): boolean {
  return kind === "file" && (size === null || size >= MIN_SIZE);
}

/** Return the first line for a file. */
export function headerLine({ path, size, mtime }: Named): string {
  return line({ v: 1, path, size, mtime });
}

/** Return a line; `start` as in `Point`. */
export function pointLine(offset: number, start: number, sha256: string): string {
  return line(start === 0 ? { offset, sha256 } : { offset, from: start, sha256 });
}

/** One byte for each character, so that lengths of texts are those of files. */
function line(fields: object): string {
  const ascii = JSON.stringify(fields).replace(
    /[^ -~]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${ascii}\n`;
}

/**
 * Read a journal, up to the first line that is incomplete or invalid; null without a valid first
 * line. Any text may be in it.
 */
export function readJournal(text: string): { file: Named; points: readonly Point[] } | null {
  const lines = text.split("\n").slice(0, -1);
  const file = named(fieldsOf(lines[0]));
  if (file === null) return null;
  const points: Point[] = [];
  let end = (lines[0]?.length ?? 0) + 1;
  let before = 0;
  for (const one of lines.slice(1)) {
    end += one.length + 1;
    const { offset, from: start = 0, sha256 } = fieldsOf(one);
    if (!isAmount(offset) || offset <= before || (file.size !== null && offset > file.size)) break;
    if (start !== 0 && start !== before) break;
    if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) break;
    points.push({ offset, start, sha256, end });
    before = offset;
  }
  return { file, points };
}

/** Return the lines of a part of `size` bytes. */
export function within(points: readonly Point[], size: number): readonly Point[] {
  return points.filter(({ offset }) => offset <= size);
}

/**
 * Return offsets and digests of some whole beginnings, for the sender to compare: each at least
 * eight times as long as the one before, and the longest.
 */
export function digestsOf(points: readonly Point[]): readonly (readonly [number, string])[] {
  const whole = points.filter(({ start }) => start === 0);
  const found: [number, string][] = [];
  for (const [place, { offset, sha256 }] of whole.entries()) {
    const last = found.at(-1)?.[0] ?? 0;
    if (place === whole.length - 1 || offset >= 8 * last) found.push([offset, sha256]);
  }
  return found;
}

function fieldsOf(text = ""): Record<string, unknown> {
  try {
    const fields: unknown = JSON.parse(text);
    return typeof fields === "object" && fields !== null ? { ...fields } : {};
  } catch {
    return {};
  }
}

function named({ v, path, size, mtime }: Record<string, unknown>): Named | null {
  if (v !== 1 || typeof path !== "string") return null;
  if (!(size === null || isAmount(size)) || !(mtime === null || Number.isSafeInteger(mtime))) {
    return null;
  }
  return { path, size, mtime: mtime as number | null };
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
