/** One file and nothing else: the target itself. */
import { LocalProtocolError } from "../../errors.ts";
import type { Output, Place, Target } from "./output.ts";

/** The place that is `target`. */
export class SinglePlace implements Place {
  readonly withholds = false;
  readonly spoiled = "";
  readonly #target: Target;
  #opened = false;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Begin the one file, whatever its name: the target has its own. */
  async open(): Promise<Output> {
    if (this.#opened) throw new LocalProtocolError("a second file where there is room for one");
    this.#opened = true;
    return this.#target;
  }

  /** Do nothing: a file that is saved alone is saved without its folders. */
  async makeFolder(): Promise<void> {}

  finish() {
    return this.#target.exports();
  }

  discard() {
    return this.#target.discard();
  }
}
