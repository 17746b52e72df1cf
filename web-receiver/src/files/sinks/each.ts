/** Loose files: every one has a target of its own. */
import type { Entry } from "../../entry.ts";
import type { Export } from "../contract.ts";
import { FreeNames, safePath, savedName } from "../names.ts";
import type { Output, Place, Target } from "./output.ts";

/** Opens the target of one file, by its safe name and its number from 0. */
type Open = (name: string, number: number, entry: Entry) => Promise<Target>;

/** Gives each file a target, and each complete one to the downloads. */
export class EachPlace implements Place {
  readonly withholds = false;
  readonly spoiled = "";
  readonly #open: Open;
  readonly #names = new FreeNames();
  readonly #targets: Target[] = [];

  constructor(open: Open) {
    this.#open = open;
  }

  async open(entry: Entry): Promise<Output> {
    const name = this.#names.take(savedName(safePath(entry.path).at(-1) ?? ""));
    const target = await this.#open(name, this.#targets.length, entry);
    this.#targets.push(target);
    return target;
  }

  /** Do nothing: loose files are in no folder. */
  async makeFolder(): Promise<void> {}

  async handOver(output: Output): Promise<Export | undefined> {
    const target = this.#targets.find((one) => one === output);
    return (await target?.exports())?.[0];
  }

  finish(): Promise<readonly Export[]> {
    return this.#exports();
  }

  async discard(): Promise<readonly Export[]> {
    for (const target of this.#targets) await target.discard();
    return this.#exports();
  }

  async #exports(): Promise<readonly Export[]> {
    return (await Promise.all(this.#targets.map((target) => target.exports()))).flat();
  }
}
