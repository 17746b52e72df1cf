/**
 * A download that the service worker streams: bytes go to it through a port, one piece for each
 * request of the browser, so that no more is queued than the browser accepts.
 */

import type { Bytes } from "../../content.ts";
import type { Export } from "../contract.ts";
import type { FromDownload, ToDownload } from "../download.ts";
import { zeros } from "../intake.ts";
import { DestinationLost } from "../trouble.ts";
import { joined, type Target } from "./output.ts";

/** Milliseconds for the browser to begin the download. */
const PATIENCE = 20_000;

/** The writing end of a download. */
export class StreamTarget implements Target {
  readonly saved: string;
  readonly #port: MessagePort;
  #demand = 0;
  #error: Error | null = null;
  #wake: () => void = () => undefined;
  #done = false;

  constructor(saved: string, port: MessagePort) {
    this.saved = saved;
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<FromDownload>) => {
      if (data === "more") this.#demand++;
      else this.#stop(new DestinationLost("the download was cancelled in the browser"));
      this.#wake();
    };
  }

  /** Resolve when the browser has begun the download. */
  async started(patience = PATIENCE): Promise<void> {
    const timer = setTimeout(() => {
      this.#stop(
        new DestinationLost("the browser did not begin the download", "try another browser"),
      );
    }, patience);
    await this.#demanded();
    clearTimeout(timer);
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    const data = joined(pieces);
    await this.#demanded();
    this.#demand--;
    // A view of the shared zeros must not be transferred.
    const transfer = data.byteLength === data.buffer.byteLength ? [data.buffer] : [];
    this.#post({ type: "data", data }, transfer);
    // The request for more means that this piece was taken.
    await this.#demanded();
  }

  async skip(length: number): Promise<void> {
    for (const block of zeros(length)) await this.write([block.slice()]);
  }

  async finish(): Promise<void> {
    await this.#demanded();
    this.#post({ type: "end" });
    this.#done = true;
  }

  async discard(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    this.#post({ type: "abort" });
    this.#stop(new DestinationLost("the download was given up"));
  }

  /** Return no file: the downloads have it already. */
  async exports(): Promise<readonly Export[]> {
    return [];
  }

  async #demanded(): Promise<void> {
    while (this.#demand === 0 && this.#error === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== null) throw this.#error;
  }

  #stop(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }

  #post(message: ToDownload, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }
}
