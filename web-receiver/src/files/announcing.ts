/**
 * The page's side of a download that the service worker streams: registers the worker, announces
 * the download, and keeps the worker alive.
 */
import { DestinationError } from "../errors.ts";
import { type Announcement, DOWNLOADS } from "./download.ts";
import { trustedUrl } from "./trusted.ts";

/** Beside the page, where it is hosted. */
const SCRIPT = "dcsend-service-worker.js";
/**
 * Milliseconds between messages that keep the service worker running: Firefox ends it after 30 s
 * without events.
 */
const PING = 5000;

/**
 * Milliseconds for the service worker to load and start: less than `probe` may take in total, so
 * that a network that does not answer does not prevent the other destinations.
 */
const PATIENCE = 2500;

/** Register the service worker; rejects where there is none. */
export async function register(): Promise<ServiceWorkerRegistration> {
  const { serviceWorker } = navigator;
  // `ready` never resolves without a service worker, so `register` comes first.
  return inTime(serviceWorker.register(trustedUrl(SCRIPT)).then(() => serviceWorker.ready));
}

/** A download that waits for the browser to navigate to it. */
export interface Announced {
  readonly url: string;
  /** The writing end. */
  readonly port: MessagePort;
  /** Let the service worker end: stop the messages that keep it running. */
  stop(): void;
}

/** Announce a download to the service worker. */
export async function announce({ id, name, size }: Announcement): Promise<Announced> {
  const { active, scope } = await register();
  if (active === null) throw new DestinationError("the browser's service worker does not start");
  const { port1, port2 } = new MessageChannel();
  const announced = new Promise<void>((resolve) => {
    port1.onmessage = () => resolve();
  });
  active.postMessage({ id, name, size }, [port2]);
  await inTime(announced);
  const timer = setInterval(() => active.postMessage("alive"), PING);
  return {
    url: new URL(`${DOWNLOADS}/${id}`, scope).href,
    port: port1,
    stop: () => clearInterval(timer),
  };
}

function inTime<T>(started: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new DestinationError("the browser's service worker does not start"));
    const timer = setTimeout(late, PATIENCE);
    started.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
