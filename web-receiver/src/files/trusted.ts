/**
 * The page's Trusted Types policy: with `require-trusted-types-for`, no text can become html, and
 * only scripts of the page can become workers.
 */

interface Policy {
  createScriptURL(url: string): unknown;
}

interface Factory {
  createPolicy(name: string, rules: Record<keyof Policy, (text: string) => string>): Policy;
}

let policy: Policy | null = null;

// A policy can be created only once.
function dcsendPolicy(): Policy | null {
  const { trustedTypes } = globalThis as { trustedTypes?: Factory };
  const asIs = (text: string) => text;
  policy ??= trustedTypes?.createPolicy("dcsend", { createScriptURL: asIs }) ?? null;
  return policy;
}

/** Return `url`, of a script of this page, in the type that `new Worker` and `register` accept. */
export function trustedUrl(url: string): string {
  return (dcsendPolicy()?.createScriptURL(url) ?? url) as string;
}
