/**
 * A download whose bytes come from the page through a port: the messages of both sides, and the
 * response of the service worker to the browser.
 */

/** From the page to the download. */
export type ToDownload =
  | { readonly type: "data"; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly type: "end" }
  | { readonly type: "abort" };

/** From the download: a request for one more piece, or its cancellation. */
export type FromDownload = "more" | "cancelled";

/** Sent by the page before it navigates. */
export interface Announcement {
  readonly id: string;
  readonly name: string;
  /** Bytes; null if not known. */
  readonly size: number | null;
}

/** Last folder of the URL of a download, below the page's. */
export const DOWNLOADS = "dcsend-download";

/** Return the response to the navigation: a download named `name`, with bytes from `port`. */
export function downloadResponse({ name, size }: Announcement, port: MessagePort): Response {
  const post = (message: FromDownload) => port.postMessage(message);
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        port.onmessage = ({ data }: MessageEvent<ToDownload>) => {
          if (data.type === "data") controller.enqueue(data.data);
          else if (data.type === "end") controller.close();
          else controller.error(new Error("given up"));
        };
      },
      pull: () => post("more"),
      cancel: () => post("cancelled"),
    },
    // Bytes are requested only when the browser needs them: nothing is queued here.
    { highWaterMark: 0 },
  );
  const headers = new Headers({
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename*=UTF-8''${extended(name)}`,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  });
  if (size !== null) headers.set("Content-Length", String(size));
  return new Response(body, { headers });
}

/**
 * Encode `text` by RFC 8187, including the characters that encodeURIComponent leaves as they are.
 */
function extended(text: string): string {
  return encodeURIComponent(text).replace(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
