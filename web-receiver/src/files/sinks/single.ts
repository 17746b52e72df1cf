/** A single file: the target itself. */
import { LocalProtocolError } from "../../errors.ts";
import type { Output, Place, Target } from "./output.ts";

/** The place that consists of `target`. */
export class SinglePlace implements Place {
  readonly withholds = false;
  readonly spoiled = "";
  readonly #target: Target;
  #opened = false;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Begin the one file; its name is that of the target. */
  async open(): Promise<Output> {
    if (this.#opened) throw new LocalProtocolError("a second file where there is room for one");
    this.#opened = true;
    return this.#target;
  }

  /** Do nothing: a single file is saved without its folders. */
  async makeFolder(): Promise<void> {}

  finish() {
    return this.#target.exports();
  }

  async discard() {
    await this.#target.discard();
    return this.#target.exports();
  }
}
