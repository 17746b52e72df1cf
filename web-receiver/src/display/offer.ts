/**
 * The list of an offer: which entries the user wants, and where they are saved.
 *
 * Imports types, strings and pure helpers.
 */
import { describeKept } from "../continuing.ts";
import type { Entry } from "../entry.ts";
import type { DestinationChoice } from "../files/capabilities.ts";
import type { Destination } from "../files/contract.ts";
import { Selection } from "../selection.ts";
import { advices, fixed, strings } from "../strings.ts";
import {
  describeEntries,
  describeSaving,
  describeWay,
  hiddenNames,
  listed,
  measure,
  offerTitle,
  sentence,
  size,
  total,
} from "../wording.ts";
import { described, element, fill, part, retitle, show, showText } from "./elements.ts";
import type { ExistingFiles } from "./existing.ts";

/** The functions that an offer calls. */
export interface OfferHandlers {
  /** Return the ways to save the `wanted` entries, best first, at least one. */
  destinations(
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ): readonly DestinationChoice[];
  /** Open the destination, in a click, so that a dialog can open; AbortError if it is closed. */
  open(
    way: DestinationChoice,
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ): Promise<Destination>;
  /** Return the numbers of wanted files that exist in a chosen folder. */
  existing(
    folder: FileSystemDirectoryHandle,
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ): Promise<readonly number[]>;
}

/** An offer on the screen. */
export class Offer {
  readonly #entries: readonly Entry[];
  readonly #handlers: OfferHandlers;
  readonly #selection: Selection;
  readonly #boxes: HTMLInputElement[] = [];
  readonly #existing: ExistingFiles;
  #ways: readonly DestinationChoice[] = [];
  #way: DestinationChoice | null = null;
  /** Files that are left out since they exist. */
  #present: readonly number[] = [];

  /** Show the offer, with all entries selected. */
  constructor(entries: readonly Entry[], handlers: OfferHandlers, existing: ExistingFiles) {
    this.#entries = entries;
    this.#existing = existing;
    this.#handlers = handlers;
    this.#selection = new Selection(entries);
    const { listed } = this.#selection;
    showText("hidden-names", hiddenNames(entries));
    fill(
      "files",
      listed,
      (number) => this.#row(number, listed.length > 1),
      (beyond, text) => this.#box(beyond, text),
    );
    const all = part<HTMLInputElement>("all");
    all.checked = true;
    all.onchange = () => {
      for (const box of this.#boxes) box.checked = all.checked;
      this.#selection.set(listed, all.checked);
      this.update();
    };
    show(listed.length > 1, "every");
    this.update();
  }

  /** Return the numbers of entries that are not wanted, with reasons. */
  skip(): ReadonlyMap<number, string> {
    const skip = this.#selection.skip();
    for (const number of this.#present) skip.set(number, "exists");
    return skip;
  }

  /**
   * Open the destination; null if the user or the browser refuses, or if the offer no longer
   * `stands`, since it may be withdrawn while a dialog is open.
   */
  async open(stands: () => boolean): Promise<Destination | null> {
    // The selection must not change while the user is asked about it.
    this.#hold(true);
    showText("notice", "");
    try {
      if (this.#way === null) return null;
      const wanted = this.#selection.wanted();
      const opened = await this.#handlers.open(this.#way, this.#entries, wanted);
      const settled =
        opened.type === "folder" ? await this.#settle(opened, wanted, stands) : opened;
      return stands() ? settled : null;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (!stands()) return null;
      if (error.name !== "AbortError") showText("notice", sentence(error.message));
      this.#resume();
      return null;
    } finally {
      this.#hold(false);
    }
  }

  /** Prevent changes, and accepting again, while a dialog or a question is open. */
  #hold(held: boolean): void {
    for (const id of ["files", "every", "ways"]) part(id).inert = held;
    part<HTMLButtonElement>("accept").disabled = held || !this.#acceptable();
  }

  /** Enable the buttons, and restore the focus, which a disabled or hidden button has lost. */
  #resume(): void {
    this.#hold(false);
    part("accept").focus();
  }

  #acceptable(): boolean {
    return this.#selection.wanted().size > 0;
  }

