/** A text entry, kept in memory to be shown; never saved. */
import type { Bytes } from "../../content.ts";
import { DestinationError } from "../../errors.ts";
import { MAX_TEXT } from "../intake.ts";
import { joined, type Output } from "./output.ts";

/** Collects one text. */
export class TextOutput implements Output {
  readonly saved = "";
  #pieces: Bytes[] = [];
  #size = 0;

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      this.#size += piece.length;
      if (this.#size > MAX_TEXT) throw new DestinationError("a text is too long to show");
      this.#pieces.push(piece);
    }
  }

  async skip(length: number): Promise<void> {
    // One byte too many has the same effect as a GiB too many.
    await this.write([new Uint8Array(Math.min(length, MAX_TEXT + 1))]);
  }

  async finish(): Promise<void> {}

  async discard(): Promise<void> {
    this.#pieces = [];
  }

  /** Decode the text as UTF-8; invalid bytes are replaced. */
  text(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(joined(this.#pieces));
  }
}
