/**
 * The code in the address bar and in the storage of the tab, for reloads. The storage throws if the
 * user has disabled it; then a reload asks for the code.
 */

/** Session storage key of the code, so that the page can be reloaded until the code is used. */
const STORED = "dcsend";
/** In place of a code that is used. */
export const USED = "used";
/** The same for a page that sends, until all has arrived. */
export const UNSENT = "unsent";
/** Which of them a page keeps, by its role. */
export const MARKS = { sender: UNSENT, receiver: USED } as const;

/** Remove the code from the address bar and return it, after `#`; null if there is none. */
export function takeFragment(): string | null {
  const fragment = location.hash;
  if (fragment === "") return null;
  history.replaceState(null, "", location.pathname + location.search);
  return fragment;
}

/** Keep a code, USED, UNSENT, or nothing. */
export function store(text: string): void {
  try {
    sessionStorage.setItem(STORED, text);
  } catch {}
}

/** Return what is kept; null if there is nothing. */
export function stored(): string | null {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}
