/**
 * The user interface. With display/ and main.ts the only part that uses the document.
 *
 *     paste ◄─► exchanging (two codes)
 *     paste ◄─► showing (a short code)
 *     paste ─► connecting ─┬─► offered ──────────────┬─► transferring ─┬─► done
 *                          └─► choosing ─► waiting ──┘                 ├─► partly
 *     unsupported                                                      └─► failed
 *
 * index.html holds all parts; a state shows those that have its name in `data-for`. Every text
 * enters the page as text, never as html. Imports types, strings, device.ts and pure helpers.
 */
import { canAskToNotify } from "./device.ts";
import { addDigest, addSnippet, linked } from "./display/arrived.ts";
import { Downloads } from "./display/downloads.ts";
import { append, element, head, isolated, on, part, show, showText } from "./display/elements.ts";
import { Exchange } from "./display/exchange.ts";
import { ExistingFiles } from "./display/existing.ts";
import { Left, type LeftHandlers } from "./display/left.ts";
import { Offer, type OfferHandlers } from "./display/offer.ts";
import { type PickHandlers, Picks } from "./display/picks.ts";
import { Progress } from "./display/progress.ts";
import { hasArrived, listVerdicts, showProblem } from "./display/results.ts";
import { Showing, type ShowingHandlers, type Shown } from "./display/showing.ts";
import { allowNotifications, type State, showTab } from "./display/tab.ts";
import type { Entry } from "./entry.ts";
import { DcsendError, PeerCannotSave } from "./errors.ts";
import type { Chosen, Export } from "./files/contract.ts";
import { printable } from "./printable.ts";
import type {
  Connected,
  Finished,
  ManifestKnown,
  Progressed,
  Event as SessionEvent,
  TextExchanged,
} from "./session/events.ts";
import type { Decision, Questions } from "./session/options.ts";
import { fixed, strings, troubles } from "./strings.ts";
import * as wording from "./wording.ts";

/** Keep-alive messages that are shown: the last few minutes. */
const MAX_RANDOM = 50;

/** The actions of the user. */
export interface Handlers extends OfferHandlers, PickHandlers, ShowingHandlers {
  /** Parts of earlier transfers. */
  readonly kept: LeftHandlers;
  /** A code or a link was entered. */
  connect(text: string): void;
  /** Two codes in place of one: create the offer, with these servers. */
  exchange(servers: string): void;
  /** The answer of the other side was entered. */
  answer(text: string): void;
  /** Try again with the same code. */
  retry(): void;
  /** Start anew with another code. */
  restart(): void;
  /** Whether the same code can be tried again. */
  canRetry(): boolean;
  stop(): void;
  sendLine(line: string): void;
  /** The state of the device at the time of an error. */
  surroundings(): Pick<wording.Circumstances, "isOnline" | "slept" | "shown">;
}

/** How a run ended, and the state of the device at that time. */
interface Ending {
  readonly event: Finished;
  readonly online: boolean;
  readonly slept: boolean;
}

