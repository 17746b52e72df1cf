/** Escape untrusted text for display. As `dcsend/printable.py`. */

/**
 * What must not reach the screen as it is: controls, format characters (which reorder or hide
 * text), surrogates, private use, unassigned, line and paragraph separators, spaces but U+0020; what
 * Unicode lets renderers show as nothing; and blank symbols and letters: BRAILLE PATTERN BLANK,
 * OBJECT REPLACEMENT CHARACTER, KHITAN SMALL SCRIPT FILLER, MUSICAL SYMBOL NULL NOTEHEAD.
 */
const BLANK = String.raw`\p{Default_Ignorable_Code_Point}\u2800\ufffc\u{16fe4}\u{1d159}`;
/** U+FE0F asks for the coloured form of the emoji, a symbol, before it; there it may stay. */
const EMOJI_STYLE = String.raw`(?<=(?![${BLANK}])\p{So})\ufe0f`;
const INVISIBLE = new RegExp(
  `(?!${EMOJI_STYLE})(?:[\\p{C}\\p{Zl}\\p{Zp}${BLANK}]|(?! )\\p{Zs})`,
  "gu",
);

const SHORT: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };

/** Escape everything in `text` that is not plainly visible, such as `\u202e`. */
export function printable(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const short = SHORT[character];
    if (short !== undefined) return short;
    const point = character.codePointAt(0) ?? 0;
    if (point <= 0xff) return `\\x${point.toString(16).padStart(2, "0")}`;
    if (point <= 0xffff) return `\\u${point.toString(16).padStart(4, "0")}`;
    return `\\U${point.toString(16).padStart(8, "0")}`;
  });
}
