/** Helpers to await promises, which can't be cancelled. */

/** Wakes a task that waits. A ring before `wait` has no effect: check the condition first. */
export class Bell {
  #wake = () => {};

  /** Resolve at the next ring. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Resolve the promise of the last `wait`. */
  ring(): void {
    this.#wake();
  }
}

/**
 * Await `main` with `others` beside it: an error of any one is raised; one of `others` that
 * resolves has no effect. Later results and errors are ignored.
 */
export function race<T>(main: Promise<T>, ...others: Promise<unknown>[]): Promise<T> {
  return new Promise((resolve, reject) => {
    main.then(resolve, reject);
    for (const other of others) other.catch(reject);
  });
}

/** Resolve after `seconds`. */
export function later(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}

/** Resolve when `work` has settled, or after `seconds`. */
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
