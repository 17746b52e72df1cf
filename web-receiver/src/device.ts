/**
 * What the device can do beside connecting: stay awake, notify, copy, share. Each is checked for
 * and fails quietly: none of it is needed, and http pages have little of it. No elements here.
 */

/** Seconds by which a timer is late when the page was asleep; busy pages are late by less. */
const LATE = 5;
/** Seconds for which it explains a lost connection. */
const REMEMBERED = 60;

/** Keeps the screen on while it is wanted. */
export class WakeLock {
  #wanted = false;
  /** One request at a time: of two locks, one would never be released. */
  #asking = false;
  #lock: { release(): Promise<void>; readonly released: boolean } | null = null;

  /** Keep the screen on from now on; call again when the page is back in sight. */
  async renew(wanted = this.#wanted): Promise<void> {
    this.#wanted = wanted;
    // Absent in http pages, whatever the types say.
    const wakeLock: Navigator["wakeLock"] | undefined = globalThis.navigator?.wakeLock;
    if (!wanted || wakeLock === undefined || this.#lock?.released === false) return;
    if (this.#asking) return;
    this.#asking = true;
    try {
      const lock = await wakeLock.request("screen");
      this.#lock = lock;
      if (!this.#wanted) await lock.release();
    } catch {
      // Out of sight, or the battery is low.
    } finally {
      this.#asking = false;
    }
  }

  /** Let the screen go off again. */
  release(): void {
    this.#wanted = false;
    this.#lock?.release().catch(() => undefined);
    this.#lock = null;
  }
}

/** Whether it makes sense to ask for the permission to notify. */
export function canAskToNotify(): boolean {
  return (
    globalThis.isSecureContext === true &&
    "Notification" in globalThis &&
    Notification.permission === "default"
  );
}

/** Ask for the permission to notify; call from a click. Whether it was given. */
export async function askToNotify(): Promise<boolean> {
  try {
    return (await Notification.requestPermission()) === "granted";
  } catch {
    return false;
  }
}

/** Notify, if that is permitted. */
export async function notify(title: string, body: string): Promise<void> {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
  try {
    new Notification(title, { body });
  } catch {
    // Android knows only notifications of service workers.
    const worker = await navigator.serviceWorker?.getRegistration().catch(() => undefined);
    await worker?.showNotification(title, { body }).catch(() => undefined);
  }
}

/** Copy `text`; false if the browser has no clipboard for this page. */
export async function copy(text: string): Promise<boolean> {
  const clipboard: Clipboard | undefined = globalThis.navigator?.clipboard;
  if (clipboard === undefined) return false;
  return clipboard.writeText(text).then(
    () => true,
    () => false,
  );
}

/** Whether these can be handed to another app. */
export function canShare(files: readonly File[]): boolean {
  const device: Partial<Navigator> | undefined = globalThis.navigator;
  return files.length > 0 && device?.canShare?.({ files: [...files] }) === true;
}

/** Hand them to another app; call from a click. The person may change their mind. */
export async function share(files: readonly File[]): Promise<void> {
  await navigator.share({ files: [...files] }).catch(() => undefined);
}

/** Notices when the browser has put the page to sleep: then timers come late. */
export class Sleep {
  readonly #now: () => number;
  #last: number;
  #woke = Number.NEGATIVE_INFINITY;

  /** `now`: seconds on a clock that goes on in sleep. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** Call every second or so. */
  tick(): void {
    const now = this.#now();
    if (now - this.#last > LATE) this.#woke = now;
    this.#last = now;
  }

  /** Whether the page sleeps, as it were, or did so a moment ago. */
  slept(): boolean {
    const now = this.#now();
    return now - this.#last > LATE || now - this.#woke < REMEMBERED;
  }
}

/** What browsers call themselves; of those that claim to be others, too, the first here counts. */
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

/** What we call ourselves: version, browser and system, nothing personal. */
export function agent(version: string, userAgent: string): string {
  const browser = BROWSERS.find(([claim]) => userAgent.includes(claim))?.[1] ?? "browser";
  return `dcsend/${version} (${SYSTEM.exec(userAgent)?.[0] ?? "unknown"}; ${browser})`;
}
