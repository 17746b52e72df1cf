/**
 * Where the page's script begins: in the page with the page, in a worker of it with the disk.
 *
 * One script for both, so that what they share is in the page once.
 */
import { serve } from "./files/serving.ts";

if ("document" in globalThis) {
  void import("./main.ts");
} else {
  // A handle that can't be passed on: the page hears of it as of any error here.
  self.onmessageerror = () => {
    throw new Error("a message could not be read");
  };
  serve(self as unknown as DedicatedWorkerGlobalScope);
}
