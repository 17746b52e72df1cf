/**
 * The list of words as the page contains it: 1.4 KB shorter, after all compression, than the file.
 *
 * The words are sorted. Each begins with a capital letter, without what it has in common with the
 * word before: two letters, or as many as the digit before it. `unpacked` of src/signaling/words.ts
 * reads it.
 */

/** Return the packed form of the words in `text`, one in each line. */
export function packWords(text: string): string {
  let before = "";
  const parts = text.trim().split(/\s+/);
  return parts
    .map((word) => {
      const common = [2, 1, 0].find((length) => before.startsWith(word.slice(0, length))) ?? 0;
      before = word;
      const rest = word.slice(common);
      return (common === 2 ? "" : common) + rest.charAt(0).toUpperCase() + rest.slice(1);
    })
    .join("");
}
