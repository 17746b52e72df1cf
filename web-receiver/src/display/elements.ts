/**
 * The few verbs with which display.ts and its folder touch the document. Texts enter as text only.
 *
 * Imports strings, device.ts and pure helpers.
 */
import { copy } from "../device.ts";
import { printable } from "../printable.ts";
import { strings } from "../strings.ts";
import { grouped } from "../wording.ts";

/** Rows of a list that are shown; a page with 100 000 would freeze. */
export const MAX_ROWS = 200;
/** Lines of a log that are kept. */
const MAX_LINES = 500;

/** Find a part of index.html. */
export function part<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no part ${id}`);
  return found as Kind;
}

/** Make an element. */
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

/** Listen to a part. */
export function on(id: string, type: string, listener: () => void): void {
  part(id).addEventListener(type, (event) => {
    // A form that was sent would load the page anew.
    if (type === "submit") event.preventDefault();
    listener();
  });
}

/** Show `text` in a part, or hide the part if there is none. */
export function say(id: string, text: string): void {
  part(id).textContent = text;
  part(id).hidden = text === "";
}

/** Show parts, or hide them. */
export function show(shown: boolean, ...ids: readonly string[]): void {
  for (const id of ids) part(id).hidden = !shown;
}

/** Copy what stands in a text box, and say so on the button. */
export async function copyFrom(box: HTMLTextAreaElement, button: HTMLElement): Promise<void> {
  if (!(await copy(box.value))) {
    // http pages have no clipboard; this old way works from a click.
    box.select();
    if (!document.execCommand("copy")) return;
  }
  button.textContent = strings.copied;
}

/** A stranger's name: escaped, and kept from reordering what stands beside it. */
export function nameOf(path: string): HTMLElement {
  return element("bdi", {}, printable(path));
}

/** What is said of the thing at `path`: its name, and `said` in smaller letters. */
export function described(path: string, said: string): readonly Node[] {
  return [nameOf(path), element("small", {}, said)];
}

/** Fill a list with rows for the first of `items`; a last row tells how many more there are. */
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

/** Add a line to a log, forget the oldest, and keep the newest in sight. */
export function append(id: string, line: HTMLElement, limit = MAX_LINES): void {
  const list = part(id);
  list.append(line);
  if (list.childElementCount > limit) list.firstElementChild?.remove();
  list.scrollTop = list.scrollHeight;
}
