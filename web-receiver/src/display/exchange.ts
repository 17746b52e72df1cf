/**
 * Two codes: ours to give away, theirs to be pasted. Nothing that was pasted is lost to a mistake.
 *
 * Imports strings and pure helpers.
 */
import { strings } from "../strings.ts";
import { copyFrom, on, part, say } from "./elements.ts";

/** What happens here that somebody else does. */
interface ExchangeHandlers {
  /** Make a code, with these servers. */
  exchange(servers: string): void;
  /** The other side's code was entered. */
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
      void copyFrom(part<HTMLTextAreaElement>("own-code"), part("copy-code"));
    });
    // Enter connects, as in a field of one line; a code has no lines.
    part("answer").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      part<HTMLFormElement>("exchange").requestSubmit();
    });
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

  /** Say what is wrong, beside the field; empty if nothing is. */
  refuse(why: string): void {
    say("answer-problem", why);
    part("answer").setAttribute("aria-invalid", String(why !== ""));
    if (why !== "") part("answer").focus();
  }
}
