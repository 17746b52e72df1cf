/** Entries and content for tests of sinks and sources. */
import { createHash } from "node:crypto";
import type { Entry } from "../src/entry.ts";
import type { Content } from "../src/files/contract.ts";

const NO_TARGET = { target: "", stored: null };

export function file(path: string, size: number | null): Entry {
  return { path, kind: "file", size, mode: 0o644, mtime: 1_700_000_000_000_000, ...NO_TARGET };
}

export function text(path: string, size: number): Entry {
  return { ...file(path, size), kind: "text" };
}

export function directory(path: string): Entry {
  return { ...file(path, 0), kind: "directory", mode: 0o755 };
}

export function bytes(content: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(content));
}

export function write(number: number, offset: number, payload: Uint8Array<ArrayBuffer>): Content {
  return { type: "data", number, offset, payload };
}

/** The end of a file whose content is `content`. */
export function end(number: number, content: Uint8Array): Content {
  const digest = new Uint8Array(createHash("sha256").update(content).digest());
  return { type: "end", number, size: content.length, digest };
}

/** The content of a file, in frames of `frame` bytes. */
export function whole(
  number: number,
  content: Uint8Array<ArrayBuffer>,
  frame = 65536,
): readonly Content[] {
  const writes: Content[] = [];
  for (let offset = 0; offset < content.length; offset += frame) {
    writes.push(write(number, offset, content.slice(offset, offset + frame)));
  }
  return [...writes, end(number, content)];
}
