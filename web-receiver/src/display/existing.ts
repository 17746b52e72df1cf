/**
 * The question what to do about files that exist in the chosen folder.
 *
 * Imports strings and pure helpers.
 */
import type { Existing } from "../files/contract.ts";
import { printable } from "../printable.ts";
import { strings } from "../strings.ts";
import { counted, grouped } from "../wording.ts";
import { nameOf, on, part, show, showText } from "./elements.ts";

/** Names that are listed. */
const MAX_NAMES = 3;

/** The answer of the user; `back` returns to the offer. */
export type Answer = Existing | "skip" | "back";

const ANSWERS: readonly Answer[] = ["rename", "overwrite", "skip", "back"];

/** Asks once for each offer. */
export class ExistingFiles {
  #resolve: (answer: Answer) => void = () => undefined;

  constructor() {
    for (const answer of ANSWERS) on(`existing-${answer}`, "click", () => this.#end(answer));
  }

  /** Ask about the files at `paths`, at least one, in the folder `name`. */
  ask(paths: readonly string[], name: string): Promise<Answer> {
    const more = paths.length - MAX_NAMES;
    const names = paths.slice(0, MAX_NAMES).flatMap((path) => [", ", nameOf(path)]);
    part("existing-names").replaceChildren(
      ...names.slice(1),
      more > 0 ? ` ${strings.more(grouped(more))}` : "",
    );
    showText("existing-title", strings.existing(counted(paths.length, "file"), printable(name)));
    show(true, "existing");
    show(false, "actions");
    part("existing-title").focus();
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  #end(answer: Answer): void {
    show(false, "existing");
    show(true, "actions");
    this.#resolve(answer);
  }
}
