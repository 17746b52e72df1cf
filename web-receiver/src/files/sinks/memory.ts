/** Blob parts: works in every browser, up to its limit of memory. */

import type { Bytes } from "../../content.ts";
import type { Export } from "../contract.ts";
import { zeros } from "../intake.ts";
import type { Target } from "./output.ts";

/** Bytes after which parts become one Blob, which Chromium can move out of memory. */
const FOLD = 32 << 20;

/** A file in memory. */
export class MemoryTarget implements Target {
  readonly saved: string;
  #folded: Blob[] = [];
  #loose: Bytes[] = [];
  #size = 0;
  #finished = false;

  constructor(saved: string) {
    this.saved = saved;
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      this.#loose.push(piece);
      this.#size += piece.length;
    }
    if (this.#size >= FOLD) this.#fold();
  }

  async skip(length: number): Promise<void> {
    this.#fold();
    // One Blob can be part of others many times and needs its memory once.
    let whole: Blob | null = null;
    for (const block of zeros(length)) {
      if (whole?.size !== block.length) whole = new Blob([block]);
      this.#folded.push(whole);
    }
  }

  async finish(): Promise<void> {
    this.#fold();
    this.#finished = true;
  }

  async discard(): Promise<void> {
    if (this.#finished) return;
    this.#folded = [];
    this.#loose = [];
  }

  async exports(): Promise<readonly Export[]> {
    return this.#finished ? [{ name: this.saved, blob: new Blob(this.#folded) }] : [];
  }

  #fold(): void {
    if (this.#size > 0) this.#folded.push(new Blob(this.#loose));
    this.#loose = [];
    this.#size = 0;
  }
}
