/**
 * Short codes: shows that of this page, and completes the words of one that is typed.
 *
 * Imports strings and pure helpers.
 */
import { fixed, strings } from "../strings.ts";
import { sentence } from "../wording.ts";
import { copyShown, element, on, part, show, showText } from "./elements.ts";

/** Entries of the list of completions. */
const MOST = 12;

/** The actions of the user. */
export interface ShowingHandlers {
  /** Show a short code, to send or to receive. */
  showCode(role: "sender" | "receiver"): void;
  /** Return texts that complete what is typed. */
  complete(typed: string): readonly string[];
}

/** The part of the page for short codes. */
export class Showing {
  #another: () => void = () => undefined;

  constructor(handlers: ShowingHandlers) {
    on("show-send", "click", () => handlers.showCode("sender"));
    on("show-receive", "click", () => handlers.showCode("receiver"));
    on("another", "click", () => this.#another());
    on("short-code", "click", () => void this.#copy());
    const field = part<HTMLInputElement>("code");
    field.addEventListener("input", () => {
      const options = handlers.complete(field.value).slice(0, MOST);
      part("words").replaceChildren(...options.map((value) => element("option", { value })));
    });
  }

  /** Show the code and until when it works; null: a new one is made. */
  show(code: string | null): void {
    show(false, "another");
    show(code !== null, "short-code");
    // A server begins a line of its own where the line is too short for both.
    const [words = "", ...host] = (code ?? "").split(/(?=@)/);
    const named = host.map((text) => element("small", {}, text));
    part("short-code").replaceChildren(words, element("wbr", {}), ...named);
    part("code-state").textContent = code === null ? sentence(strings.making) : strings.shown;
    showText("copied", code === null ? "" : strings.copies);
  }

  /** Offer a button for another code in place of this one; resolve when it is pressed. */
  confirm(): Promise<void> {
    this.show(null);
    part("code-state").textContent = strings.wrongCodes;
    show(true, "another");
    return new Promise((resolve) => {
      this.#another = resolve;
    });
  }

  async #copy(): Promise<void> {
    if (await copyShown(part("short-code"))) showText("copied", sentence(fixed.copied ?? ""));
  }
}
