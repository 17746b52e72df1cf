/**
 * Entries of a manifest: read from and written to JSON. Must not import files or peers.
 */
import type { Entry, Kind } from "../entry.ts";
import * as limits from "./limits.ts";
import { checkDepth, choice, Fields, integer, text, type Values } from "./strict.ts";

/** A number of bytes, or of anything else that has no limit. */
export const AMOUNT = integer(0, limits.MAX_SAFE);
const PATH = text(limits.MAX_PATH);
const KIND = choice<Kind>(["file", "directory", "link", "text"]);
const ZERO = integer(0, 0);
const SIZE = {
  file: AMOUNT,
  directory: ZERO,
  link: ZERO,
  text: integer(0, limits.MAX_TEXT_ENTRY),
};
const MODE = integer(0, limits.MAX_MODE);
const TIME = integer(-limits.MAX_SAFE, limits.MAX_SAFE);

/** A field that an entry does not have is undefined, and so not in the JSON text. */
export function entryFields(entry: Entry): object {
  return {
    path: entry.path,
    kind: entry.kind,
    size: entry.size,
    mode: entry.mode,
    mtime: entry.mtime ?? undefined,
    target: entry.target || undefined,
    stored: entry.stored ?? undefined,
  };
}

/** Read an entry. */
export function readEntry(values: Values): Entry {
  checkDepth("entry", values);
  const fields = new Fields("entry", values);
  const kind = fields.read("kind", KIND);
  const size = fields.optional("size", SIZE[kind]);
  if (!fields.has("size") || (size === null && kind !== "file")) {
    throw fields.refusal("size", `is missing in a ${kind}`);
  }
  const target = fields.has("target") ? fields.read("target", PATH) : "";
  if ((target !== "") !== (kind === "link")) {
    throw fields.refusal("target", `doesn't fit a ${kind}`);
  }
  const path = fields.read("path", PATH);
  if (path === "") throw fields.refusal("path", "is empty");
  return {
    path,
    kind,
    size,
    mode: fields.optional("mode", MODE) ?? (kind === "directory" ? 0o755 : 0o644),
    mtime: fields.optional("mtime", TIME),
    target,
    stored: fields.optional("stored", AMOUNT),
  };
}
