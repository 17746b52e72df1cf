/** What a page keeps for a reload. */
import { afterEach, expect, test, vi } from "vitest";
import { Returning } from "../src/returning.ts";
import type { Decision } from "../src/session/options.ts";

afterEach(() => vi.unstubAllGlobals());

const decision: Decision = { destination: { type: "private", zipped: false }, skip: new Map() };
const accepted = { code: "code", certificate: {} as RTCCertificate, entries: [], decision };

/** A request to IndexedDB. */
function request(result: unknown) {
  const made = { result, onsuccess: () => {} };
  queueMicrotask(() => made.onsuccess());
  return made;
}

/** IndexedDB that has `kept` under each key. */
function stub(kept: unknown): void {
  const objectStore = () => ({ get: () => request(kept), delete: () => request(undefined) });
  const database = { transaction: () => ({ objectStore }), close: () => {} };
  vi.stubGlobal("indexedDB", { open: () => request(database) });
  vi.stubGlobal("IDBKeyRange", { bound: () => ({}) });
}

test("a duplicated tab does not take the transfer of the page that has it", async () => {
  stub({ ...accepted, until: Date.now() + 60_000 });
  const first = new Returning(accepted);
  expect(await Returning.find(first.key)).toBeNull();
  first.forget();
  const second = await Returning.find(first.key);
  expect(second?.accepted.code).toBe("code");
  second?.forget();
});