  /** Ask about files that exist in the chosen folder; null returns to the offer. */
  async #settle(
    opened: Extract<Destination, { type: "folder" }>,
    wanted: ReadonlySet<number>,
    stands: () => boolean,
  ): Promise<Destination | null> {
    this.#present = [];
    const found = await this.#handlers.existing(opened.handle, this.#entries, wanted);
    if (found.length === 0) return opened;
    // In another state the question would hide the buttons of that state.
    if (!stands()) return null;
    const paths = found.map((number) => this.#entries[number]?.path ?? "");
    const answer = await this.#existing.ask(paths, opened.handle.name);
    if (answer === "back") {
      this.#resume();
      return null;
    }
    if (answer !== "skip") return { ...opened, existing: answer };
    this.#present = found;
    return opened;
  }

  #row(number: number, several: boolean): HTMLElement {
    const entry = this.#entries[number];
    if (entry === undefined) return element("li", {});
    const nodes = described(entry.path, measure(entry));
    const content = several ? this.#box([number], ...nodes) : element("div", {}, ...nodes);
    return element("li", { "data-path": entry.path }, content);
  }

  #box(numbers: readonly number[], ...label: readonly (Node | string)[]): HTMLElement {
    const box = element("input", { type: "checkbox" });
    box.checked = true;
    box.onchange = () => {
      this.#selection.set(numbers, box.checked);
      this.update();
    };
    this.#boxes.push(box);
    return element("label", {}, box, ...label);
  }

  /** Show what follows from the selection. */
  update(): void {
    // A dialog or a question about the selection is open.
    if (part("files").inert) return;
    const wanted = this.#selection.wanted();
    const entries = this.#entries.filter((_entry, number) => wanted.has(number));
    const bytes = size(total(entries));
    const sum = entries.length > 0 ? `${describeEntries(entries)}, ${bytes}` : strings.noneChosen;
    showText("sum", this.#boxes.length > 0 ? sum : "");
    retitle(offerTitle(entries, this.#entries));
    const accept = part<HTMLButtonElement>("accept");
    const some = this.#boxes.length > 0 && entries.length > 0;
    accept.textContent = some ? strings.acceptPart(describeEntries(entries)) : (fixed.accept ?? "");
    accept.disabled = !this.#acceptable();
    part<HTMLInputElement>("all").checked = this.#boxes.every((box) => box.checked);
    this.#listWays(this.#handlers.destinations(this.#entries, wanted));
    const advice = this.#way?.advice ?? [];
    const doubt = [strings.doubt(bytes), ...advice.map((each) => advices[each])];
    showText("doubt", advice.length > 0 ? doubt.join(" ") : "");
    const saving = this.#way === null ? [] : [describeSaving(this.#way), describeKept(this.#way)];
    showText("about-saving", entries.length === 0 ? "" : listed(saving, " "));
  }

  #listWays(ways: readonly DestinationChoice[]): void {
    const before = this.#ways.map(keyOf).join();
    this.#ways = ways;
    const kept = ways.find((way) => this.#way !== null && keyOf(way) === keyOf(this.#way));
    this.#way = kept ?? ways[0] ?? null;
    if (before === ways.map(keyOf).join()) return;
    this.#way = ways[0] ?? null;
    const radios = ways.map((way, place) => {
      const key = keyOf(way);
      const radio = element("input", { type: "radio", name: "destination", value: key });
      radio.checked = place === 0;
      radio.onchange = () => {
        this.#way = this.#ways.find((one) => keyOf(one) === key) ?? null;
        this.update();
      };
      return element("label", {}, radio, describeWay(way, ways));
    });
    part("radios").replaceChildren(...radios);
    show(ways.length > 1, "ways");
    // The choice between a zip and single files is shown; the choice of the place is folded.
    const isChoice = ways[0]?.each === true;
    part<HTMLDetailsElement>("ways").open = isChoice;
    showText("ways-title", isChoice ? strings.howToSave : strings.differently);
  }
}

/** Return the key of a way to save. */
function keyOf({ type, each }: DestinationChoice): string {
  return each ? `${type}-each` : type;
}