/** Shows a run, asks the user, and calls `handlers` for actions of the user. */
export class Display implements Questions {
  readonly #handlers: Handlers;
  readonly #downloads = new Downloads();
  readonly #existing = new ExistingFiles();
  readonly #picks: Picks;
  readonly #exchange: Exchange;
  readonly #showing: Showing;
  readonly #left: Left;
  readonly #progress = new Progress();
  #connection: Connected | null = null;
  #entries: readonly Entry[] = [];
  #error: DcsendError | null = null;
  #ending: Ending | null = null;
  #offer: Offer | null = null;
  #declined = false;
  #silent = false;
  #accept: () => void = () => undefined;
  #decline: () => void = () => undefined;
  #send: () => void = () => undefined;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
    this.#picks = new Picks(handlers);
    for (const node of document.querySelectorAll<HTMLElement>("[data-text]")) {
      node.replaceChildren(...isolated(fixed[node.dataset.text ?? ""] ?? ""));
    }
    on("paste", "submit", () => handlers.connect(part<HTMLTextAreaElement>("code").value));
    on("accept", "click", () => this.#accept());
    on("decline", "click", () => this.#decline());
    on("send", "click", () => this.#send());
    on("stop", "click", () => handlers.stop());
    this.#exchange = new Exchange(handlers);
    this.#showing = new Showing(handlers);
    this.#left = new Left(handlers.kept);
    on("two", "click", () => this.#exchange.begin());
    on("retry", "click", () => {
      handlers.retry();
      this.#picks.keep();
    });
    on("restart", "click", () => {
      if (this.confirmSwitch()) handlers.restart();
    });
    on("notify", "click", () => allowNotifications());
    on("chat-form", "submit", () => this.#sendLine());
  }

  /** Ask for a code, and show what is wrong with the last one, or what has become of it. */
  paste(problem: wording.Problem | null = null, about: string = strings.aboutPaste): void {
    this.#forget();
    this.#enter("paste", strings.paste, about);
    part("code").setAttribute("aria-invalid", String(problem !== null));
    if (problem !== null) {
      showProblem(problem, true);
      part("code").focus();
    } else this.#showing.clear();
  }

  /**
   * Show the offer, or that it is being created if `code` is empty, and ask for the answer; show
   * which servers failed.
   */
  exchanging(code: string, problems: readonly DcsendError[] = []): void {
    if (this.#state() !== "exchanging") {
      this.#forget();
      this.#enter("exchanging", strings.exchanging, strings.aboutExchanging);
    }
    this.#exchange.show(code);
    const said = problems.flatMap(({ message, hint }) => [message, hint].map(wording.sentence));
    showText("notice", wording.listed(said, " "));
  }

  /** Show our short code for this role, or that a new one is made if it is null. */
  showing(role: "sender" | "receiver", shown: Shown | null): void {
    const about = strings.aboutShowing[role];
    if (this.#state() !== "showing") {
      this.#forget();
      this.#enter("showing", strings.showing, about);
    }
    head(strings.showing, about);
    this.#showing.show(shown);
  }

  /** Ask whether to show another short code, after several wrong ones; resolve when it is wanted. */
  confirmAnother(): Promise<void> {
    this.note("");
    head(strings.wrong, "");
    return this.#showing.confirm();
  }

  /** Show the rendezvous server of the page; null: ask for that of codes that are shown. */
  set server(name: string | null) {
    show(name === null, "no-server");
    this.#showing.server = name ?? "";
  }

  /** Show a note. */
  note(message: string, hint = ""): void {
    showText("notice", wording.listed([message, hint].map(wording.sentence), " "));
  }

  /** Fill in the STUN and TURN servers for two codes and short codes. */
  set servers(named: string) {
    part<HTMLTextAreaElement>("servers").value = named;
  }

  /** The STUN and TURN servers that are named. */
  get servers(): string {
    return part<HTMLTextAreaElement>("servers").value;
  }

  /** Show what is wrong with the answer, or with the servers. */
  refuse(error: DcsendError): void {
    this.#exchange.refuse(wording.listed([error.message, error.hint].map(wording.sentence), " "));
  }

  /** Show that the page connects, or that it will when it is `inSight`. */
  connecting(inSight = true): void {
    this.#forget();
    const about = inSight ? strings.aboutConnecting : strings.outOfSight;
    this.#enter("connecting", strings.connecting, about);
  }

  /** Show that this browser is not supported, or that the page is in a frame. */
  unsupported(why: "unsupported" | "framed" = "unsupported"): void {
    this.#enter("unsupported", troubles[why].title, "");
    showProblem(wording.trouble(why));
  }

  /** Show an event of the run. */
  show(event: SessionEvent): void {
    if (event.type === "connected") this.#connected(event);
    else if (event.type === "manifest") this.#entries = event.entries;
    else if (event.type === "progress") this.#advance(event);
    else if (event.type === "checking") this.#progress.check(event);
    else if (event.type === "file") addDigest(event);
    else if (event.type === "text") this.#text(event);
    else if (event.type === "failed") this.#error = event.error;
    else if (event.type === "done") this.#done(event);
    else if (event.kind === "silent" || event.kind === "interrupted") {
      this.#silent = true;
      showText("notice", strings[event.kind]);
    } else {
      this.#silent = false;
      this.note(event.message, event.hint);
    }
  }

  /**
   * Show the error again for the current circumstances: the device may be online again, or the code
   * may have expired.
   */
  reconsider(): void {
    if (this.#ending === null || this.#ending.event.ok) return;
    const problem = this.#problem(this.#ending);
    const partly = this.#state() === "partly";
    if (!partly) head(problem.title, "");
    showProblem(problem, partly && problem.title !== strings.partly);
    show(problem.again, "retry");
    show(["unreachable", "offline", "was-offline"].includes(problem.kind), "two");
  }

  /** Show the offer, and ask; null declines. */
  decide({ entries, leftOut }: ManifestKnown): Promise<Decision | null> {
    this.#entries = entries;
    const address = printable(this.#connection?.address ?? "");
    const title = wording.offerTitle(entries, entries);
    const peer = this.#peer();
    this.#enter("offered", title, strings.from(peer, address), peer);
    showText("left-out", wording.describeLeftOut(leftOut));
    const offer = new Offer(entries, this.#handlers, this.#existing);
    this.#offer = offer;
    return new Promise((resolve) => {
      const accept = async () => {
        // While a dialog is open, the offer may be withdrawn or replaced.
        const destination = await offer.open(() => this.#accept === accept);
        if (destination === null) return;
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

  /** Show what has changed about an offer; return whether one is shown. */
  reoffer(): boolean {
    const isShown = this.#state() === "offered";
    if (isShown) this.#offer?.update();
    return isShown;
  }

  /** Ask what to send. */
  choose(): Promise<readonly Chosen[] | null> {
    const peer = this.#peer();
    this.#enter("choosing", strings.choosing, strings.to(peer), peer);
    this.#picks.begin();
    return new Promise((resolve) => {
      this.#send = () => {
        const chosen = this.#picks.end();
        this.#picks.mark([]);
        this.#entries = chosen.map((one) => one.entry);
        this.#enter("waiting", strings.waiting, strings.aboutWaiting);
        resolve(chosen);
      };
    });
  }

  /** Whether something would be lost with the page. */
  get busy(): boolean {
    return this.#runs() || this.#picks.isPending;
  }

  /** Whether received files would be lost with the page. */
  get unsaved(): boolean {
    return this.#downloads.unsaved;
  }

  /** Ask whether to use another code if something would be lost; return the decision. */
  confirmSwitch(): boolean {
    if (this.busy) return confirm(this.#runs() ? strings.switchCode : strings.switchChosen);
    return !this.unsaved || confirm(strings.leaveUnsaved);
  }

  #runs(): boolean {
    return this.#state() === "waiting" || this.#state() === "transferring";
  }

  /** Hand one of several files to the downloads while others are being received. */
  readonly handOver = (file: Export) => this.#downloads.add(file);

  /** Release the object URLs of downloads, because the page is being closed. */
  leave(): void {
    this.#downloads.revoke();
  }

  #peer(): string {
    return this.#connection === null ? strings.unnamed : wording.describePeer(this.#connection);
  }

  #state(): State | undefined {
    return document.body.dataset.state as State | undefined;
  }

  /** Show the elements of a state, and focus its heading. */
  #enter(state: State, title: string, about: string, name = ""): void {
    const first = this.#state() === undefined;
    this.#picks.end();
    this.#accept = () => undefined;
    document.body.dataset.state = state;
    for (const node of document.querySelectorAll<HTMLElement>("[data-for]")) {
      node.hidden = !node.dataset.for?.split(" ").includes(state);
    }
    // A notice about an offer is shown right before the offer.
    if (state !== "offered") showText("notice", "");
    delete part("problem").dataset.kind;
    show(false, "problem", "hidden-names", "left-out", "about-saving", "every", "ways", "doubt");
    show(false, "existing", "save", "send", "unpick", "share", "retry");
    show(true, "actions");
    show(this.#runs() && canAskToNotify(), "notify");
    for (const id of ["files", "amount", "current"]) part(id).replaceChildren();
    part("progress").removeAttribute("value");
    head(title, about, name);
    void this.#left.refresh();
    showTab(state, this.#entries, 0);
    // Not when the page opens, since a screen reader starts at its top, nor while the user types.
    const typing = document.activeElement === part("chat-input") && !part("chat-form").hidden;
    if (!first && !typing) part("title").focus();
  }

  #forget(): void {
    this.#downloads.clear();
    this.#picks.keep(false);
    this.#connection = this.#error = this.#ending = null;
    this.#entries = [];
    this.#progress.clear();
    this.#declined = this.#silent = false;
    for (const id of ["texts", "log", "facts", "digests", "random"]) part(id).replaceChildren();
    show(false, "chat", "chat-form", "details", "notice");
  }

  #connected(event: Connected): void {
    this.#connection = event;
    const facts = [
      [strings.route, wording.describeRoute(event)],
      [strings.device, wording.describePeer(event)],
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
    if (event.role === "receiver") head(strings.connected, strings.met);
  }

  #advance(event: Progressed): void {
    if (event.still === 0) this.#noteArrival();
    const role = this.#connection?.role ?? "receiver";
    const title = role === "sender" ? strings.sending : strings.receiving;
    if (this.#state() !== "transferring") this.#enter("transferring", title, "");
    this.#progress.show(event, role, title);
    showTab("transferring", this.#entries, wording.percent(event));
  }

  #noteArrival(): void {
    if (this.#silent) showText("notice", "");
    this.#silent = false;
  }

  #text({ text, sent, kind }: TextExchanged): void {
    if (!sent) this.#noteArrival();
    if (kind === "snippet") {
      if (!sent) addSnippet(text);
      return;
    }
    const who = sent ? strings.you : strings.them;
    const said = element("bdi", {}, ...linked(text));
    const attributes = { "data-kind": kind, "data-sent": String(sent) };
    const line = element("li", attributes, element("b", {}, who), " ", said);
    if (kind === "random") append("random", line, MAX_RANDOM);
    else append("log", line);
  }

  #sendLine(): void {
    const input = part<HTMLInputElement>("chat-input");
    if (input.value.trim() === "") return;
    this.#handlers.sendLine(input.value);
    input.value = "";
  }

  #done(event: Finished): void {
    const role = this.#connection?.role;
    const { isOnline, slept } = this.#handlers.surroundings();
    this.#ending = { event, online: isOnline, slept };
    const texts = new Set(this.#entries.filter((e) => e.kind === "text").map((e) => e.path));
    const result = wording.describeResult(event, texts);
    show(false, "chat-form");
    if (event.ok) {
      const title = role === "sender" ? strings.sent : strings.received;
      this.#enter("done", title, `${result} ${strings.verified}`);
    } else if (hasArrived(event)) {
      this.#enter("partly", strings.partly, result);
    } else {
      this.#enter("failed", this.#problem(this.#ending).title, "");
    }
    this.reconsider();
    if (this.#error instanceof PeerCannotSave) this.#picks.mark(this.#error.existing);
    show(part("log").childElementCount > 0, "chat");
    this.#downloads.offer(event.exports);
    listVerdicts(wording.allFiles(event, this.#entries, this.#progress.last), this.#downloads);
    // It matters beside what has arrived.
    const arrived = this.#state() !== "failed";
    showText("left-out", arrived ? wording.describeLeftOut(event.leftOut) : "");
  }

  #problem({ event, online, slept }: Ending): wording.Problem {
    return wording.explain(this.#error ?? new DcsendError(""), {
      connected: this.#connection !== null,
      silent: this.#silent,
      declined: this.#declined,
      some: hasArrived(event),
      canRetry: this.#handlers.canRetry(),
      rest: this.#progress.rest(this.#connection),
      online,
      ...this.#handlers.surroundings(),
      slept,
    });
  }
}
