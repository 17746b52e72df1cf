/**
 * The bar of a transfer, and the lines below it. Imports types and pure helpers.
 */
import { describeCheck, describeRest } from "../continuing.ts";
import { printable } from "../printable.ts";
import type { Checking, Connected, Progressed } from "../session/events.ts";
import { describeProgress, listed, percent } from "../wording.ts";
import { part } from "./elements.ts";

/** Shows how far a transfer is. */
export class Progress {
  /** The last progress; null if the transfer has not begun. */
  last: Progressed | null = null;
  /** How much of what was received earlier is verified; empty if all is. */
  #check = "";

  /** Forget the last run. */
  clear(): void {
    this.last = null;
    this.#check = "";
  }

  /** Show with the next progress how much is verified. */
  check(event: Checking): void {
    this.#check = describeCheck(event);
  }

  /** Return how to continue if it was stopped; empty if that is unknown. */
  rest(peer: Connected | null): string {
    return describeRest(this.last, peer);
  }

  /** Show progress; `title` names the bar. */
  show(event: Progressed, role: Connected["role"], title: string): void {
    this.last = event;
    const bar = part<HTMLProgressElement>("progress");
    bar.setAttribute("aria-label", title);
    const done = percent(event);
    if (done !== null) bar.value = done;
    part("amount").textContent = describeProgress(event, role);
    part("current").textContent = listed([printable(event.path), this.#check]);
  }
}
