/**
 * Unpacks the page's script, which build/page.ts has deflated, and runs it.
 *
 * Where that can't be done, the page stays as it is in index.html, which says what is needed.
 * Imports nothing.
 */

/** What this needs of Trusted Types, which TypeScript doesn't know. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScript(text: string): string },
  ): { createScript(text: string): unknown };
}

async function unpack(): Promise<void> {
  const packed = document.getElementById("packed")?.textContent ?? "";
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const text = await new Response(stream).text();
  const script = document.createElement("script");
  script.id = "script";
  script.type = "module";
  // The page's policy runs it for its hash; this only says that a script is meant.
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  const policy = trustedTypes?.createPolicy("dcsend-unpack", { createScript: (script) => script });
  script.text = (policy?.createScript(text) ?? text) as string;
  document.head.append(script);
}

void unpack();
