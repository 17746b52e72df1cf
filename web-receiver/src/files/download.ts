/**
 * A download whose bytes come from the page through a port: what both sides say, and the answer
 * that the service worker gives to the browser. Imports nothing.
 */

/** From the page to the download. */
export type ToDownload =
  | { readonly type: "data"; readonly data: Uint8Array<ArrayBuffer> }
  | { readonly type: "end" }
  | { readonly type: "abort" };

/** From the download: one more piece is wanted, or nobody wants it any more. */
export type FromDownload = "more" | "cancelled";

/** What the page announces before it navigates. */
export interface Announcement {
  readonly id: string;
  readonly name: string;
  /** Bytes; null if not known. */
  readonly size: number | null;
}

/** Last folder of the address of a download, below the page's. */
export const DOWNLOADS = "dcsend-download";

/** The answer to the navigation: a download named `name`, fed through `port`. */
export function downloadResponse({ name, size }: Announcement, port: MessagePort): Response {
  const tell = (message: FromDownload) => port.postMessage(message);
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        port.onmessage = ({ data }: MessageEvent<ToDownload>) => {
          if (data.type === "data") controller.enqueue(data.data);
          else if (data.type === "end") controller.close();
          else controller.error(new Error("given up"));
        };
      },
      pull: () => tell("more"),
      cancel: () => tell("cancelled"),
    },
    // Ask only when the browser wants bytes: nothing is queued here.
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

/** `text` as in RFC 8187: what encodeURIComponent leaves alone and a header may not hold, too. */
function extended(text: string): string {
  return encodeURIComponent(text).replace(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
