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

/** What waits until the user sees the page. */
export class InSight {
  #waiting: (() => void) | null = null;

  /** Call `always` from now on whenever the page becomes visible, before what waits. */
  watch(always: () => void): void {
    for (const type of ["visibilitychange", "prerenderingchange"]) {
      document.addEventListener(type, () => {
        if (!isInSight()) return;
        always();
        this.#waiting?.();
      });
    }
  }

  /** Whether something waits. */
  get isAwaited(): boolean {
    return this.#waiting !== null;
  }

  /** Call `act` as soon as the page is visible; return false if it waits. */
  call(act: () => void): boolean {
    if (isInSight()) act();
    else this.#waiting = act;
    return this.#waiting === null;
  }

  /** Call it no more. */
  forget(): void {
    this.#waiting = null;
  }
}
