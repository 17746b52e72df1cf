/**
 * Everything a person sees and touches. With its folder the only part that knows of a document,
 * beside main.ts.
 *
 *     paste ◄─► exchanging (two codes)
 *     paste ─► connecting ─┬─► offered ──────────────┬─► transferring ─┬─► done
 *                          └─► choosing ─► waiting ──┘                 ├─► partly
 *     unsupported                                                      └─► failed
 *
 * index.html holds all parts; a state shows those that name it in `data-for`. Every text enters the
 * page as text, never as html. Imports types, strings, device.ts and pure helpers.
 */
import { askToNotify, canAskToNotify } from "./device.ts";
import { append, copyFrom, element, on, part, say, show } from "./display/elements.ts";
import { Downloads, listVerdicts, showProblem } from "./display/ending.ts";
import { Exchange } from "./display/exchange.ts";
import { Offer, type OfferHandlers } from "./display/offer.ts";
import { type PickHandlers, Picks } from "./display/picks.ts";
import type { Entry } from "./entry.ts";
import { DcsendError } from "./errors.ts";
import { favicon, type Look } from "./favicon.ts";
import type { Chosen } from "./files/operations.ts";
import { printable } from "./printable.ts";
import type {
  Connected,
  FileFinished,
  Finished,
  ManifestKnown,
  Progressed,
  Event as SessionEvent,
  TextExchanged,
} from "./session/events.ts";
import type { Decision, Questions } from "./session/options.ts";
import { endings, fixed, strings, troubles } from "./strings.ts";
import * as wording from "./wording.ts";

/** Random messages that are kept: the last few minutes. */
const MAX_RANDOM = 50;
/** Digests that are listed; a page with 100 000 would freeze. */
const MAX_DIGESTS = 200;

/** What is on the screen; the same word is in `body[data-state]`. */
export type State =
  | "paste"
  | "exchanging"
  | "connecting"
  | "offered"
  | "choosing"
  | "waiting"
  | "transferring"
  | "done"
  | "partly"
  | "failed"
  | "unsupported";

/** How the tab's picture tells of a state. */
const LOOKS: Readonly<Partial<Record<State, Look>>> = {
  transferring: "busy",
  done: "done",
  partly: "failed",
  failed: "failed",
  unsupported: "failed",
};

/** What the page does when a person asks for it. */
export interface Handlers extends OfferHandlers, PickHandlers {
  /** A code or a link was entered. */
  connect(text: string): void;
  /** Two codes in place of one: make the first, with these servers. */
  exchange(servers: string): void;
  /** The other side's half of two codes was entered. */
  answer(text: string): void;
  /** Once more, with the same code. */
  retry(): void;
  /** From the beginning, with another code. */
  restart(): void;
  /** Whether the same code can be tried again. */
  canRetry(): boolean;
  stop(): void;
  say(line: string): void;
  /** What the page knows of the moment when something went wrong. */
  surroundings(): Pick<wording.Circumstances, "online" | "slept">;
}

