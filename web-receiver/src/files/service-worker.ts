/**
 * The service worker of a hosted page, served beside it as `dcsend-service-worker.js`: responds to
 * a navigation to `dcsend-download/ID` with a download whose bytes come through a port of the page.
 *
 * A script of its own, which no module imports. Handles no other request and stores nothing.
 */
import { DOWNLOADS, downloadResponse } from "./download.ts";

function install(worker: ServiceWorkerGlobalScope): void {
  const waiting = new Map<string, Response>();
  worker.addEventListener("install", () => worker.skipWaiting());
  worker.addEventListener("message", ({ data, ports, origin }) => {
    // Other messages keep this worker running; their arrival is enough.
    const [port] = ports;
    if (port === undefined || origin !== worker.location.origin) return;
    waiting.set(data.id, downloadResponse(data, port));
    port.postMessage("announced");
  });
  worker.addEventListener("fetch", (event) => {
    const { pathname } = new URL(event.request.url);
    const [id, folder] = pathname.split("/").reverse();
    const response = folder === DOWNLOADS ? waiting.get(id ?? "") : undefined;
    if (response === undefined) return;
    waiting.delete(id ?? "");
    event.respondWith(response);
  });
}

install(self as unknown as ServiceWorkerGlobalScope);
