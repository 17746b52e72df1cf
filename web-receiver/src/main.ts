/**
 * The page: reads the code, and connects display, session and files.
 *
 * The code is in the fragment of the URL, which is not sent to the server, and is removed from the
 * address bar at once. It stays in the history of the browser, since a browser stores the URL before
 * the page runs, and a page can't change that entry (seen in Chromium 156).
 */
import { complete, namedServer, opening, showing, type Way, wayBack, wayOf } from "./codes.ts";
import { reloaded } from "./continuing.ts";
import { agent, deviceName, notify, Sleep, WakeLock } from "./device.ts";
import { startDownload } from "./display/downloads.ts";
import type { Shown } from "./display/showing.ts";
import { Display } from "./display.ts";
import { DcsendError, type ErrorKind } from "./errors.ts";
import { Expiry } from "./expiry.ts";
import { ask } from "./files/asking.ts";
import { destinations, NOTHING, probeSoon } from "./files/capabilities.ts";
import { gather, joinedChoices } from "./files/choosing.ts";
import { cleanPrivate, openSink, openSource } from "./files/disk.ts";
import { findExisting } from "./files/existing.ts";
import { KeptParts, privateParts } from "./files/leftovers.ts";
import { whyUnsafe } from "./files/names.ts";
import { pack } from "./files/packing.ts";
import { type Offering, offer } from "./peers/browser.ts";
import type { Connection } from "./peers/contract.ts";
import { DEFAULT_SERVER, parseServers } from "./peers/servers.ts";
import { type Server, serverAt } from "./rendezvous/servers.ts";
import { isKey, Returning, survivesReload } from "./returning.ts";
import type { Event, Finished } from "./session/events.ts";
import type { ShortCodeOptions } from "./session/joining.ts";
import { Run } from "./session/story.ts";
import { InSight } from "./sight.ts";
import { decodeAnswer, encodeOffer, markOf } from "./signaling/blob.ts";
import { MARKS, store, stored, takeFragment, UNSENT, USED } from "./stored.ts";
import { endings } from "./strings.ts";
import { explain, NOWHERE } from "./wording.ts";

/**
 * Milliseconds for which `pagehide` blocks, so that the last message is sent after the queued file
 * data. Otherwise Chromium 156 drops it, and the other side waits for half a minute.
 */
const LAST = 600;

/** Kinds of errors after which the other side has ended its run. */
const ENDED_THERE: readonly ErrorKind[] = ["refused", "timeout"];

let world = NOTHING;
const kept = new KeptParts(privateParts);
let code = "";
/** Whether the offer was accepted or declined on either side, after which the code is invalid. */
let isUsed = false;
/** What a reload shows in place of a used code. */
let mark: typeof USED | typeof UNSENT = USED;
/** Whether the one guess of a short code was made, after which it never works again. */
let isGuessed = false;
/** Whether a short code is shown, or made. */
let isShowing = false;
/** Shows another short code, if this page has shown one. */
let showAgain: (() => void) | null = null;
/** Whether file data has been transferred in this run. */
let isBegun = false;
let run: Run | null = null;
/** What this page keeps to go on after a reload. */
let returning: Returning | null = null;
/** The offer of two codes, until the answer is entered. */
let offering: Offering | null = null;
/** Number of the run; events of an earlier run are ignored. */
let turn = 0;
/** In a frame, the embedding site could choose the code and trick the user into clicking. */
const isFramed = "top" in globalThis && window.top !== window;
/** Dials when the page becomes visible. */
const inSight = new InSight();
const wakeLock = new WakeLock();
const wallClock = () => Date.now() / 1000;
const sleep = new Sleep(wallClock);
// By then an error may be shown that offers to try the code again.
const expiry = new Expiry(wallClock, () => display.reconsider());

let display: Display;

const hooks = {
  startDownload,
  // Created by unpack.ts; there is none in a worker.
  script: globalThis.document?.getElementById("script")?.textContent ?? "",
};

/** Connect by a scanned or typed code of any kind. */
function connect(text: string): void {
  leave();
  const own = turn;
  const spent = () => {
    if (own !== turn) return;
    if (way.left === "") {
      isGuessed = true;
      usedUp();
    } else {
      code = way.left;
      store(code);
    }
  };
  let way: Way;
  try {
    way = wayOf(text, (server) => ({ ...shortCodeOptions(server), spent }));
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    display.paste(explain(error, NOWHERE));
    return;
  }
  code = text;
  expiry.set(way.expires);
  isBegun = false;
  unused();
  display.connecting();
  begin(way.connect, way.expires);
}

/**
 * Show short codes, and connect to the side that enters one; on the server `typed` if need be. Throws
 * UsageError if that is not a server.
 */
