/**
 * Several files as one zip, written as they come in front of any target.
 *
 * A file of up to 8 MiB waits in memory for its digest, so that a bad one is simply left out. A
 * larger one goes into the zip as it comes; if it fails, the zip has failed: nothing can be taken
 * out of it again.
 */
import { makeZip } from "client-zip";
import type { Entry } from "../../entry.ts";
import { DestinationError } from "../../errors.ts";
import { zeros } from "../intake.ts";
import { numbered, safePath, savedName } from "../names.ts";
import type { Export } from "../operations.ts";
import type { Bytes, Output, Place, Target } from "./output.ts";

/** Bytes of one file that are held back at most. */
const MAX_HELD = 8 << 20;
/** Pieces of the zip's own, each of some bytes, that are written in one go. */
const MAX_HEADERS = 1000;
const SPOILED = "the zip is lost, since a large file in it could not be completed";

interface Member {
  readonly name: string;
  readonly lastModified: Date;
  readonly mode: number;
  readonly input?: AsyncIterable<Uint8Array>;
}

/** Makes a zip in `target`. */
export class ZipPlace implements Place {
  readonly withholds = true;
  readonly #target: Target;
  readonly #members = new Handoff<Member | null>();
  readonly #written = new Map<Uint8Array, () => void>();
  readonly #done: Promise<void>;
  readonly #taken = new Set<string>();
  #error: unknown = null;
  #spoiled = "";
  #empty = true;

  constructor(target: Target) {
    this.#target = target;
    this.#done = this.#pump();
    // It is awaited in finish(); until then `#error` tells.
    this.#done.catch(() => undefined);
  }

  get spoiled(): string {
    return this.#spoiled;
  }

  async open(entry: Entry): Promise<Output> {
    const name = this.#freeName(safePath(entry.path).map(savedName).join("/"));
    const held = entry.size === null || entry.size <= MAX_HELD;
    return new ZipOutput(`${this.#target.saved}/${name}`, held, {
      add: (content) => this.#add(name, entry, content),
      put: (piece) => this.#put(piece),
      spoil: () => this.#spoil(),
    });
  }

  async makeFolder(entry: Entry): Promise<void> {
    this.#add(`${safePath(entry.path).map(savedName).join("/")}/`, entry);
  }

  async finish(): Promise<readonly Export[]> {
    if (this.#spoiled !== "") return [];
    if (this.#empty) {
      await this.discard();
      return [];
    }
    this.#members.give(null);
    await this.#done;
    await this.#target.finish();
    return this.#target.exports();
  }

  async discard(): Promise<void> {
    this.#fail(new DestinationError("the zip was given up"));
    await this.#target.discard();
  }

  #add(name: string, { mode, mtime }: Entry, input?: AsyncIterable<Uint8Array>): void {
    const member = { name, mode, lastModified: zipTime(mtime) };
    this.#empty = false;
    this.#members.give(input === undefined ? member : { ...member, input });
  }

  /** Resolve when the target has written `piece`, which `input` of a member gives. */
  #put(piece: Bytes): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== null) {
        reject(this.#error);
        return;
      }
      this.#written.set(piece, () => (this.#error === null ? resolve() : reject(this.#error)));
    });
  }

  async #spoil(): Promise<void> {
    this.#spoiled = SPOILED;
    await this.discard();
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    for (const settle of this.#written.values()) settle();
    this.#written.clear();
  }

  async #pump(): Promise<void> {
    try {
      const reader = makeZip(this.#listed()).getReader();
      let headers: Bytes[] = [];
      for (;;) {
        const { value = new Uint8Array(), done } = await reader.read();
        if (this.#error !== null) throw this.#error;
        // The zip hands pieces through as they are, so this is the very one that was put.
        const settle = this.#written.get(value);
        // Its own bytes are copied, since it looks at them again and a target may give them away.
        headers.push(settle === undefined ? value.slice() : (value as Bytes));
        if (settle === undefined && !done && headers.length < MAX_HEADERS) continue;
        await this.#target.write(headers);
        headers = [];
        if (done) return;
        this.#written.delete(value);
        settle?.();
      }
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  async *#listed(): AsyncGenerator<Member> {
    for (;;) {
      const member = await this.#members.take();
      if (member === null) return;
      yield member;
    }
  }

  // Two names may have become one by `savedName`, or be one where case doesn't count.
  #freeName(path: string): string {
    const slash = path.lastIndexOf("/") + 1;
    let name = path;
    for (let number = 1; this.#taken.has(name.toLowerCase()); number++) {
      name = path.slice(0, slash) + numbered(path.slice(slash), number);
    }
    this.#taken.add(name.toLowerCase());
    return name;
  }
}

/** What a file needs of its zip. */
interface Zip {
  add(content: AsyncIterable<Uint8Array>): void;
  put(piece: Bytes): Promise<void>;
  spoil(): Promise<void>;
}

/** One file of a zip: held back at first, or as a whole if it stays small. */
class ZipOutput implements Output {
  readonly saved: string;
  readonly #zip: Zip;
  readonly #feed = new Handoff<Bytes | null>();
  #held: Bytes[] = [];
  #size = 0;
  #state: "held" | "streaming" | "done" = "held";

  constructor(saved: string, held: boolean, zip: Zip) {
    this.saved = saved;
    this.#zip = zip;
    if (!held) this.#begin();
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    if (this.#state === "held") {
      this.#held.push(...pieces);
      this.#size += pieces.reduce((sum, piece) => sum + piece.length, 0);
      if (this.#size > MAX_HELD) await this.#release();
      return;
    }
    for (const piece of pieces) await this.#put(piece);
  }

  async skip(length: number): Promise<void> {
    // Each block is made anew: one piece is written once, and is gone then.
    for (const { length: size } of zeros(length)) await this.write([new Uint8Array(size)]);
  }

  async finish(): Promise<void> {
    if (this.#state === "held") await this.#release();
    this.#feed.give(null);
    this.#state = "done";
  }

  async discard(): Promise<void> {
    const streaming = this.#state === "streaming";
    this.#state = "done";
    this.#held = [];
    if (streaming) await this.#zip.spoil();
  }

  async #release(): Promise<void> {
    this.#begin();
    const held = this.#held;
    this.#held = [];
    for (const piece of held) await this.#put(piece);
  }

  #begin(): void {
    this.#state = "streaming";
    this.#zip.add(this.#content());
  }

  async #put(piece: Bytes): Promise<void> {
    if (piece.length === 0) return;
    const written = this.#zip.put(piece);
    this.#feed.give(piece);
    await written;
  }

  async *#content(): AsyncGenerator<Bytes> {
    for (;;) {
      const piece = await this.#feed.take();
      if (piece === null) return;
      yield piece;
    }
  }
}

/** Values on their way from one side to another, which waits for them. */
class Handoff<T> {
  readonly #values: T[] = [];
  #waiting: ((value: T) => void) | null = null;

  give(value: T): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#values.push(value);
    else waiting(value);
  }

  async take(): Promise<T> {
    const [value] = this.#values.splice(0, 1);
    if (value !== undefined) return value;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

/** A time that a zip can hold, which begins in 1980 and ends in 2107. */
function zipTime(mtime: number | null): Date {
  const time = new Date(mtime === null ? Date.now() : mtime / 1000);
  const year = time.getFullYear();
  return year >= 1980 && year <= 2107 ? time : new Date(1980, 0, 1);
}
