/**
 * The state of the page in title and icon of the tab, and the permission for notifications.
 *
 * Imports types, strings, device.ts and pure helpers.
 */
import { askToNotify } from "../device.ts";
import type { Entry } from "../entry.ts";
import { favicon, type Look } from "../favicon.ts";
import { endings, strings } from "../strings.ts";
import { listed, sentence, titleOf } from "../wording.ts";
import { show, showText } from "./elements.ts";

/** The state of the page; also in `body[data-state]`. */
export type State =
  | "paste"
  | "exchanging"
  | "showing"
  | "connecting"
  | "offered"
  | "choosing"
  | "waiting"
  | "transferring"
  | "done"
  | "partly"
  | "failed"
  | "unsupported";

/** The icon of the tab in each state. */
const LOOKS: Readonly<Partial<Record<State, Look>>> = {
  transferring: "busy",
  done: "done",
  partly: "failed",
  failed: "failed",
  unsupported: "failed",
};

/** Show the state, and the progress in percents, in title and icon of the tab. */
export function showTab(state: State, entries: readonly Entry[], done: number | null): void {
  const what = entries.length > 0 ? titleOf(entries) : "dcsend";
  const moving = state === "transferring" && done !== null ? `${done}\u00a0%` : "";
  const ending = state in endings ? endings[state as keyof typeof endings] : moving;
  document.title = listed([ending, what], " – ");
  const look = LOOKS[state] ?? "idle";
  const icon = favicon(look, look === "busy" ? (done ?? 0) / 100 : 1);
  const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
  if (link !== null && link.href !== icon) link.href = icon;
}

/** Ask for the permission to show notifications, and show the result. */
export async function allowNotifications(): Promise<void> {
  const allowed = await askToNotify();
  show(false, "notify");
  showText("notice", sentence(allowed ? strings.willNotify : strings.wontNotify));
}
