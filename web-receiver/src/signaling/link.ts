/**
 * A link with both codes of a side: a dial code, `+`, and a short code. As
 * `dcsend/signaling/link.py`.
 *
 * Must not import anything of src/ but `signaling`.
 */
import { CLUTTER, CONTROL_SEQUENCE } from "./forgiving.ts";

const BOTH = /^(.*)(?:\+|%(?:25)*2b)(.*)$/is;
/** The end of the number of a link; the shortest dial code has 147 digits. */
const NUMBER = /\d{140}$/;

/**
 * Return the texts of the dial code and of the short code; null unless `text` has both. Neither of
 * them is read.
 */
export function bothCodes(text: string): readonly [dial: string, short: string] | null {
  const [, dial = "", short = ""] = BOTH.exec(text) ?? [];
  const squashed = dial.replace(CONTROL_SEQUENCE, "").replace(CLUTTER, "");
  return NUMBER.test(squashed) ? [dial, short] : null;
}
