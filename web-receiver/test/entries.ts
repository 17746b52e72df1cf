/** Entries and content for tests of sinks and sources. */
import { createHash } from "node:crypto";
import type { Bytes, Content, End, Hole } from "../src/content.ts";
import type { Entry } from "../src/entry.ts";

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

export function bytes(content: string): Bytes {
  return new Uint8Array(new TextEncoder().encode(content));
}

export function write(number: number, offset: number, payload: Bytes): Content {
  return { type: "data", number, offset, payload, cost: 0 };
}

/** The end of a file whose content is `content`. */
export function end(number: number, content: Uint8Array): End {
  const digest = new Uint8Array(createHash("sha256").update(content).digest());
  return endOf(number, content.length, digest);
}

/** The end of a file of `size` bytes, without content. */
export function endOf(number: number, size: number, digest: Bytes): End {
  return { type: "end", number, size, digest, payload: new Uint8Array(), cost: 0 };
}

export function hole(number: number, offset: number, length: number): Hole {
  return { type: "hole", number, offset, length, cost: 0 };
}

/** The content of a file, in frames of `frame` bytes. */
export function whole(number: number, content: Bytes, frame = 65536): readonly Content[] {
  const writes: Content[] = [];
  for (let offset = 0; offset < content.length; offset += frame) {
    writes.push(write(number, offset, content.slice(offset, offset + frame)));
  }
  return [...writes, end(number, content)];
}
