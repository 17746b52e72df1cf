/**
 * The choice of what to send, by file dialogs, by dropping and by pasting, and its list.
 *
 * Imports types, strings and pure helpers.
 */
import { ends } from "../continuing.ts";
import type { Choice } from "../files/choosing.ts";
import { printable } from "../printable.ts";
import { byTop, Selection } from "../selection.ts";
import { fixed, strings } from "../strings.ts";
import { counted, describeEntries, describeProblems, listed, size, total } from "../wording.ts";
import { described, element, fill, on, part, show, showText } from "./elements.ts";

/** The functions that the choice calls. */
export interface PickHandlers {
  /** List the files of a dialog, a drop or a paste; called in the handler of that event. */
  gather(from: FileList | DataTransfer, pasted: boolean): Promise<Choice>;
  /** Join two choices. */
  join(first: Choice, second: Choice): Choice;
}

const NOTHING: Choice = { chosen: [], problems: [] };

/** The current choice of the user. */
export class Picks {
  readonly #handlers: PickHandlers;
  #choice = NOTHING;
  #active = false;
  #kept = false;
  /** Number of choices whose folders are being read. */
  #reading = 0;
  /** Paths of files that exist on the other side. */
  #existing: ReadonlySet<string> = new Set();

  /** Listen to the whole page; files are ignored before `begin`. */
  constructor(handlers: PickHandlers) {
    this.#handlers = handlers;
    on("unpick", "click", () => this.#leaveOutExisting());
    for (const id of ["pick-files", "pick-folder"]) {
      const input = part<HTMLInputElement>(id);
      input.onchange = () => {
        if (input.files !== null && input.files.length > 0) this.#add(input.files);
        // Otherwise removed files could not be chosen again.
        input.value = "";
      };
    }
    document.addEventListener("dragover", (event) => {
      // Otherwise the browser opens the dropped file in place of the page.
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

  /** Start with an empty choice, or with the kept one. */
  begin(): void {
    this.#active = true;
    this.#choice = this.#kept ? { chosen: this.#choice.chosen, problems: [] } : NOTHING;
    if (!this.#kept) this.mark([]);
    this.#list();
  }

  /** Keep the choice for another try with the same code. */
  keep(kept = true): void {
    this.#kept = kept;
  }

  /** Mark the paths that exist on the other side. */
  mark(existing: readonly string[]): void {
    this.#existing = new Set(existing);
  }

  /** Whether files have been chosen and not been sent. */
  get isPending(): boolean {
    return this.#active && this.#choice.chosen.length > 0;
  }

  /** Stop accepting files, and return the chosen ones. */
  end(): Choice["chosen"] {
    this.#active = false;
    return this.#choice.chosen;
  }

  /** Remove the files that exist on the other side, and folders that become empty. */
  #leaveOutExisting(): void {
    const { chosen } = this.#choice;
    const selection = new Selection(chosen.map(({ entry }) => entry));
    const present = chosen.flatMap(({ entry }, number) =>
      this.#existing.has(entry.path) ? [number] : [],
    );
    selection.set(present, false);
    const wanted = selection.wanted();
    this.#choice = { chosen: chosen.filter((_one, number) => wanted.has(number)), problems: [] };
    this.#list();
    part("title").focus();
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
      const present = entries.filter(({ path }) => this.#existing.has(path)).length;
      const parts = [
        group.length > 1 ? describeEntries(entries) : "",
        bytes,
        present === 0 ? "" : group.length > 1 ? strings.existsOf(present) : strings.exists,
      ];
      const label = strings.removeNamed(printable(top));
      const remove = element("button", { type: "button", "aria-label": label }, strings.remove);
      remove.onclick = () => {
        const gone = new Set(group);
        this.#choice = { chosen: chosen.filter((one) => !gone.has(one)), problems: [] };
        this.#list();
        part("title").focus();
      };
      const attributes = { "data-path": top, ...(present > 0 ? { "data-status": "exists" } : {}) };
      return element(
        "li",
        attributes,
        element("div", {}, ...described(top, listed(parts))),
        remove,
      );
    });
    const entries = chosen.map((one) => one.entry);
    const sum = `${describeEntries(entries)}, ${size(total(entries))}`;
    showText("about-saving", chosen.length > 0 ? ends : "");
    showText("sum", this.#reading > 0 ? strings.reading : chosen.length > 0 ? sum : "");
    // One button is highlighted: to choose, to leave out existing files, or to send.
    const some = chosen.length > 0;
    const present = entries.filter(({ path }) => this.#existing.has(path)).length;
    showText("notice", describeProblems(problems) || (present > 0 ? strings.markedExist : ""));
    show(present > 0, "unpick");
    part("unpick").textContent = strings.leaveOutExisting(counted(present, "file"));
    part("send").classList.toggle("main", present === 0);
    part("pick-first").classList.toggle("main", !some);
    part("pick-label").textContent = (some ? strings.filesMore : fixed.files) ?? "";
    part("send").hidden = !some;
    part("send").textContent = strings.sendPart(describeEntries(entries));
    part<HTMLButtonElement>("send").disabled = this.#reading > 0;
  }
}
