/**
 * The entry point of the script: starts the page, or in a worker the access to files.
 *
 * There is one script for both, so that shared modules are in the page once. It is imported as a whole in
 * both: a dynamic import would wrap each module in a function, which takes 4 KB of the page.
 */
import { serve } from "./files/serving.ts";
import { main } from "./main.ts";

if ("document" in globalThis) {
  main();
} else {
  // A handle that can't be transferred is reported to the page like other errors.
  self.onmessageerror = () => {
    throw new Error("a message could not be read");
  };
  serve(self as unknown as DedicatedWorkerGlobalScope);
}
