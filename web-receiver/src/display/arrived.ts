/**
 * Shows received digests and texts.
 *
 * Imports types, strings and pure helpers.
 */
import { piecesOf } from "../pieces.ts";
import { printable } from "../printable.ts";
import type { FileFinished } from "../session/events.ts";
import { strings } from "../strings.ts";
import { copyFrom, element, part } from "./elements.ts";

/** Digests that are listed; a page with 100 000 would freeze. */
const MAX_DIGESTS = 200;

/** Return a text with its URLs as links, which open in a new tab. */
export function linked(text: string): readonly (Node | string)[] {
  return piecesOf(text).map((piece) => {
    if (!piece.link) return piece.text;
    const attributes = { href: piece.text, target: "_blank", rel: "noopener noreferrer" };
    return element("a", { ...attributes, dir: "ltr" }, piece.text);
  });
}

/** List the digest of a file, if it has one. */
export function addDigest({ path, sha256 }: FileFinished): void {
  if (sha256 === "" || part("digests").childElementCount >= MAX_DIGESTS) return;
  const name = element("bdi", {}, printable(path));
  part("digests").append(element("li", {}, name, element("code", { dir: "ltr" }, sha256)));
}

/** Show a received text in a box, from which it can be copied. */
export function addSnippet(text: string): void {
  const box = element("textarea", { readonly: "", dir: "auto", "aria-label": strings.snippet });
  box.value = text;
  box.rows = Math.min(8, Math.max(2, text.split("\n").length));
  const button = element("button", { type: "button" }, strings.copy);
  button.onclick = () => copyFrom(box.value, button);
  part("texts").append(element("h2", {}, strings.snippet), box, button);
  // A text box can't contain links.
  const links = linked(text).filter((node) => node instanceof HTMLElement);
  for (const link of links) part("texts").append(element("p", {}, link));
}