/** Shows a run, asks what it needs to know, and tells `handlers` what the person wants. */
export class Display implements Questions {
  readonly #handlers: Handlers;
  readonly #downloads = new Downloads();
  readonly #picks: Picks;
  readonly #exchange: Exchange;
  #connection: Connected | null = null;
  #entries: readonly Entry[] = [];
  #error: DcsendError | null = null;
  #declined = false;
  #silent = false;
  #accept: () => void = () => undefined;
  #decline: () => void = () => undefined;
  #send: () => void = () => undefined;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
    this.#picks = new Picks(handlers);
    for (const node of document.querySelectorAll<HTMLElement>("[data-text]")) {
      node.textContent = fixed[node.dataset.text ?? ""] ?? "";
    }
    on("paste", "submit", () => handlers.connect(part<HTMLInputElement>("code").value));
    on("accept", "click", () => this.#accept());
    on("decline", "click", () => this.#decline());
    on("send", "click", () => this.#send());
    on("stop", "click", () => handlers.stop());
    this.#exchange = new Exchange(handlers);
    on("two", "click", () => this.#exchange.begin());
    on("retry", "click", () => handlers.retry());
    on("restart", "click", () => handlers.restart());
    on("tell", "click", () => tell());
    on("chat-form", "submit", () => this.#say());
  }

  /** Ask for a code, and say why: what is wrong with the last one, or that it is used up. */
  paste(why: wording.Problem | "used" | null = null): void {
    this.#forget();
    this.#enter("paste", strings.paste, why === "used" ? strings.used : strings.aboutPaste);
    if (why !== null && why !== "used") showProblem(why, true);
    part("code").setAttribute("aria-invalid", String(why !== null && why !== "used"));
    if (why !== null && why !== "used") part("code").focus();
  }

  /**
   * Show the first of two codes, or that it is being made, and ask for the second; and which
   * servers were of no use to it.
   */
  exchanging(code: string, problems: readonly DcsendError[] = []): void {
    if (this.#state() !== "exchanging") {
      this.#forget();
      this.#enter("exchanging", strings.exchanging, strings.aboutExchanging);
    }
    this.#exchange.show(code);
    const said = problems.flatMap(({ message, hint }) => [message, hint].map(wording.sentence));
    say("notice", wording.listed(said, " "));
  }

  /** Fill in who is asked for addresses, where two codes are exchanged. */
  servers(named: string): void {
    part<HTMLTextAreaElement>("servers").value = named;
  }

  /** Say what is wrong with the second of two codes, or with the servers. */
  refuse(error: DcsendError): void {
    this.#exchange.refuse(wording.listed([error.message, error.hint].map(wording.sentence), " "));
  }

  /** Say that the other side is being looked for, or will be once the page is `inSight`. */
  connecting(inSight = true): void {
    this.#forget();
    const about = inSight ? strings.aboutConnecting : strings.outOfSight;
    this.#enter("connecting", strings.connecting, about);
  }

  /** Say that this browser can't do it, or not in a frame. */
  unsupported(why: "unsupported" | "framed" = "unsupported"): void {
    this.#enter("unsupported", troubles[why].title, "");
    showProblem(wording.trouble(why));
  }

  /** Show an event of the run. */
  show(event: SessionEvent): void {
    if (event.type === "connected") this.#connected(event);
    else if (event.type === "manifest") this.#entries = event.entries;
    else if (event.type === "progress") this.#progress(event);
    else if (event.type === "file") addDigest(event);
    else if (event.type === "text") this.#text(event);
    else if (event.type === "failed") this.#error = event.error;
    else if (event.type === "done") this.#done(event);
    else {
      this.#silent = event.kind === "silent";
      say("notice", wording.listed([event.message, event.hint].map(wording.sentence), " "));
    }
  }

  /** Show what is offered, and ask; null declines. */
  decide({ entries }: ManifestKnown): Promise<Decision | null> {
    this.#entries = entries;
    const address = printable(this.#connection?.address ?? "");
    const title = strings.offered(wording.describeEntries(entries));
    this.#enter("offered", title, strings.from(this.#peer(), address));
    const offer = new Offer(entries, this.#handlers);
    return new Promise((resolve) => {
      const accept = async () => {
        const destination = await offer.open();
        // While the dialog was open, the offer may have come to an end, or another taken its place.
        if (destination === null || this.#accept !== accept) return;
        this.#enter("transferring", strings.receiving, "");
        resolve({ skip: offer.skip(), destination });
      };
      this.#accept = accept;
      this.#decline = () => {
        this.#declined = true;
        this.#accept = () => undefined;
        resolve(null);
      };
    });
  }

  /** Ask what to send. */
  choose(): Promise<readonly Chosen[] | null> {
    this.#enter("choosing", strings.choosing, strings.to(this.#peer()));
    this.#picks.begin();
    return new Promise((resolve) => {
      this.#send = () => {
        const chosen = this.#picks.end();
        this.#entries = chosen.map((one) => one.entry);
        this.#enter("waiting", strings.waiting, strings.aboutWaiting);
        resolve(chosen);
      };
    });
  }

  /** Whether something would be lost with the page. */
  get busy(): boolean {
    return this.#state() === "waiting" || this.#state() === "transferring";
  }

  /** Ask, while a transfer runs, whether to leave it for another code. */
  confirmSwitch(): boolean {
    return confirm(strings.switchCode);
  }

  /** Let the browser download what the service worker serves at `url`. */
  startDownload(url: string): void {
    document.body.append(element("iframe", { hidden: "", src: url }));
  }

  /** Let go of what was handed to the downloads: the page is going away. */
  leave(): void {
    this.#downloads.revoke();
  }

  #peer(): string {
    return printable(this.#connection?.peer ?? "") || strings.them;
  }

  #state(): State | undefined {
    return document.body.dataset.state as State | undefined;
  }

  /** Show the parts of a state, and go to its heading. */
  #enter(state: State, title: string, about: string): void {
    const first = this.#state() === undefined;
    this.#picks.end();
    this.#accept = () => undefined;
    document.body.dataset.state = state;
    for (const node of document.querySelectorAll<HTMLElement>("[data-for]")) {
      node.hidden = !node.dataset.for?.split(" ").includes(state);
    }
    // What was said of an offer came right before it.
    if (state !== "offered") say("notice", "");
    delete part("problem").dataset.kind;
    show(false, "problem", "hidden-names", "every", "ways", "doubt", "save", "share", "retry");
    show(this.busy && canAskToNotify(), "tell");
    for (const id of ["files", "amount", "current"]) part(id).replaceChildren();
    part("progress").removeAttribute("value");
    say("title", title);
    say("about", about);
    part("status").textContent = wording.listed([title, about], ". ");
    this.#tab(0);
    // Not when the page opens: a screen reader begins at its top by itself. Nor away from a line
    // that is being typed.
    const typing = document.activeElement === part("chat-input") && !part("chat-form").hidden;
    if (!first && !typing) part("title").focus();
  }

  #forget(): void {
    this.#connection = null;
    this.#entries = [];
    this.#error = null;
    this.#declined = false;
    this.#silent = false;
    for (const id of ["texts", "log", "facts", "digests", "random"]) part(id).replaceChildren();
    show(false, "chat", "chat-form", "details", "notice");
  }

  /** Tell of the state, and of `done` percents, in the tab: it may be all that is in sight. */
  #tab(done: number | null): void {
    const state = this.#state() ?? "paste";
    const what = this.#entries.length > 0 ? wording.titleOf(this.#entries) : "dcsend";
    const moving = state === "transferring" && done !== null ? `${done}\u00a0%` : "";
    const ending = state in endings ? endings[state as keyof typeof endings] : moving;
    document.title = wording.listed([ending, what], " – ");
    const look = LOOKS[state] ?? "idle";
    const icon = favicon(look, look === "busy" ? (done ?? 0) / 100 : 1);
    const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (link !== null && link.href !== icon) link.href = icon;
  }

  #connected(event: Connected): void {
    this.#connection = event;
    const facts = [
      [strings.route, wording.describeRoute(event)],
      [strings.peer, printable(event.peer)],
      [strings.here, `dcsend/${__VERSION__}`],
    ];
    part("facts").replaceChildren(
      ...facts.flatMap(([term, fact]) => [
        element("dt", {}, term ?? ""),
        element("dd", { dir: "auto" }, fact ?? ""),
      ]),
    );
    show(true, "chat", "chat-form", "details");
    if (event.role === "receiver") say("about", strings.met);
  }

