/**
 * The list of what is offered: which of it is wanted, and where it shall be saved.
 *
 * Imports types, strings and pure helpers.
 */
import type { Entry } from "../entry.ts";
import type { DestinationChoice } from "../files/capabilities.ts";
import type { Destination } from "../files/operations.ts";
import { Selection } from "../selection.ts";
import { destinations, strings } from "../strings.ts";
import { describeEntries, hiddenNames, measure, sentence, size, total } from "../wording.ts";
import { described, element, fill, part, say, show } from "./elements.ts";

/** What an offer needs of the page. */
export interface OfferHandlers {
  /** The ways to save what is wanted of the entries, by number; best first, at least one. */
  destinations(
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ): readonly DestinationChoice[];
  /** Called in a click, so that a dialog may open; AbortError if the person closes it. */
  open(
    type: Destination["type"],
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ): Promise<Destination>;
}

/** One offer on the screen. */
export class Offer {
  readonly #entries: readonly Entry[];
  readonly #handlers: OfferHandlers;
  readonly #selection: Selection;
  readonly #boxes: HTMLInputElement[] = [];
  #ways: readonly DestinationChoice[] = [];
  #way: Destination["type"] | null = null;

  /** Put it on the screen, with everything wanted. */
  constructor(entries: readonly Entry[], handlers: OfferHandlers) {
    this.#entries = entries;
    this.#handlers = handlers;
    this.#selection = new Selection(entries);
    const { listed } = this.#selection;
    say("hidden-names", hiddenNames(entries));
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
      this.#update();
    };
    show(listed.length > 1, "every");
    this.#update();
  }

  /** What is not wanted, and why. */
  skip(): ReadonlyMap<number, string> {
    return this.#selection.skip();
  }

  /** Open the place to save it in; null if the person, or the browser, doesn't want to. */
  async open(): Promise<Destination | null> {
    const accept = part<HTMLButtonElement>("accept");
    accept.disabled = true;
    say("notice", "");
    try {
      const way = this.#way ?? "memory";
      return await this.#handlers.open(way, this.#entries, this.#selection.wanted());
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      if (error.name !== "AbortError") say("notice", sentence(error.message));
      accept.disabled = false;
      // A disabled button loses the focus, and a keyboard its place on the page.
      accept.focus();
      return null;
    } finally {
      accept.disabled = false;
    }
  }

  #row(number: number, several: boolean): HTMLElement {
    const entry = this.#entries[number];
    if (entry === undefined) return element("li", {});
    const said = described(entry.path, measure(entry));
    const content = several ? this.#box([number], ...said) : element("div", {}, ...said);
    return element("li", { "data-path": entry.path }, content);
  }

  #box(numbers: readonly number[], ...said: readonly (Node | string)[]): HTMLElement {
    const box = element("input", { type: "checkbox" });
    box.checked = true;
    box.onchange = () => {
      this.#selection.set(numbers, box.checked);
      this.#update();
    };
    this.#boxes.push(box);
    return element("label", {}, box, ...said);
  }

  #update(): void {
    const wanted = this.#selection.wanted();
    const entries = this.#entries.filter((_entry, number) => wanted.has(number));
    const bytes = size(total(entries));
    const sum = entries.length > 0 ? `${describeEntries(entries)}, ${bytes}` : strings.noneChosen;
    say("sum", this.#boxes.length > 0 ? sum : "");
    part<HTMLButtonElement>("accept").disabled = entries.length === 0;
    part<HTMLInputElement>("all").checked = this.#boxes.every((box) => box.checked);
    this.#listWays(this.#handlers.destinations(this.#entries, wanted));
    const way = this.#ways.find(({ type }) => type === this.#way);
    say("doubt", way?.risky === true ? strings.doubt(bytes) : "");
  }

  #listWays(ways: readonly DestinationChoice[]): void {
    const before = this.#ways.map(({ type }) => type).join();
    this.#ways = ways;
    if (before === ways.map(({ type }) => type).join()) return;
    this.#way = ways[0]?.type ?? null;
    const radios = ways.map(({ type }, place) => {
      const radio = element("input", { type: "radio", name: "destination", value: type });
      radio.checked = place === 0;
      radio.onchange = () => {
        this.#way = type;
        this.#update();
      };
      return element("label", {}, radio, destinations[type]);
    });
    part("radios").replaceChildren(...radios);
    show(ways.length > 1, "ways");
  }
}
