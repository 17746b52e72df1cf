/**
 * Short codes: shows that of this page, and completes the words of one that is typed.
 *
 * Imports strings and pure helpers.
 */
import { canShare, share } from "../device.ts";
import { UsageError } from "../errors.ts";
import { qrCode } from "../qr.ts";
import { fixed, strings } from "../strings.ts";
import { listed, sentence } from "../wording.ts";
import {
  copyFrom,
  copyText,
  element,
  fitHeight,
  isolated,
  on,
  part,
  show,
  showText,
  submitOnEnter,
} from "./elements.ts";

/** Words of the list of completions. */
const MOST = 6;
/** Light modules around a QR code. */
const QUIET = 4;

/** A short code that is shown, and how the other side enters it. */
export interface Shown {
  readonly code: string;
  /** The command for a terminal. */
  readonly command: string;
  /** The link to this page with the code; empty if another device can't open it. */
  readonly link: string;
}

/** The actions of the user. */
export interface ShowingHandlers {
  /**
   * Show a short code, to send or to receive; with the server that was typed, if any. Throws
   * UsageError if that is not a server.
   */
  showCode(role: "sender" | "receiver", server: string): void;
  /** Return texts that complete what is typed. */
  complete(typed: string): readonly string[];
}

/** The part of the page for short codes. */
export class Showing {
  readonly #handlers: ShowingHandlers;
  #another: () => void = () => undefined;
  #link = "";

  constructor(handlers: ShowingHandlers) {
    this.#handlers = handlers;
    on("show-send", "click", () => this.#begin("sender"));
    on("show-receive", "click", () => this.#begin("receiver"));
    on("another", "click", () => this.#another());
    on("short-code", "click", () => void this.#copy());
    on("copy-link", "click", () => void copyFrom(this.#link, part("copy-link")));
    on("share-link", "click", () => share({ url: this.#link }));
    on("code", "input", () => this.#suggest());
    on("server", "input", () => {
      this.server = part<HTMLInputElement>("server").value.trim();
      this.#refuse("");
    });
    submitOnEnter("code");
    part("qr").setAttribute("aria-label", strings.qr);
  }

  /** Show the commands of the other side with a server, without which its codes don't work here. */
  set server(name: string) {
    for (const node of document.querySelectorAll(".on-server")) {
      node.replaceChildren(...isolated(name === "" ? "" : ` --server ${name}`));
    }
  }

  /** Show a code and until when it works; null: a new one is made. */
  show(shown: Shown | null): void {
    const { code, command, link } = shown ?? { code: "", command: "", link: "" };
    this.#link = link;
    show(false, "another");
    show(code !== "", "short-code", "terminal");
    // If the line is too short, it is broken before the server, then within its name.
    const [words = "", ...host] = code.split(/(?=[@.:])/);
    const named = host.flatMap((text) => [text, element("wbr", {})]);
    part("short-code").replaceChildren(words, element("wbr", {}), element("small", {}, ...named));
    part("code-state").textContent = code === "" ? sentence(strings.making) : strings.shown;
    part("command").replaceChildren(...isolated(command));
    showText("copied", code === "" ? "" : strings.copies);
    show(link !== "", "link");
    show(link !== "" && paint(part<HTMLCanvasElement>("qr"), link), "qr");
    show(link !== "" && canShare({ url: link }), "share-link");
    part("copy-link").textContent = fixed.copyLink ?? "";
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

  /** Remove what was typed. */
  clear(): void {
    part<HTMLTextAreaElement>("code").value = "";
    this.#suggest();
  }

  /** Show a code, once there is a server. */
  #begin(role: "sender" | "receiver"): void {
    const field = part<HTMLInputElement>("server");
    const isNamed = part("no-server").hidden || field.reportValidity();
    if (!isNamed) return;
    this.#refuse("");
    try {
      this.#handlers.showCode(role, field.value.trim());
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#refuse(listed([error.message, error.hint].map(sentence), " "));
    }
  }

  /** Show what is wrong with the server, beside its field; nothing if `why` is empty. */
  #refuse(why: string): void {
    showText("server-problem", why);
    part("server").setAttribute("aria-invalid", String(why !== ""));
    if (why !== "") part("server").focus();
  }

  /** Show what completes the typed text: a button for each word. */
  #suggest(): void {
    const field = part<HTMLTextAreaElement>("code");
    fitHeight(field);
    const words = this.#handlers.complete(field.value).slice(0, MOST);
    const buttons = words.map((text) => {
      const [word = ""] = /[a-z]+(?=-?$)/.exec(text) ?? [];
      const button = element("button", { type: "button" }, word);
      button.addEventListener("click", () => {
        field.value = text;
        this.#suggest();
        field.focus();
      });
      return button;
    });
    part("words").replaceChildren(...buttons);
  }

  async #copy(): Promise<void> {
    const button = part("short-code");
    if (await copyText(button.textContent ?? "", button))
      showText("copied", sentence(fixed.copied ?? ""));
  }
}

/** Draw the QR code of a text; return false if it is too long. */
function paint(canvas: HTMLCanvasElement, text: string): boolean {
  const rows = qrCode(text) ?? [];
  const size = rows.length + 2 * QUIET;
  canvas.width = canvas.height = size;
  const pen = canvas.getContext("2d");
  if (rows.length === 0 || pen === null) return false;
  // Dark on light, in dark mode, too.
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, size, size);
  pen.fillStyle = "#000";
  for (const [y, row] of rows.entries()) {
    for (const [x, dark] of row.entries()) if (dark) pen.fillRect(x + QUIET, y + QUIET, 1, 1);
  }
  return true;
}
