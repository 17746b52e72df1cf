/**
 * Optional functions of the device: wake lock, notifications, clipboard, sharing. All of them fail
 * silently where they are missing, as most are on http pages. Does not use elements of the page.
 */

/** Seconds by which a timer is late after the page was suspended; busy pages are late by less. */
const LATE = 5;
/** Seconds for which a suspension explains a lost connection. */
const REMEMBERED = 60;

/** Keeps the screen on while needed. */
export class WakeLock {
  #wanted = false;
  /** Whether a request is pending: of two simultaneous locks, one would never be released. */
  #asking = false;
  #lock: { release(): Promise<void>; readonly released: boolean } | null = null;

  /** Keep the screen on from now on; call again when the page becomes visible. */
  async renew(wanted = this.#wanted): Promise<void> {
    this.#wanted = wanted;
    // Undefined on http pages, contrary to the types.
    const wakeLock: Navigator["wakeLock"] | undefined = globalThis.navigator?.wakeLock;
    if (!wanted || wakeLock === undefined || this.#lock?.released === false) return;
    if (this.#asking) return;
    this.#asking = true;
    try {
      const lock = await wakeLock.request("screen");
      this.#lock = lock;
      if (!this.#wanted) await lock.release();
    } catch {
      // The page is hidden, or the battery is low.
    } finally {
      this.#asking = false;
    }
  }

  /** Allow the screen to switch off. */
  release(): void {
    this.#wanted = false;
    this.#lock?.release().catch(() => undefined);
    this.#lock = null;
  }
}

/** Return whether the permission for notifications can be requested. */
export function canAskToNotify(): boolean {
  return (
    globalThis.isSecureContext === true &&
    "Notification" in globalThis &&
    Notification.permission === "default"
  );
}

/** Request the permission for notifications, in a click; return whether it was granted. */
export async function askToNotify(): Promise<boolean> {
  try {
    return (await Notification.requestPermission()) === "granted";
  } catch {
    return false;
  }
}

/** Show a notification if that is permitted. */
export async function notify(title: string, body: string): Promise<void> {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
  try {
    new Notification(title, { body });
  } catch {
    // On Android only service workers can show notifications.
    const worker = await navigator.serviceWorker?.getRegistration().catch(() => undefined);
    await worker?.showNotification(title, { body }).catch(() => undefined);
  }
}

/** Copy `text`; return false if the page may not use the clipboard. */
export async function copy(text: string): Promise<boolean> {
  const clipboard: Clipboard | undefined = globalThis.navigator?.clipboard;
  if (clipboard === undefined) return false;
  return clipboard.writeText(text).then(
    () => true,
    () => false,
  );
}

/** Return whether files, or a link, can be shared with another app. */
export function canShare(what: ShareData): boolean {
  const device: Partial<Navigator> | undefined = globalThis.navigator;
  return device?.canShare?.(what) === true;
}

/** Share files, or a link, with another app, in a click; the user may cancel. */
export async function share(what: ShareData): Promise<void> {
  await navigator.share(what).catch(() => undefined);
}

/** Detects that the browser has suspended the page, by late timers. */
export class Sleep {
  readonly #now: () => number;
  #last: number;
  #woke = Number.NEGATIVE_INFINITY;

  /** `now` returns the seconds of a clock that continues while the page is suspended. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** To be called about every second. */
  tick(): void {
    const now = this.#now();
    if (now - this.#last > LATE) this.#woke = now;
    this.#last = now;
  }

  /** Return whether the page was suspended recently. */
  slept(): boolean {
    const now = this.#now();
    return now - this.#last > LATE || now - this.#woke < REMEMBERED;
  }
}

/** User-agent tokens and names of browsers; the first match counts, since many have several tokens. */
const BROWSERS = [
  ["Edg", "Edge"],
  ["OPR", "Opera"],
  ["FxiOS", "Firefox"],
  ["CriOS", "Chrome"],
  ["Firefox", "Firefox"],
  ["Chrome", "Chrome"],
  ["Safari", "Safari"],
] as const;
const SYSTEM = /Android|iPhone|iPad|Windows|Mac|Linux/;

/** Return name and version of this program, with system and browser, without personal data. */
export function agent(version: string, userAgent: string): string {
  return `dcsend/${version} (${system(userAgent) ?? "unknown"}; ${browser(userAgent) ?? "browser"})`;
}

/** Return a name for this device: browser and system. */
export function deviceName(userAgent: string): string {
  const [program, device] = [browser(userAgent) ?? "a browser", system(userAgent)];
  return device === undefined ? program : `${program} on ${device}`;
}

function browser(userAgent: string): string | undefined {
  return BROWSERS.find(([claim]) => userAgent.includes(claim))?.[1];
}

function system(userAgent: string): string | undefined {
  return SYSTEM.exec(userAgent)?.[0];
}
