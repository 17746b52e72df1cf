/** The time at which a code expires, and what happens then. Imports nothing. */

/** The longest delay of a timer, in milliseconds. */
const MOST_DELAY = 2 ** 31 - 1;

/** The expiry of the code that the page uses. */
export class Expiry {
  readonly #wallClock: () => number;
  readonly #reached: () => void;
  #time = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param wallClock Returns seconds since 1970.
   * @param reached Called when the code has expired.
   */
  constructor(wallClock: () => number, reached: () => void) {
    this.#wallClock = wallClock;
    this.#reached = reached;
  }

  /** Seconds since 1970. */
  get time(): number {
    return this.#time;
  }

  get isPast(): boolean {
    return this.#time <= this.#wallClock();
  }

  /** Set the time, in seconds since 1970; Infinity for a code that does not expire. */
  set(time: number): void {
    this.#time = time;
    this.#wait();
  }

  /**
   * A timer may fire before the clock has reached its time: Firefox rounds `Date.now()` down by an
   * amount that it varies (privacy.reduceTimerPrecision), and the clock of the device may be set.
   */
  #wait(): void {
    clearTimeout(this.#timer);
    const left = (this.#time - this.#wallClock()) * 1000;
    if (left > MOST_DELAY) return;
    const check = () => (this.isPast ? this.#reached() : this.#wait());
    this.#timer = setTimeout(check, Math.max(0, left) + 1);
  }
}
