/**
 * The functions with which display.ts and display/ change the document. Texts are inserted as text,
 * never as HTML.
 *
 * Imports strings, device.ts and pure helpers.
 */
import { copy } from "../device.ts";
import { foreignIn } from "../pieces.ts";
import { printable } from "../printable.ts";
import { fixed, strings } from "../strings.ts";
import { grouped, listed, sentence } from "../wording.ts";

/** Rows of a list that are shown; a page with 100 000 would freeze. */
export const MAX_ROWS = 200;
/** Lines of a log. */
const MAX_LINES = 500;

/** Find an element of index.html. */
export function part<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no part ${id}`);
  return found as Kind;
}

/** Create an element. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Listen to events of an element. */
export function on(id: string, type: string, listener: () => void): void {
  part(id).addEventListener(type, (event) => {
    // Submitting a form would reload the page.
    if (type === "submit") event.preventDefault();
    listener();
  });
}

/** Show `text`, which may contain the peer's `name`; hide the element if it is empty. */
export function showText(id: string, text: string, name = ""): void {
  part(id).replaceChildren(...isolated(text, name));
  part(id).hidden = text === "";
}

/**
 * Return `text` with foreign parts isolated, so that their direction does not reorder adjacent text,
 * and with options of commands, and the code of an example, that are not broken at hyphens.
 */
export function isolated(text: string, name = ""): readonly (Node | string)[] {
  return foreignIn(text, name).flatMap((piece) =>
    piece.foreign ? [element("bdi", {}, piece.text)] : withOptions(piece.text),
  );
}

function withOptions(text: string): readonly (Node | string)[] {
  return text
    .split(/(--[a-z]{1,20}|\b\d-[a-z]+-[a-z]+)/)
    .map((part, place) => (place % 2 === 1 ? element("span", { class: "option" }, part) : part));
}

/** Set the heading and the text below it, and announce both to screen readers. */
export function head(title: string, about: string, name = ""): void {
  showText("title", title);
  showText("about", about, name);
  const text = listed([title, about].map(sentence), " ");
  // Setting the same text again would announce it again.
  if (part("status").textContent !== text) part("status").replaceChildren(...isolated(text, name));
}

/**
 * Change the heading without an announcement, since another live region announces the change. The old
 * announcement is removed, so that no screen reader finds it.
 */
export function retitle(title: string): void {
  if (part("title").textContent === title) return;
  showText("title", title);
  part("status").textContent = "";
}

/** Show or hide elements. */
export function show(shown: boolean, ...ids: readonly string[]): void {
  for (const id of ids) part(id).hidden = !shown;
}

/** Copy a text in a click on `button`; return whether that was possible. */
export async function copyText(text: string, button: HTMLElement): Promise<boolean> {
  if (await copy(text)) return true;
  // http pages have no clipboard API; execCommand copies the text that is selected, after a click.
  const box = element("textarea", { class: "unseen" });
  box.value = text;
  document.body.append(box);
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  button.focus();
  return isCopied;
}

/** Copy a text, and show that on the button. */
export async function copyFrom(text: string, button: HTMLElement): Promise<void> {
  if (await copyText(text, button)) button.textContent = fixed.copied ?? "";
}

/** Give a box the height of its text. */
export function fitHeight(box: HTMLTextAreaElement): void {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}

/** Let Enter submit the form of a box, as in a field of one line: a code has no lines. */
export function submitOnEnter(id: string): void {
  const box = part<HTMLTextAreaElement>(id);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    box.form?.requestSubmit();
  });
}

/** Return a name from the peer, escaped and isolated. */
export function nameOf(path: string): HTMLElement {
  return element("bdi", {}, printable(path));
}

/** Return the name of an entry, and a description in smaller letters. */
export function described(path: string, about: string): readonly Node[] {
  return [nameOf(path), element("small", {}, ...isolated(about))];
}

/** Fill a list with rows for the first of `items`; a last row has the number of further items. */
export function fill<Item>(
  id: string,
  items: readonly Item[],
  row: (item: Item) => HTMLElement,
  rest: (beyond: readonly Item[], text: string) => Node | string = (_beyond, text) => text,
): void {
  const rows = items.slice(0, MAX_ROWS).map(row);
  const beyond = items.slice(MAX_ROWS);
  if (beyond.length > 0) {
    rows.push(element("li", {}, rest(beyond, strings.more(grouped(beyond.length)))));
  }
  part(id).replaceChildren(...rows);
}

/** Add a line to a log, remove the oldest if there are too many, and scroll to the new one. */
export function append(id: string, line: HTMLElement, limit = MAX_LINES): void {
  const list = part(id);
  list.append(line);
  if (list.childElementCount > limit) list.firstElementChild?.remove();
  list.scrollTop = list.scrollHeight;
}
