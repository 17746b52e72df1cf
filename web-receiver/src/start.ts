/**
 * The entry point of the script: starts the page, or in a worker the access to files.
 *
 * There is one script for both, so that shared modules are in the page once.
 */
import { serve } from "./files/serving.ts";

if ("document" in globalThis) {
  void import("./main.ts");
} else {
  // A handle that can't be transferred is reported to the page like other errors.
  self.onmessageerror = () => {
    throw new Error("a message could not be read");
  };
  serve(self as unknown as DedicatedWorkerGlobalScope);
}
