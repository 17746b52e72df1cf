/** Make a stranger's text safe to show: as `dcsend/printable.py`. Imports nothing. */

/**
 * What must not reach the screen as it is: controls, format characters (which reorder or hide
 * text), surrogates, private use, unassigned, line and paragraph separators, spaces but U+0020.
 */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** Escape everything in `text` that is not plainly visible, such as `\u202e`. */
export function printable(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const point = character.codePointAt(0) ?? 0;
    if (point <= 0xff) return `\\x${point.toString(16).padStart(2, "0")}`;
    if (point <= 0xffff) return `\\u${point.toString(16).padStart(4, "0")}`;
    return `\\U${point.toString(16).padStart(8, "0")}`;
  });
}
