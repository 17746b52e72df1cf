/**
 * Several files as one zip, written to any target while they are received.
 *
 * A file of up to 8 MiB waits in memory for its digest, so that a damaged one can be left out. A
 * larger one is written as it is received; if it fails, the whole zip has failed, because nothing
 * can be removed from it.
 */
import type { Bytes } from "../../content.ts";
import type { Entry } from "../../entry.ts";
import { DestinationError } from "../../errors.ts";
import type { Export } from "../contract.ts";
import { zeros } from "../intake.ts";
import { FreeNames, folded, safePath, savedName } from "../names.ts";
import { ZipFormat } from "../zipformat.ts";
import { joined, type Output, type Place, type Target } from "./output.ts";

/** Bytes of one file that are held back at most. */
const MAX_HELD = 8 << 20;
/** Bytes of small files, and of records between them, that are written together. */
const MAX_GATHERED = 1 << 20;

/** Makes a zip in `target`. */
export class ZipPlace implements Place {
  readonly withholds = true;
  readonly #target: Target;
  readonly #format = new ZipFormat();
  readonly #names = new FreeNames();
  /** Folded paths of the files and of the folders: a path that is both can't be unpacked. */
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();
  #gathered: Bytes[] = [];
  #size = 0;
  #spoiled = "";
  #empty = true;

  constructor(target: Target) {
    this.#target = target;
  }

  get spoiled(): string {
    return this.#spoiled;
  }

  async open(entry: Entry): Promise<Output> {
    const path = safePath(entry.path).map(savedName);
    this.#enter(path.slice(0, -1));
    const name = this.#names.take(path.join("/"));
    this.#files.add(folded(name));
    const member = { name, mode: entry.mode, time: zipTime(entry.mtime) };
    return new ZipOutput(`${this.#target.saved}/${name}`, entry.size, {
      whole: (content) => this.#write([this.#format.whole(member, content), ...content]),
      begin: () => this.#write([this.#format.begin(member, entry.size)]),
      put: async (pieces) => {
        for (const piece of pieces) this.#format.count(piece);
        await this.#flush(pieces);
      },
      end: () => this.#write([this.#format.end()]),
      spoil: () => this.#spoil("the zip is lost, since a large file in it could not be completed"),
    });
  }

  async makeFolder({ path, mode, mtime }: Entry): Promise<void> {
    const folders = safePath(path).map(savedName);
    this.#enter(folders);
    const name = `${folders.join("/")}/`;
    await this.#write([this.#format.whole({ name, mode, time: zipTime(mtime) }, [])]);
  }

  async finish(): Promise<readonly Export[]> {
    if (this.#spoiled !== "") return [];
    if (this.#empty) {
      await this.discard();
      return [];
    }
    await this.#flush(this.#format.finish());
    await this.#target.finish();
    return this.#target.exports();
  }

  async discard(): Promise<readonly Export[]> {
    this.#gathered = [];
    await this.#target.discard();
    return [];
  }

  /** Add a folder and its parents. Throws DestinationError if one has the name of a file. */
  #enter(folders: readonly string[]): void {
    if (folders.length === 0) return;
    const path = folders.join("/");
    const key = folded(path);
    if (this.#folders.has(key)) return;
    if (this.#files.has(key)) {
      throw new DestinationError("something else of that name is in the way");
    }
    this.#enter(folders.slice(0, -1));
    this.#folders.add(key);
    // A file of that name gets a number.
    this.#names.take(path);
  }

  /** Write `pieces`, now or with the next ones: the outcomes `ok` wait for finish(). */
  async #write(pieces: readonly Bytes[]): Promise<void> {
    this.#empty = false;
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#size + size > MAX_GATHERED) {
      await this.#flush(pieces);
      return;
    }
    for (const piece of pieces) this.#gathered.push(piece);
    this.#size += size;
  }

  /** Write what was gathered, and `pieces`. */
  async #flush(pieces: readonly Bytes[]): Promise<void> {
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#size = 0;
    const before = gathered.length > 0 ? [joined(gathered)] : [];
    try {
      await this.#target.write([...before, ...pieces]);
    } catch (error) {
      await this.#spoil("the zip is lost, since a part of it could not be written");
      throw error;
    }
  }

  async #spoil(reason: string): Promise<void> {
    this.#spoiled ||= reason;
    await this.discard();
  }
}

/** Operations of a file on its zip. */
interface Zip {
  /** Write a complete file. */
  whole(content: readonly Bytes[]): Promise<void>;
  /** Begin a file, write pieces of it, end it. */
  begin(): Promise<void>;
  put(pieces: readonly Bytes[]): Promise<void>;
  end(): Promise<void>;
  /** Note that the zip can't be completed any more. */
  spoil(): Promise<void>;
}

/** One file of a zip: held back at first, or entirely if it stays small. */
class ZipOutput implements Output {
  readonly saved: string;
  readonly #zip: Zip;
  #held: Bytes[] = [];
  #size = 0;
  /** Whether its first byte is in the zip; null when it has ended. */
  #begun: boolean | null = false;
  readonly #isLarge: boolean;

  /** `size`: bytes announced; null if not known. */
  constructor(saved: string, size: number | null, zip: Zip) {
    this.saved = saved;
    this.#zip = zip;
    this.#isLarge = size !== null && size > MAX_HELD;
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    if (this.#begun === true) {
      await this.#zip.put(pieces);
      return;
    }
    for (const piece of pieces) {
      this.#held.push(piece);
      this.#size += piece.length;
    }
    if (this.#isLarge || this.#size > MAX_HELD) await this.#begin();
  }

  async skip(length: number): Promise<void> {
    // Each block is a new one: a piece is written once, and transferred.
    for (const { length: size } of zeros(length)) await this.write([new Uint8Array(size)]);
  }

  async finish(): Promise<void> {
    const held = this.#take();
    if (this.#begun === true) await this.#zip.end();
    else {
      // From here on a failure leaves a part of it in the zip.
      this.#begun = true;
      await this.#zip.whole(held);
    }
    this.#begun = null;
  }

  async discard(): Promise<void> {
    const begun = this.#begun;
    this.#begun = null;
    this.#take();
    if (begun === true) await this.#zip.spoil();
  }

  async #begin(): Promise<void> {
    this.#begun = true;
    await this.#zip.begin();
    await this.#zip.put(this.#take());
  }

  #take(): Bytes[] {
    const held = this.#held;
    this.#held = [];
    return held;
  }
}

/** Return a time within the years of a zip, 1980 to 2107. */
function zipTime(mtime: number | null): Date {
  const time = new Date(mtime === null ? Date.now() : mtime / 1000);
  const year = time.getFullYear();
  return year >= 1980 && year <= 2107 ? time : new Date(1980, 0, 1);
}
