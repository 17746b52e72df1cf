/**
 * The list of parts of earlier transfers, with buttons that delete them.
 *
 * Imports types and texts.
 */
import { describePart, left, nameOfPart } from "../continuing.ts";
import type { FoundPart } from "../files/parts.ts";
import { described, element, part, show, showText } from "./elements.ts";

/** The functions that the list calls. */
export interface LeftHandlers {
  /** Return the parts that no transfer is writing. */
  free(): Promise<readonly FoundPart[]>;
  /** Delete them; the last time they were listed they were there. */
  remove(parts: readonly FoundPart[]): Promise<void>;
}

/** The list. */
export class Left {
  readonly #handlers: LeftHandlers;

  constructor(handlers: LeftHandlers) {
    this.#handlers = handlers;
  }

  /** List what is there now; hide the list if that is nothing. */
  async refresh(): Promise<void> {
    const parts = await this.#handlers.free();
    const now = Date.now();
    const rows = parts.map((one) => {
      const name = nameOfPart(one);
      const button = this.#button(left.remove, [one]);
      button.setAttribute("aria-label", left.removeNamed(name));
      const text = element("span", {}, ...described(one.file.path, describePart(one, now)));
      return element("li", { "data-path": one.file.path }, text, " ", button);
    });
    showText("left-title", left.title);
    showText("left-how", left.how);
    part("left-files").replaceChildren(...rows);
    part("left-all").replaceChildren(
      ...(parts.length > 1 ? [this.#button(left.removeAll, parts)] : []),
    );
    show(parts.length > 0, "left");
  }

  #button(text: string, parts: readonly FoundPart[]): HTMLElement {
    const button = element("button", { type: "button" }, text);
    button.onclick = async () => {
      button.disabled = true;
      await this.#handlers.remove(parts);
      await this.refresh();
      // The button that had the focus is gone.
      part("title").focus();
    };
    return button;
  }
}
