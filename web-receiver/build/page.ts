/**
 * The Vite plugin that makes the build one html file, which sends no requests but WebSockets.
 *
 * The page's script, which is also that of its workers, is deflated, in septets. src/unpack.ts,
 * uncompressed, inflates and runs it; the policy has the hash of the result, so no other script can
 * run. Without that the page would have 154 KB, a tenth of it the SHA-256 of hash-wasm.
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { inflateSync } from "node:zlib";
import { zlibAsync } from "@gfx/zopfli";
import { build, type Plugin, type Rolldown } from "vite";
import { decode } from "../src/septets.ts";
import { encode } from "./septets.ts";

/** File beside the page: the sorted names of the packages that it contains code of, in JSON. */
const LIBRARIES = "libraries.json";

/** Of Zopfli: 50 save 16 bytes more in the compressed script, and take three times as long. */
const ITERATIONS = 5;

/** The most bytes of the page, uncompressed. */
const LIMIT = 135_000;

/** Scripts that are added to the page's own, by path. */
export interface Scripts {
  /** Inflates the page's script. */
  readonly unpack: string;
  /** The service worker of hosted copies: included as text, which the page never runs. */
  readonly serviceWorker: string;
}

/** A script, and the paths of the modules that it contains code of. */
interface Bundled {
  readonly code: string;
  readonly modules: readonly string[];
}

/** Put script, style and policy into the html file; emit the list of its packages beside it. */
export function onePage({ unpack, serviceWorker }: Scripts): Plugin {
  return {
    name: "one-page",
    enforce: "post",
    apply: "build",
    generateBundle: {
      order: "post",
      async handler(_options, bundle) {
        const { html, script: main, style } = parts(bundle);
        const script = main.code;
        const started = await bundled(resolve(unpack));
        const worker = await bundled(serviceWorker);
        const unpacker = started.code;
        const head = [
          `<meta charset="utf-8">`,
          `<meta http-equiv="Content-Security-Policy" content="${policy([script, unpacker], style)}">`,
        ].join("\n");
        const end = [
          element("script", `type="text/plain" id="packed"`, await packed(script)),
          element("script", `type="text/plain" id="service-worker"`, worker.code),
          element("script", "", unpacker),
        ].join("\n");
        html.source = String(html.source)
          .replace(/<!--[\s\S]*?-->/g, "")
          // Values that need no quotes.
          .replace(/="([\w-]+)"/g, "=$1")
          .replace(/<script [^>]*><\/script>/, "")
          .replace(/<link rel=stylesheet[^>]*>/, () => element("style", "", style))
          .replace(/\n\s+/g, "\n")
          .replace(/<meta charset=utf-8\s*\/?>/i, () => head)
          .replace("</body>", () => `${end}\n</body>`);
        const size = Buffer.byteLength(html.source);
        if (size > LIMIT) throw new Error(`the page has ${size} bytes, more than ${LIMIT}`);
        const modules = [main, started, worker].flatMap((one) => one.modules);
        const source = `${JSON.stringify(packages(modules))}\n`;
        this.emitFile({ type: "asset", fileName: LIBRARIES, source });
      },
    },
  };
}

/** Find the page, its one script and its one style; remove the latter two from `bundle`. */
function parts(bundle: Rolldown.OutputBundle) {
  const files = Object.values(bundle);
  const html = files.find((file) => file.fileName.endsWith(".html"));
  const script = files.find((file) => file.type === "chunk");
  const style = files.find((file) => file.fileName.endsWith(".css"));
  if (files.length !== 3 || html?.type !== "asset" || script?.type !== "chunk") {
    throw new Error(`one page, one script, one style expected: ${Object.keys(bundle)}`);
  }
  if (style?.type !== "asset") throw new Error("no style");
  delete bundle[script.fileName];
  delete bundle[style.fileName];
  const { code, moduleIds: modules } = script;
  return { html, script: { code, modules }, style: String(style.source).trim() };
}

/**
 * Return the policy: only the content of the file itself runs or loads.
 *
 * - script-src: the page's script and the one that unpacks it, by hash; `wasm-unsafe-eval` for
 *   SHA-256 in WebAssembly, which runs only code that is in this file.
 * - worker-src: the worker is a Blob of the page's script; `self` for the service worker of a
 *   hosted page. frame-src: the download that the service worker streams.
 * - connect-src: the mailbox of the page's own origin, and rendezvous servers: a short code names any
 *   host. dcsend/serving/page.py adds a `ws:` server that is written into a page.
 * - require-trusted-types-for: no text becomes html or script, whatever its origin.
 */
function policy(scripts: readonly string[], style: string): string {
  return [
    "default-src 'none'",
    `script-src ${scripts.map(hash).join(" ")} 'wasm-unsafe-eval'`,
    `style-src ${hash(style)}`,
    "img-src data: blob:",
    "connect-src 'self' wss:",
    "worker-src blob: 'self'",
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types dcsend dcsend-unpack",
  ].join("; ");
}

/** Bundle a script with its imports, minified. */
async function bundled(entry: string): Promise<Bundled> {
  const result = await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "es2022",
      lib: { entry, formats: ["iife"], name: "script", fileName: "script" },
    },
  });
  const output = Array.isArray(result) ? result[0] : result;
  if (output === undefined || !("output" in output)) throw new Error(`no output for ${entry}`);
  const [{ code, moduleIds: modules }] = output.output;
  return { code: code.trim(), modules };
}

/** Return the sorted names of the npm packages of these modules. */
function packages(modules: readonly string[]): string[] {
  const names = modules.flatMap((path) => {
    const inside = path.split(/[\\/]node_modules[\\/]/).at(-1) ?? "";
    if (inside === path) return [];
    const [first = "", second = ""] = inside.split(/[\\/]/);
    return [first.startsWith("@") ? `${first}/${second}` : first];
  });
  return [...new Set(names)].sort();
}

/** Return the script deflated, as text of septets. Zlib's deflate would be 5 % longer. */
async function packed(script: string): Promise<string> {
  const deflated = await zlibAsync(Buffer.from(script), { numiterations: ITERATIONS });
  const text = encode(deflated);
  if (inflateSync(decode(text)).toString() !== script) throw new Error("packed wrongly");
  return text;
}

function element(name: string, attributes: string, text: string): string {
  if (new RegExp(`</${name}|<!--`, "i").test(text)) throw new Error(`text would end its ${name}`);
  return `<${name}${attributes && ` ${attributes}`}>${text}</${name}>`;
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
