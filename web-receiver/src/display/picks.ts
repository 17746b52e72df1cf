/**
 * Choosing what to send: file dialogs, drops anywhere on the page, pastes; and the list of it.
 *
 * Imports types, strings and pure helpers.
 */
import type { Choice } from "../files/choosing.ts";
import { printable } from "../printable.ts";
import { byTop } from "../selection.ts";
import { strings } from "../strings.ts";
import { describeEntries, grouped, listed, sentence, size, total } from "../wording.ts";
import { described, element, fill, part, say } from "./elements.ts";

/** What the choice needs of the page. */
export interface PickHandlers {
  /** List what a dialog, a drop or a paste brought; called in that very event. */
  gather(from: FileList | DataTransfer, pasted: boolean): Promise<Choice>;
  /** Join what was chosen one after another. */
  join(first: Choice, second: Choice): Choice;
}

const NOTHING: Choice = { chosen: [], problems: [] };

/** What a person has chosen so far. */
export class Picks {
  readonly #handlers: PickHandlers;
  #choice = NOTHING;
  #active = false;
  /** How many folders are being looked through. */
  #reading = 0;

  /** Listen to the whole page; nothing is taken before `begin`. */
  constructor(handlers: PickHandlers) {
    this.#handlers = handlers;
    for (const id of ["pick-files", "pick-folder"]) {
      const input = part<HTMLInputElement>(id);
      input.onchange = () => {
        if (input.files !== null && input.files.length > 0) this.#add(input.files);
        // So that the same files can be chosen again after they were removed.
        input.value = "";
      };
    }
    document.addEventListener("dragover", (event) => {
      // Otherwise the browser opens what is dropped, and the page is gone.
      event.preventDefault();
      part("drop").classList.add("over");
    });
    document.addEventListener("dragleave", () => part("drop").classList.remove("over"));
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      part("drop").classList.remove("over");
      if (event.dataTransfer !== null) this.#add(event.dataTransfer);
    });
    document.addEventListener("paste", ({ clipboardData }) => {
      if (clipboardData !== null && clipboardData.files.length > 0) this.#add(clipboardData, true);
    });
  }

  /** Start with nothing chosen. */
  begin(): void {
    this.#active = true;
    this.#choice = NOTHING;
    this.#list();
  }

  /** Take no more, and return what was chosen. */
  end(): Choice["chosen"] {
    this.#active = false;
    return this.#choice.chosen;
  }

  async #add(from: FileList | DataTransfer, pasted = false): Promise<void> {
    if (!this.#active) return;
    this.#reading += 1;
    this.#list();
    try {
      const added = await this.#handlers.gather(from, pasted);
      this.#choice = this.#handlers.join(this.#choice, added);
    } catch (error) {
      this.#choice = { ...this.#choice, problems: [{ path: "", reason: String(error) }] };
    }
    this.#reading -= 1;
    if (this.#active) this.#list();
  }

  #list(): void {
    const { chosen, problems } = this.#choice;
    const tops = [...byTop(chosen)];
    fill("files", tops, ([top, group]) => {
      const entries = group.map((one) => one.entry);
      const bytes = size(total(entries));
      const said = group.length > 1 ? `${describeEntries(entries)}, ${bytes}` : bytes;
      const label = strings.removeNamed(printable(top));
      const remove = element("button", { type: "button", "aria-label": label }, strings.remove);
      remove.onclick = () => {
        const gone = new Set(group);
        this.#choice = { chosen: chosen.filter((one) => !gone.has(one)), problems: [] };
        this.#list();
        part("title").focus();
      };
      return element(
        "li",
        { "data-path": top },
        element("div", {}, ...described(top, said)),
        remove,
      );
    });
    const entries = chosen.map((one) => one.entry);
    const sum = `${describeEntries(entries)}, ${size(total(entries))}`;
    say("sum", this.#reading > 0 ? strings.reading : chosen.length > 0 ? sum : "");
    say("notice", describeProblems(problems));
    part<HTMLButtonElement>("send").disabled = chosen.length === 0 || this.#reading > 0;
  }
}

function describeProblems(problems: Choice["problems"]): string {
  const [first] = problems;
  if (first === undefined) return "";
  const said = sentence(listed([printable(first.path), first.reason], ": "));
  return problems.length > 1
    ? `${said} ${sentence(strings.more(grouped(problems.length - 1)))}`
    : said;
}
