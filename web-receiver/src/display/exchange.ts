/**
 * Two codes: shows the local one, and takes that of the other side. A wrong text stays in its box.
 *
 * Imports strings and pure helpers.
 */
import { strings } from "../strings.ts";
import { copyFrom, on, part, showText, submitOnEnter } from "./elements.ts";

/** The actions of the user. */
interface ExchangeHandlers {
  /** Create an offer, with these servers. */
  exchange(servers: string): void;
  /** The code of the other side was entered. */
  answer(text: string): void;
}

/** The part of the page for two codes. */
export class Exchange {
  readonly #handlers: ExchangeHandlers;

  constructor(handlers: ExchangeHandlers) {
    this.#handlers = handlers;
    on("exchange", "submit", () => handlers.answer(part<HTMLTextAreaElement>("answer").value));
    on("renew", "submit", () => this.begin());
    on("copy-code", "click", () => {
      void copyFrom(part<HTMLTextAreaElement>("own-code").value, part("copy-code"));
    });
    submitOnEnter("answer");
  }

  /** Ask for a code. */
  begin(): void {
    this.#handlers.exchange(part<HTMLTextAreaElement>("servers").value);
  }

  /** Show our code; an empty one is still being made. */
  show(code: string): void {
    const box = part<HTMLTextAreaElement>("own-code");
    box.value = code;
    box.placeholder = code === "" ? strings.making : "";
    part<HTMLButtonElement>("copy-code").disabled = code === "";
    part("copy-code").textContent = strings.copy;
    this.refuse("");
    if (code === "") part<HTMLTextAreaElement>("answer").value = "";
  }

  /** Show what is wrong, beside the field; nothing if `why` is empty. */
  refuse(why: string): void {
    showText("answer-problem", why);
    part("answer").setAttribute("aria-invalid", String(why !== ""));
    if (why !== "") part("answer").focus();
  }
}
