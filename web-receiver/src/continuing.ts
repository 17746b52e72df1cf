/**
 * Texts about parts of earlier transfers: what is there, what an interruption or a reload costs, what
 * is left.
 *
 * Imports types, strings and pure helpers.
 */
import type { DestinationChoice } from "./files/capabilities.ts";
import type { FoundPart } from "./files/parts.ts";
import { printable } from "./printable.ts";
import type { Checking, Connected, Progressed } from "./session/events.ts";
import { size } from "./wording.ts";

/** Texts of the list of parts on the first view. */
export const left = {
  title: "Left from earlier",
  how: "To continue, connect to the other side again and accept the same file.",
  remove: "Delete",
  removeNamed: (name: string) => `Delete ${name}`,
  removeAll: "Delete all",
} as const;

/** How to continue a transfer of this page that has ended. */
const how =
  "To continue, run the command that the terminal there shows, use its code here, and choose the same files again. What has arrived there is not sent again.";

/** Texts after a reload by which a transfer has ended, or behind one. */
export const reloaded = {
  used: "This page was reloaded, and its code has been used: a code works once. Files that were saved before are in your downloads or in the folder that you chose; an incomplete zip was not saved. For the other files, start dcsend again on the other side and use the new code.",
  unsent: `This page was loaded again and has no access to the chosen files any more, so the transfer has ended. ${how}`,
} as const;

/** What a reload costs a page that sends. */
export const ends =
  "If this page is loaded again, the transfer ends. To continue it, choose the same files again.";

const MINUTE = 60_000;

/** Return what is there of an offer, and what an interruption costs; empty for small files. */
export function describeKept({ kept, busy, interrupted }: DestinationChoice): string {
  if (busy) {
    return "Another tab of this browser is receiving it. To continue what is there, close that tab first.";
  }
  if (kept > 0) return `${size(kept)} of this are there already; only the rest is sent.`;
  if (interrupted === "goes on") return "If this page is loaded again, the transfer goes on.";
  if (interrupted === "reloads") return "If this page is loaded again, the transfer begins again.";
  if (interrupted === "begins") return "If the transfer is interrupted, it begins again.";
  if (interrupted === "") return "";
  return "If the transfer is interrupted, it can be continued with this browser.";
}

/**
 * Return how to continue what was stopped after `last`; empty if nothing has arrived, or not at a
 * terminal, which keeps it.
 */
export function describeRest(last: Progressed | null, peer: Connected | null): string {
  const isKept = peer?.role === "sender" && !peer.isBrowser && last !== null && last.bytes > 0;
  return isKept ? how : "";
}

/** Describe how much of a part is there, and how old it is: `1.8 of 3 GB, 2 days old`. */
export function describePart({ file, points, time }: FoundPart, now: number): string {
  const [had, unit = ""] = size(points.at(-1)?.offset ?? 0).split(/\s/);
  const [all, units] = file.size === null ? [] : size(file.size).split(/\s/);
  const share =
    all === undefined
      ? `${had} ${unit}`
      : `${had}${unit === units ? "" : ` ${unit}`} of ${all} ${units}`;
  return `${share}, ${age(now - time)}`;
}

/** Describe how much of what was received earlier is verified; empty if all is. */
export function describeCheck({ bytes, total }: Checking): string {
  const percent = Math.floor((100 * bytes) / total);
  return bytes < total ? `checking ${size(total)} received earlier, ${percent} %` : "";
}

/** Return the name of the file of a part. */
export function nameOfPart({ file }: FoundPart): string {
  return printable(file.path);
}

function age(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / MINUTE);
  const [count, word] =
    minutes < 60
      ? [Math.max(1, minutes), "minute"]
      : minutes < 48 * 60
        ? [Math.floor(minutes / 60), "hour"]
        : [Math.floor(minutes / 1440), "day"];
  return `${count} ${word}${count === 1 ? "" : "s"} old`;
}
