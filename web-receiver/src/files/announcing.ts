/**
 * The page's side of a download that the service worker streams: registers it, tells it of the
 * download, and keeps it alive.
 */
import { DestinationError } from "../errors.ts";
import { type Announcement, DOWNLOADS } from "./download.ts";
import { trustedUrl } from "./trusted.ts";

/** Beside the page, where it is hosted. */
const SCRIPT = "dcsend-service-worker.js";
/** Milliseconds between signs of life: Firefox ends a service worker that hears nothing for 30 s. */
const PING = 5000;

/**
 * Milliseconds for the service worker to come and to start: less than the page takes to find out
 * what works, lest a network that doesn't answer costs it the other ways, too.
 */
const PATIENCE = 2500;

/** Register the service worker; rejects where there is none. */
export async function register(): Promise<ServiceWorkerRegistration> {
  const { serviceWorker } = navigator;
  // Without a service worker it is never ready, so that comes second.
  return inTime(serviceWorker.register(trustedUrl(SCRIPT)).then(() => serviceWorker.ready));
}

/** A download that only waits for the browser to navigate to it. */
export interface Announced {
  readonly url: string;
  /** The writing end. */
  readonly port: MessagePort;
  /** Let the service worker sleep again. */
  stop(): void;
}

/** Tell the service worker of a download. */
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
