/**
 * The page: reads the code, makes the parts of dcsend and puts them together.
 *
 * The code comes in the fragment of the address, which no server sees, and is taken out of the address
 * bar at once. The browser's history keeps it: a browser writes the address down before a page runs,
 * and no page can change that entry (seen in Chromium 156).
 */
import { agent, notify, Sleep, WakeLock } from "./device.ts";
import { Display } from "./display.ts";
import type { Connection } from "./engines/base.ts";
import { dial, type Offering, offer } from "./engines/browser.ts";
import { DEFAULT_SERVER, parseServers } from "./engines/servers.ts";
import { DcsendError } from "./errors.ts";
import { ask } from "./files/asking.ts";
import { destinations, probe, type World } from "./files/capabilities.ts";
import { fromFiles, fromItems, joinedChoices } from "./files/choosing.ts";
import { cleanPrivate, openSink, openSource } from "./files/disk.ts";
import { safePath } from "./files/names.ts";
import { pack } from "./files/packing.ts";
import type { Event } from "./session/events.ts";
import { type Run, startRun } from "./session/story.ts";
import { decodeAnswer, encodeOffer } from "./signaling/blob.ts";
import { type DialCode, decode, icePassword } from "./signaling/dialcode.ts";
import { endings } from "./strings.ts";
import { explain } from "./wording.ts";

/** The code, until it is used, so that the page can be loaded again before that; then USED. */
const STORED = "dcsend";
const USED = "used";
/** Milliseconds to find out what the browser can do; a service worker may be slow to start. */
const PROBING = 3000;

/**
 * Milliseconds that a page which is going away holds on, for its last message to get past the file
 * that is being sent. Without, Chromium 156 drops it, and the other side waits half a minute.
 */
const LAST = 600;

const NOTHING: World = {
  savePicker: false,
  folderPicker: false,
  private: false,
  room: null,
  stream: false,
};

let world = NOTHING;
let code = "";
/** Whether a person, here or there, has answered: then the code serves no other run. */
let isUsed = false;
let run: Run | null = null;
/** Ours of two codes, while it waits for the other. */
let offering: Offering | null = null;
/** Counts the runs: of one that was left for another code nobody wants to hear. */
let turn = 0;
/** In a frame, the site around it could choose the code and have a person click unawares. */
const isFramed = window.top !== window;
/** Dials as soon as the page may; see `connectInSight`. */
let whenInSight: (() => void) | null = null;
const wakeLock = new WakeLock();
const wallClock = () => Date.now() / 1000;
const sleep = new Sleep(wallClock);

/** Look again for each run: what the one before has saved takes room. */
async function look(): Promise<void> {
  const late = new Promise<World>((resolve) => setTimeout(resolve, PROBING, NOTHING));
  world = await Promise.race([probe(), late]);
}

const display = new Display({
  connect,
  exchange,
  answer,
  retry: () => connect(code),
  canRetry: () => code !== "" && !isUsed,
  restart,
  stop() {
    if (whenInSight === null) run?.stop();
    else restart();
  },
  say: (line) => run?.say(line),
  destinations: (entries, wanted) => destinations(world, pack(entries, wanted)),
  open: (type, entries, wanted) => ask(type, pack(entries, wanted)),
  gather: async (from, pasted) =>
    from instanceof FileList
      ? fromFiles(from)
      : fromItems(from.items, pasted ? new Date() : undefined),
  join: joinedChoices,
  surroundings,
});

const hooks = {
  startDownload: (url: string) => display.startDownload(url),
  // Of which unpack.ts has made an element.
  script: document.getElementById("script")?.textContent ?? "",
};

/** Decode what was scanned or typed, and dial. */
function connect(text: string): void {
  leave();
  let decoded: DialCode;
  try {
    decoded = decode(text);
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    const nowhere = { connected: false, silent: false, declined: false, canRetry: false };
    display.paste(explain(error, { ...nowhere, ...surroundings() }));
    return;
  }
  const { addresses, fingerprint, secret, expires } = decoded;
  const target = { addresses, fingerprint, password: icePassword(secret) };
  code = text;
  isUsed = false;
  store(text);
  display.connecting();
  const server = location.hostname.replace(/^\[|\]$/g, "");
  begin((signal) => dial(target, { server, signal }), expires);
}

/** Ask for another code. */
function restart(): void {
  leave();
  display.paste();
}

/**
 * Dial as soon as a person can see the page. A program that loads a link ahead of a person, and a tab
 * that is not in front yet, must not take the place of the person whom the code is for.
 */
function connectInSight(text: string): void {
  if (isInSight()) {
    connect(text);
    return;
  }
  leave();
  store(text);
  display.connecting(false);
  whenInSight = () => connect(text);
}