function showCode(role: "sender" | "receiver", typed: string): void {
  const named = namedServer();
  const server = named ?? serverAt(typed);
  leave();
  code = "";
  store("");
  isBegun = false;
  isUsed = false;
  let options: ShortCodeOptions;
  try {
    options = shortCodeOptions(server);
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    display.paste(explain(error, NOWHERE));
    return;
  }
  // A typed server that makes no code may be the wrong one.
  let isRight = named !== null;
  showAgain = () => {
    if (isRight) showCode(role, typed);
    else {
      restart();
      document.getElementById("server")?.focus();
    }
  };
  const own = turn;
  const show = (shown: Shown | null) => {
    if (own !== turn) return;
    isShowing = true;
    if (shown !== null) isRight = true;
    // A phone that locks itself loses the mailbox.
    void wakeLock.renew(true);
    display.showing(role, shown);
  };
  const connecting = () => {
    if (own !== turn) return;
    isShowing = false;
    display.connecting();
  };
  const confirm = () => display.confirmAnother();
  show(null);
  const shown = { ...options, show, connecting, confirm };
  begin(showing(role, shown), Number.POSITIVE_INFINITY, role);
}

/** Return the common options of both sides of a short code. Throws UsageError. */
function shortCodeOptions(server: Server, servers = display.servers): ShortCodeOptions {
  const own = turn;
  return {
    server,
    servers,
    open: opening(server, parseServers(servers)),
    note: (message, hint) => {
      if (own === turn) display.note(message, hint);
    },
  };
}

/** Go on with a transfer that was accepted before this page was loaded again. */
function goOn(found: Returning): void {
  returning = null; // leaving would forget it
  leave();
  returning = found;
  isBegun = false;
  usedUp();
  display.connecting();
  code = found.accepted.code;
  begin(wayBack(found.accepted, shortCodeOptions), Number.POSITIVE_INFINITY, "receiver");
}

async function goOnIfKept(key: string): Promise<void> {
  display.connecting();
  const found = await Returning.find(key);
  if (run !== null) return;
  if (found === null) open(USED);
  else whenVisible(() => goOn(found));
}

/** Ask for another code. */
function restart(): void {
  leave();
  display.paste();
}

/** Dial when the page becomes visible. */
function connectInSight(text: string): void {
  leave();
  store(text);
  whenVisible(() => connect(text));
}

function whenVisible(dial: () => void): void {
  if (!inSight.call(dial)) display.connecting(false);
}

/** Create the offer, the first of two codes, and show it. */
async function exchange(servers: string): Promise<void> {
  leave();
  code = "";
  display.exchanging("");
  const own = turn;
  try {
    const made = await offer({ iceServers: parseServers(servers) });
    if (own !== turn) made.close();
    else {
      offering = made;
      display.exchanging(encodeOffer(made.sdp), made.problems);
    }
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    if (own === turn) display.refuse(error);
  }
}

/** Take the answer, the second of two codes, and connect. */
function answer(text: string): void {
  if (offering === null) return;
  let sdp: string;
  try {
    sdp = decodeAnswer(text, offering.mid, markOf(offering.sdp));
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    display.refuse(error);
    return;
  }
  const answered = offering;
  offering = null;
  display.connecting();
  // Session descriptions don't expire: both sides wait.
  begin((signal) => answered.connect(sdp, { signal }), Number.POSITIVE_INFINITY);
}

function begin(
  connect: (signal: AbortSignal) => Promise<Connection>,
  expires: number,
  role?: "sender" | "receiver",
): void {
  const own = turn;
  const probing = probeSoon(); // again, because saved files reduce the free space
  const former = returning;
  run = new Run({
    connect,
    ...(role === undefined ? {} : { role }),
    expires,
    emit: (event) => (own === turn ? follow(event) : undefined),
    questions: {
      async decide(manifest) {
        world = await probing;
        if (world.private) await kept.look(manifest.entries, () => display.reoffer());
        // It may have ended or been replaced.
        if (own !== turn || run === null) return null;
        if (former?.fits(manifest.entries)) return former.accepted.decision;
        const decision = await display.decide(manifest);
        if (own !== turn) return decision;
        if (decision === null) usedUp();
        else if (run.ticket !== null && survivesReload(decision)) {
          returning = new Returning({ ...run.ticket, entries: manifest.entries, decision });
          return returning.begin();
        }
        return decision;
      },
      choose: () => display.choose(),
    },
    agent: agent(__VERSION__, navigator.userAgent),
    name: deviceName(navigator.userAgent),
    validate: whyUnsafe,
    openSink: (destination, entries, wanted) => openSink(destination, entries, wanted, hooks),
    async handOver(file, number) {
      if (own !== turn) return;
      await display.handOver(file);
      await returning?.saved(number);
    },
    openSource: (chosen, skip) => openSource(chosen, skip, hooks),
    now: () => performance.now() / 1000,
    wallClock,
  });
}