  #progress(event: Progressed): void {
    this.#heard();
    const sending = this.#connection?.role === "sender";
    const title = sending ? strings.sending : strings.receiving;
    if (this.#state() !== "transferring") this.#enter("transferring", title, "");
    const done = wording.percent(event);
    const bar = part<HTMLProgressElement>("progress");
    bar.setAttribute("aria-label", title);
    if (done !== null) bar.value = done;
    part("amount").textContent = wording.describeProgress(event);
    part("current").textContent = printable(event.path);
    this.#tab(done);
  }

  #heard(): void {
    if (this.#silent) say("notice", "");
    this.#silent = false;
  }

  #text({ text, sent, kind }: TextExchanged): void {
    if (!sent) this.#heard();
    if (kind === "snippet") {
      if (!sent) addSnippet(text);
      return;
    }
    const who = sent ? strings.you : strings.them;
    const said = element("bdi", {}, text);
    const attributes = { "data-kind": kind, "data-sent": String(sent) };
    const line = element("li", attributes, element("b", {}, who), " ", said);
    if (kind === "random") append("random", line, MAX_RANDOM);
    else append("log", line);
  }

  #say(): void {
    const input = part<HTMLInputElement>("chat-input");
    if (input.value.trim() === "") return;
    this.#handlers.say(input.value);
    input.value = "";
  }

  #done(event: Finished): void {
    const role = this.#connection?.role;
    const good = event.files.some((file) => file.status === "ok");
    const texts = new Set(this.#entries.filter((e) => e.kind === "text").map((e) => e.path));
    const result = wording.describeResult(event, texts);
    show(false, "chat-form");
    if (event.ok) {
      const title = role === "sender" ? strings.sent : strings.received;
      this.#enter("done", title, `${result} ${strings.verified}`);
    } else {
      const problem = this.#problem();
      const title = good ? strings.partly : problem.title;
      this.#enter(good ? "partly" : "failed", title, good ? result : "");
      showProblem(problem, good && problem.title !== title);
      show(wording.isRepeatable(problem.kind) && this.#handlers.canRetry(), "retry");
      show(problem.kind === "unreachable" || problem.kind === "offline", "two");
    }
    show(part("log").childElementCount > 0, "chat");
    listVerdicts(event.files);
    this.#downloads.offer(event.exports);
    say("sum", this.#downloads.describe());
  }

  #problem(): wording.Problem {
    return wording.explain(this.#error ?? new DcsendError(""), {
      connected: this.#connection !== null,
      silent: this.#silent,
      declined: this.#declined,
      canRetry: this.#handlers.canRetry(),
      ...this.#handlers.surroundings(),
    });
  }
}

function addDigest({ path, sha256 }: FileFinished): void {
  if (sha256 === "" || part("digests").childElementCount >= MAX_DIGESTS) return;
  const name = element("bdi", {}, printable(path));
  part("digests").append(element("li", {}, name, element("code", { dir: "ltr" }, sha256)));
}

/** Show a text that was sent as such, ready to be selected and copied. */
function addSnippet(text: string): void {
  const box = element("textarea", { readonly: "", dir: "auto", "aria-label": strings.snippet });
  box.value = text;
  box.rows = Math.min(8, Math.max(2, text.split("\n").length));
  const button = element("button", { type: "button" }, strings.copy);
  button.onclick = () => copyFrom(box, button);
  part("texts").append(element("h2", {}, strings.snippet), box, button);
}

/** Ask for the permission to notify, and say what came of it. */
async function tell(): Promise<void> {
  const allowed = await askToNotify();
  show(false, "tell");
  say("notice", wording.sentence(allowed ? strings.willTell : strings.wontTell));
}
