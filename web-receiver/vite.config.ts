import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { onePage } from "./build/page.ts";
import { packWords } from "./build/words.ts";

// One version for both languages.
const version = /__version__ = "([^"]+)"/.exec(readFileSync("../dcsend/_version.py", "utf-8"))?.[1];
if (version === undefined) throw new Error("no version in dcsend/_version.py");

// One list of words for both languages.
const words = packWords(readFileSync("../dcsend/signaling/words.txt", "ascii"));

export default defineConfig({
  define: { __VERSION__: JSON.stringify(version), __WORDS__: JSON.stringify(words) },
  plugins: [onePage({ unpack: "src/unpack.ts", serviceWorker: "src/files/service-worker.ts" })],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: false } },
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Each module is loaded once in a process, not once for each file of tests. What a test puts in
    // place of a global, `unstubAllGlobals` removes after it.
    isolate: false,
    // No test measures seconds: a busy machine takes ten times as long.
    testTimeout: 60_000,
  },
});
