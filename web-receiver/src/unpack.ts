/**
 * Decompresses and runs the script of the page, which build/page.ts has deflated.
 *
 * If that fails, the page keeps the content of index.html, which names the requirements.
 */
import { decode } from "./septets.ts";

/** The used part of Trusted Types, which TypeScript's DOM types lack. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScript(text: string): string },
  ): { createScript(text: string): unknown };
}

async function unpack(): Promise<void> {
  const packed = document.getElementById("packed")?.textContent ?? "";
  // The stream accepts nothing after its end.
  const bytes = decode(packed);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const text = await new Response(stream).text();
  const script = document.createElement("script");
  script.id = "script";
  script.type = "module";
  // The content security policy permits the script by its hash; this satisfies Trusted Types.
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("dcsend-unpack", { createScript: (script) => script });
  script.text = (policy?.createScript(text) ?? text) as string;
  document.head.append(script);
}

void unpack();