/** Show an event, and update code, storage and wake lock. */
function follow(event: Event): void {
  // Until then the code works again after a reload, since the listener waits again.
  if (event.type === "progress" || event.type === "file") {
    isBegun = true;
    usedUp();
    returning?.progress();
  }
  // If an accepted offer could not be saved, the other side waits again.
  if (event.type === "failed" && event.error.kind === "destination" && !isBegun) unused();
  if (event.type === "connected" || event.type === "failed") isShowing = false;
  if (event.type === "connected") mark = MARKS[event.role];
  // The other side has ended its run.
  if (event.type === "failed" && ENDED_THERE.includes(event.error.kind)) usedUp();
  // Also during a question: a phone that locks itself loses the connection.
  if (event.type === "connected" || event.type === "progress") void wakeLock.renew(true);
  display.show(event);
  // A page that could not connect again can try once more.
  if (event.type === "failed" && (isBegun || event.error.kind !== "connection")) forget();
  if (event.type === "done") conclude(event);
}

function conclude(event: Finished): void {
  run = null;
  if (event.ok) {
    mark = USED;
    forget();
  }
  wakeLock.release();
  const some = event.files.some((file) => file.status === "ok");
  const ending = event.ok ? endings.done : some ? endings.partly : endings.failed;
  void notify(`dcsend: ${ending}`, document.title);
}

/** End the current run, if there is one. */
function leave(): void {
  turn += 1;
  inSight.forget();
  isGuessed = false;
  isShowing = false;
  showAgain = null;
  run?.stop();
  run = null;
  offering?.close();
  offering = null;
  forget();
  mark = USED;
  wakeLock.release();
}

function forget(): void {
  returning?.forget();
  returning = null;
  if (isUsed) store(mark);
}

function surroundings() {
  return { isOnline: navigator.onLine, slept: sleep.slept(), shown: showAgain !== null };
}

function unused(): void {
  if (isGuessed) return;
  isUsed = false;
  store(code);
}

function usedUp(): void {
  isUsed = true;
  store(returning?.isKept ? returning.key : mark);
}

function open(text = takeFragment() ?? stored()): void {
  if (typeof globalThis.RTCPeerConnection !== "function") display.unsupported();
  else if (text === USED || text === UNSENT) {
    // Shown once: another reload starts anew.
    store("");
    display.paste(null, reloaded[text]);
  } else if (text && isKey(text)) void goOnIfKept(text);
  else if (text) connectInSight(text);
  else display.paste();
}

/** Start the page; not in a worker. */
export function main(): void {
  display = new Display({
    connect,
    exchange,
    answer,
    retry() {
      if (returning !== null) goOn(returning);
      else if (showAgain === null) connect(code);
      else showAgain();
    },
    canRetry: () =>
      returning !== null || showAgain !== null || (code !== "" && !isUsed && !expiry.isPast),
    restart,
    stop() {
      if (!inSight.isAwaited && !isShowing) run?.stop();
      else restart();
    },
    showCode,
    complete,
    sendLine: (line) => run?.sendLine(line),
    destinations(entries, wanted) {
      const [packed, parts] = [pack(entries, wanted), kept.of(entries, wanted)];
      return destinations(world, packed, parts, run !== null && run.ticket !== null);
    },
    kept,
    open: (way, entries, wanted) => ask(way, pack(entries, wanted)),
    existing: findExisting,
    gather,
    join: joinedChoices,
    surroundings,
  });
  addEventListener("hashchange", () => {
    if (isFramed) return;
    const text = takeFragment();
    // The code of the current run, or the link with it, was scanned again; a code works once.
    if (text === null || (run !== null && code !== "" && text.includes(code))) return;
    if (display.confirmSwitch()) connectInSight(text);
  });
  addEventListener("beforeunload", (event) => {
    if (display.busy || display.unsaved) event.preventDefault();
  });
  addEventListener("pagehide", () => {
    if (run !== null) {
      if (returning?.isKept && run.away()) {
        turn += 1; // its end is not that of the transfer
        usedUp();
      } else {
        run.leave();
        forget();
      }
      for (const begun = performance.now(); performance.now() - begun < LAST; );
    }
    display.leave();
  });
  inSight.watch(() => void wakeLock.renew());
  for (const type of ["online", "offline"]) addEventListener(type, () => display.reconsider());
  setInterval(() => sleep.tick(), 1000);
  if (isFramed) {
    display.unsupported("framed");
  } else {
    void cleanPrivate();
    void Returning.clean();
    display.servers = DEFAULT_SERVER;
    display.server = namedServer()?.name ?? null;
    open();
  }
}
