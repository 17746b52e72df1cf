/**
 * Hands received files to the downloads of the browser: one file or zip at the end, or several files
 * one after the other, each when it is complete and with a button to repeat that.
 *
 * Imports types, strings, device.ts and pure helpers.
 */
import { canShare, share } from "../device.ts";
import type { Export } from "../files/contract.ts";
import { printable } from "../printable.ts";
import { strings } from "../strings.ts";
import { downloadName, grouped } from "../wording.ts";
import { element, on, part, show, showText } from "./elements.ts";

/**
 * Milliseconds between two downloads. Without a pause, a browser may cancel the first download in
 * favour of the second.
 */
const PAUSE = 500;
/** Milliseconds until an object URL is revoked: long enough for the browser to start reading. */
const KEPT = 60_000;

/** Start the download that the service worker serves at `url`. */
export function startDownload(url: string): void {
  document.body.append(element("iframe", { hidden: "", src: url }));
}

/** Hands over the received files of a run. Several files have different names. */
export class Downloads {
  readonly #urls = new Map<Export, string>();
  readonly #buttons = new Map<Export, HTMLElement>();
  readonly #handed = new Set<Export>();
  #exports: readonly Export[] = [];
  /** Incremented when a new series of downloads begins or all are cleared; ends an earlier series. */
  #turn = 0;
  /** When the last download began, by the clock of `performance`. */
  #last = Number.NEGATIVE_INFINITY;

  constructor() {
    on("save", "click", () => this.#saveAll(this.#left.length > 0 ? this.#left : this.#exports));
    on("share", "click", () => share({ files: this.#files() }));
  }

  /**
   * Hand over one file of several after the pause; resolve when that is done, or when another series
   * has begun.
   */
  async add(one: Export): Promise<void> {
    const own = this.#turn;
    this.#exports = [...this.#exports, one];
    await this.#pause();
    if (own !== this.#turn) return;
    this.#hand(one);
    showText("notice", strings.handing);
  }

  /**
   * Hand over all remaining files, and offer to repeat that. This does not wait for a click, since
   * the files have been reported to the sender as verified. A page can't find out whether the browser
   * has blocked downloads.
   */
  offer(exports: readonly Export[]): void {
    const known = new Set(this.#exports.map(({ name }) => name));
    this.#exports = [...this.#exports, ...exports.filter(({ name }) => !known.has(name))];
    show(this.#exports.length > 0, "save");
    const files = this.#files();
    show(files.length > 0 && canShare({ files }), "share");
    this.#describe();
    void this.#saveAll(this.#left);
  }

  /** Return a button for the file that was saved as `name`; null if there is none, or only one file. */
  button(name: string): HTMLElement | null {
    const one = this.#exports.find((each) => each.name === name);
    if (one === undefined || this.#exports.length < 2) return null;
    const button = element("button", { type: "button" });
    button.onclick = () => {
      this.#hand(one);
      this.#describe();
    };
    this.#buttons.set(one, button);
    this.#label(one);
    return button;
  }

  /** Whether a received file has not been handed to the downloads. */
  get unsaved(): boolean {
    return this.#left.length > 0;
  }

  get #left(): readonly Export[] {
    return this.#exports.filter((one) => !this.#handed.has(one));
  }

  /** Forget all files, because another run begins. */
  clear(): void {
    const urls = [...this.#urls.values()];
    setTimeout(() => urls.forEach(URL.revokeObjectURL), KEPT);
    this.#urls.clear();
    this.#buttons.clear();
    this.#handed.clear();
    this.#exports = [];
    this.#turn += 1;
  }

  /** Revoke all object URLs at once, because the page is being closed. */
  revoke(): void {
    for (const url of this.#urls.values()) URL.revokeObjectURL(url);
    this.#urls.clear();
  }

  /** Hand over files, one after the other. */
  async #saveAll(files: readonly Export[]): Promise<void> {
    this.#turn += 1;
    const own = this.#turn;
    for (const one of files) {
      await this.#pause();
      if (own !== this.#turn) return;
      this.#hand(one);
      this.#describe();
    }
  }

  /** Wait until the next download may begin. */
  async #pause(): Promise<void> {
    const left = this.#last + PAUSE - performance.now();
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
  }

  /** Start the download of a file. */
  #hand(one: Export): void {
    const url = this.#urls.get(one) ?? URL.createObjectURL(asBytes(one.blob));
    // Kept, since there is no event for the end of the browser's reading.
    this.#urls.set(one, url);
    const link = element("a", { href: url, download: downloadName(one.name) });
    document.body.append(link);
    link.click();
    link.remove();
    this.#last = performance.now();
    this.#handed.add(one);
    this.#label(one);
  }

  #label(one: Export): void {
    const button = this.#buttons.get(one);
    if (button === undefined) return;
    const again = this.#handed.has(one);
    button.textContent = again ? strings.saveAgain : strings.save;
    const name = printable(one.name);
    button.setAttribute(
      "aria-label",
      again ? strings.saveNamedAgain(name) : strings.saveNamed(name),
    );
  }

  /** Show how many files have been handed to the downloads. */
  #describe(): void {
    const count = this.#exports.length;
    const handed = this.#handed.size;
    const [only] = this.#exports;
    const button = part("save");
    if (count === 0) return;
    if (count < 2) {
      button.textContent = strings.saveAgain;
      showText(
        "sum",
        only === undefined || handed === 0 ? "" : strings.handed(printable(only.name)),
      );
      return;
    }
    const left = count - handed;
    if (left === 0) button.textContent = strings.saveAllAgain;
    else button.textContent = (handed > 0 ? strings.saveOthers : strings.saveAll)(grouped(left));
    showText("about-saving", strings.handedOf(grouped(handed), grouped(count)));
    // Read aloud by screen readers, so without the number, which changes twice a second.
    showText("notice", left > 0 ? strings.handing : strings.allThere);
  }

  #files(): File[] {
    return this.#exports.map(({ name, blob }) => new File([blob], name, { type: blob.type }));
  }
}

/** Browsers add an extension to the name of a file of a text type. */
function asBytes(blob: Blob): Blob {
  return blob.slice(0, blob.size, "application/octet-stream");
}
