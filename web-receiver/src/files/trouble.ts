/**
 * The effect of a browser's errors on a run that writes files: one file fails and the others go on,
 * or the whole destination is lost. As `dcsend/files/disk.py`.
 */
import { DestinationError } from "../errors.ts";
import { printable } from "../printable.ts";

/** The destination is full or gone: no other file can be written either. */
export class DestinationLost extends DestinationError {}

const REASONS: Readonly<Record<string, string>> = {
  NotFoundError: "its place has gone",
  TypeMismatchError: "something else of that name is in the way",
  NoModificationAllowedError: "something else is writing it",
};
// The name for a full disk; the second is Firefox's.
const FULL = ["QuotaExceededError", "NS_ERROR_FILE_NO_DEVICE_SPACE"];

/** Return what the browser threw while `path` was written as an error of dcsend. */
export function explain(error: unknown, path: string): DestinationError {
  if (error instanceof DestinationError) return error;
  const name = errorName(error);
  const file = printable(path);
  if (FULL.includes(name)) {
    return new DestinationLost(`no room for ${file}`, "make room, then try again");
  }
  if (name === "NotAllowedError" || name === "SecurityError") {
    return new DestinationLost(
      `the browser doesn't let the page write ${file}`,
      "try again, and allow it or choose another place",
    );
  }
  const reason = REASONS[name] ?? (error instanceof Error ? printable(error.message) : "no reason");
  return new DestinationError(`can't write ${file}: ${reason}`);
}

/** Return the name of a DOMException or Error; empty for other values. */
export function errorName(error: unknown): string {
  return error instanceof Error ? error.name : "";
}
