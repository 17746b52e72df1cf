/** Waiting for one thing while others go on; promises can't be cancelled. Imports nothing. */

/** Wakes one who waits. Rings before somebody waits are not remembered: look first. */
export class Bell {
  #wake = () => {};

  /** Resolve at the next ring. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Let who waits go on. */
  ring(): void {
    this.#wake();
  }
}

/**
 * Await `main` with `others` beside it: an error of any is the error of all; one of `others` that
 * resolves is just done. What comes later, errors too, is of no interest.
 */
export function race<T>(main: Promise<T>, ...others: Promise<unknown>[]): Promise<T> {
  return new Promise((resolve, reject) => {
    main.then(resolve, reject);
    for (const other of others) other.catch(reject);
  });
}

/** Resolve when `work` has ended, in whatever way, or after `seconds`. */
export function within(seconds: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    work.then(done, done);
  });
}
