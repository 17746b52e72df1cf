/**
 * Divides text from the peer: into links and other text, and into right-to-left runs and other text.
 * Pure; imports nothing.
 */

/** Links in a text; each is an element, and a page with 100 000 elements would freeze. */
const MAX_LINKS = 100;

/**
 * Divide a text into links and the text between them; at most 100 links, which show their URL.
 */
export function piecesOf(
  text: string,
): readonly { readonly text: string; readonly link: boolean }[] {
  const pieces: { text: string; link: boolean }[] = [];
  let end = 0;
  let links = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const address = withoutEnding(found);
    if (!isPlainLink(address)) continue;
    if (index > end) pieces.push({ text: text.slice(end, index), link: false });
    pieces.push({ text: address, link: true });
    end = index + address.length;
    links += 1;
    if (links === MAX_LINKS) break;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), link: false });
  return pieces;
}

const LINK = /\bhttps?:\/\/[^\s<>]+/giu;
/** Punctuation at the end of a sentence is not part of a link. */
const ENDING = ".,;:!?)]}'\"»”’";
const BRACKETS: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

/**
 * Return `address` without final punctuation and without a closing bracket that was opened before
 * it. Linear time: a pattern such as `[.,]+$` takes minutes for a long row of full stops.
 */
function withoutEnding(address: string): string {
  const closing = new Map<string, number>();
  for (const [close, open] of Object.entries(BRACKETS)) {
    closing.set(close, address.split(close).length - address.split(open).length);
  }
  let end = address.length;
  for (; end > 0; end--) {
    const last = address.charAt(end - 1);
    if (!ENDING.includes(last)) break;
    const unopened = closing.get(last);
    if (unopened === undefined) continue;
    if (unopened <= 0) break;
    closing.set(last, unopened - 1);
  }
  return address.slice(0, end);
}

/**
 * Return whether `text` is a URL that does not mislead: without a user name before the host, and
 * ASCII only, which has no look-alike or invisible characters.
 */
function isPlainLink(text: string): boolean {
  if (!/^[!-~]+$/.test(text) || !URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === "" && password === "";
}

/** A run of right-to-left letters, with digits and punctuation inside it. */
const LETTERS = String.raw`\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}`;
const RUN = new RegExp(`[${LETTERS}]+(?:[^\\p{L}${LETTERS}]+[${LETTERS}]+)*`, "gu");

/**
 * Divide a sentence of the page: `foreign` are the first occurrence of `name`, and all runs of
 * right-to-left letters, which come from the peer. Without isolation, a browser would show digits
 * that follow such a run, for instance of an address, before it.
 */
export function foreignIn(
  text: string,
  name = "",
): readonly { readonly text: string; readonly foreign: boolean }[] {
  const at = name === "" ? -1 : text.indexOf(name);
  if (at >= 0) {
    const [before, after] = [text.slice(0, at), text.slice(at + name.length)];
    return [...foreignIn(before), { text: name, foreign: true }, ...foreignIn(after)];
  }
  const pieces: { text: string; foreign: boolean }[] = [];
  let end = 0;
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (index > end) pieces.push({ text: text.slice(end, index), foreign: false });
    pieces.push({ text: run, foreign: true });
    end = index + run.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), foreign: false });
  return pieces;
}
