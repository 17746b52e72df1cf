/**
 * Decompresses and runs the script of the page, which build/page.ts has deflated.
 *
 * If that fails, the page keeps the content of index.html, which names the requirements. Imports
 * nothing.
 */

/** The used part of Trusted Types, which TypeScript's DOM types lack. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScript(text: string): string },
  ): { createScript(text: string): unknown };
}

async function unpack(): Promise<void> {
  const packed = document.getElementById("packed")?.textContent ?? "";
  // Base 85, as build/page.ts describes; the stream accepts nothing after its end.
  const size = ((packed.length - 1) / 5) * 4;
  const view = new DataView(new ArrayBuffer(size));
  for (let at = 1, to = 0; at < packed.length; to += 4) {
    let value = 0;
    for (const end = at + 5; at < end; at++) {
      const code = packed.charCodeAt(at);
      value = value * 85 + (code === 120 ? 25 : code - 35);
    }
    view.setUint32(to, value);
  }
  const bytes = view.buffer.slice(0, size - Number(packed[0]));
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
