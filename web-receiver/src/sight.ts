/**
 * Whether the page is visible. A program that preloads links, or a background tab, must not use a
 * code before the user does.
 */

/** Return whether the user sees the page. */
export function isInSight(): boolean {
  // Not in TypeScript's DOM types: whether the browser preloads the page.
  const { prerendering = false } = document as Document & { readonly prerendering?: boolean };
  return document.visibilityState === "visible" && !prerendering;
}

/** Call `listener` when the page may have become visible or hidden. */
export function onSight(listener: () => void): void {
  for (const type of ["visibilitychange", "prerenderingchange"]) {
    document.addEventListener(type, listener);
  }
}