function isInSight(): boolean {
  // Not in the DOM's types: the page may be loaded ahead, in case a person opens the link.
  const { prerendering = false } = document as Document & { readonly prerendering?: boolean };
  return document.visibilityState === "visible" && !prerendering;
}

function sightChanged(): void {
  if (isInSight()) whenInSight?.();
}

/** Make the first of two codes, and show it. */
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

/** Take the second of two codes, and connect. */
function answer(text: string): void {
  if (offering === null) return;
  let sdp: string;
  try {
    sdp = decodeAnswer(text, offering.mid);
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    display.refuse(error);
    return;
  }
  const answered = offering;
  offering = null;
  display.connecting();
  // These codes don't expire: who has shown one waits.
  begin((signal) => answered.connect(sdp, { signal }), Number.POSITIVE_INFINITY);
}

function begin(connect: (signal: AbortSignal) => Promise<Connection>, expires: number): void {
  const own = turn;
  const probing = look();
  run = startRun({
    connect,
    expires,
    emit: (event) => (own === turn ? follow(event) : undefined),
    questions: {
      async decide(manifest) {
        await probing;
        // It may have ended meanwhile, or been left: then nothing may be asked any more.
        if (own !== turn || run === null) return null;
        const decision = await display.decide(manifest);
        if (own === turn) usedUp();
        return decision;
      },
      choose: () => display.choose(),
    },
    agent: agent(__VERSION__, navigator.userAgent),
    judge,
    openSink: (destination, entries, wanted) => openSink(destination, entries, wanted, hooks),
    openSource: (chosen, skip) => openSource(chosen, skip, hooks),
    now: () => performance.now() / 1000,
    wallClock,
  });
}

/** Show an event, and do what goes with it. */
function follow(event: Event): void {
  // Until then a page that is loaded again dials again: the code is given back when this one goes.
  if (event.type === "progress" || event.type === "file") usedUp();
  if (event.type === "failed" && event.error.kind === "refused") usedUp();
  // A phone that locks itself while somebody is asked would lose the connection, too.
  if (event.type === "connected" || event.type === "progress") void wakeLock.renew(true);
  display.show(event);
  if (event.type !== "done") return;
  run = null;
  wakeLock.release();
  const some = event.files.some((file) => file.status === "ok");
  const ending = event.ok ? endings.done : some ? endings.partly : endings.failed;
  void notify(`dcsend: ${ending}`, document.title);
}

/** Leave the run, if there is one, for another. */
function leave(): void {
  turn += 1;
  whenInSight = null;
  run?.stop();
  run = null;
  offering?.close();
  offering = null;
  wakeLock.release();
}

/** Whether a path may be saved: empty, or why not. */
function judge(path: string): string {
  try {
    safePath(path);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "not a name";
  }
}

function surroundings() {
  return { online: navigator.onLine, slept: sleep.slept() };
}

/** Take the code out of the address bar; null if there is none. */
function takeFragment(): string | null {
  const fragment = location.hash.slice(1);
  if (fragment === "") return null;
  history.replaceState(null, "", location.pathname + location.search);
  return fragment;
}

function usedUp(): void {
  if (isUsed) return;
  isUsed = true;
  store(USED);
}

// Storage throws where the person has forbidden it; then a reload asks for the code.
function store(text: string): void {
  try {
    sessionStorage.setItem(STORED, text);
  } catch {}
}

function stored(): string | null {
  try {
    return sessionStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function open(): void {
  const scanned = takeFragment();
  const text = scanned ?? stored();
  if (typeof globalThis.RTCPeerConnection !== "function") display.unsupported();
  else if (text === USED) {
    // Said once: who loads the page yet again wants to begin anew.
    store("");
    display.paste("used");
  } else if (text) connectInSight(text);
  else display.paste();
}

addEventListener("hashchange", () => {
  if (isFramed) return;
  const text = takeFragment();
  // The code of this very run, scanned once more: it would be used up for a second one.
  if (text === null || (text === code && run !== null)) return;
  if (!display.busy || display.confirmSwitch()) connectInSight(text);
});
addEventListener("beforeunload", (event) => {
  if (display.busy) event.preventDefault();
});
addEventListener("pagehide", () => {
  if (run !== null) {
    run.leave();
    for (const begun = performance.now(); performance.now() - begun < LAST; );
  }
  display.leave();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void wakeLock.renew();
  sightChanged();
});
document.addEventListener("prerenderingchange", sightChanged);
setInterval(() => sleep.tick(), 1000);
if (isFramed) {
  display.unsupported("framed");
} else {
  void cleanPrivate();
  display.servers(DEFAULT_SERVER);
  open();
}
