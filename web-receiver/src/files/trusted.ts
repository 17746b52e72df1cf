/**
 * The page's one Trusted Types policy. It lets no text become html, and only scripts of its own
 * become workers: with `require-trusted-types-for` nothing else can.
 */

interface Policy {
  createScriptURL(url: string): unknown;
}

interface Factory {
  createPolicy(name: string, rules: Record<keyof Policy, (text: string) => string>): Policy;
}

let policy: Policy | null = null;

// A policy can be made once only.
function dcsendPolicy(): Policy | null {
  const { trustedTypes } = globalThis as { trustedTypes?: Factory };
  const asIs = (text: string) => text;
  policy ??= trustedTypes?.createPolicy("dcsend", { createScriptURL: asIs }) ?? null;
  return policy;
}

/** `url`, of a script of this page, as `new Worker` and `register` take it. */
export function trustedUrl(url: string): string {
  return (dcsendPolicy()?.createScriptURL(url) ?? url) as string;
}
