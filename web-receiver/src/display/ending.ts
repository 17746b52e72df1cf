/**
 * How a run ended: the verdict over each file, what is left to save or to share, what went wrong.
 *
 * Imports types, strings, device.ts and pure helpers.
 */
import { canShare, share } from "../device.ts";
import type { Export } from "../files/operations.ts";
import { printable } from "../printable.ts";
import type { FileFinished } from "../session/events.ts";
import { strings } from "../strings.ts";
import { describeFile, downloadName, type Problem } from "../wording.ts";
import { described, element, fill, on, part, show } from "./elements.ts";

/** Say what went wrong and what to do; with its title where that isn't the heading. */
export function showProblem(problem: Problem, titled = false): void {
  const { kind, title, detail, advice } = problem;
  const said = [titled ? title : "", detail].filter((text) => text !== "");
  part("problem").dataset.kind = kind;
  part("problem").replaceChildren(
    ...said.map((text) => element("p", {}, text)),
    element("ul", {}, ...advice.map((text) => element("li", {}, text))),
  );
  show(true, "problem");
}

/** List the verdicts, the bad ones first. */
export function listVerdicts(files: readonly FileFinished[]): void {
  const bad = files.filter((file) => file.status !== "ok");
  const good = files.filter((file) => file.status === "ok");
  fill("files", [...bad, ...good], (file) =>
    element(
      "li",
      { "data-path": file.path, "data-status": file.status },
      element("div", {}, ...described(file.path, describeFile(file))),
    ),
  );
}

/** What was received and is handed to the browser's downloads. */
export class Downloads {
  readonly #urls = new Map<Export, string>();
  #exports: readonly Export[] = [];

  constructor() {
    on("save", "click", () => this.save());
    on("share", "click", () => share(this.#files()));
  }

  /** Hand these over, and offer to do it again. */
  offer(exports: readonly Export[]): void {
    this.#exports = exports;
    show(exports.length > 0, "save");
    show(canShare(this.#files()), "share");
    this.save();
  }

  /** Let the browser download everything. */
  save(): void {
    for (const one of this.#exports) {
      const url = this.#urls.get(one) ?? URL.createObjectURL(asBytes(one.blob));
      // Kept: nobody says when the browser has read all of it.
      this.#urls.set(one, url);
      const link = element("a", { href: url, download: downloadName(one.name) });
      document.body.append(link);
      link.click();
      link.remove();
    }
  }

  /** Say what was handed over; empty if nothing was. */
  describe(): string {
    return this.#exports.map(({ name }) => strings.handed(printable(name))).join(" ");
  }

  /** Let go of it all: the page is going away. */
  revoke(): void {
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
    this.#urls.clear();
  }

  #files(): File[] {
    return this.#exports.map(({ name, blob }) => new File([blob], name, { type: blob.type }));
  }
}

/** Browsers add an extension of their own to the name of what they take for a text. */
function asBytes(blob: Blob): Blob {
  return blob.slice(0, blob.size, "application/octet-stream");
}
