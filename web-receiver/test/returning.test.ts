/** What a page keeps for a reload. */
import { afterEach, expect, test, vi } from "vitest";
import type { Entry } from "../src/entry.ts";
import { MOST_KEPT } from "../src/files/kept.ts";
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

test.each([
  [MOST_KEPT, 0, false, true],
  [MOST_KEPT, 1, false, false],
  [null, 0, false, false],
  [1, 1, true, false],
])(
  "content in memory is kept up to a limit: %s and %s bytes, zipped: %s",
  (size, more, zipped, isKept) => {
    const file = (path: string, bytes: number | null): Entry => {
      return {
        path,
        kind: "file",
        size: bytes,
        mode: 0o644,
        mtime: null,
        target: "",
        stored: null,
      };
    };
    // A file that the user does not want is not counted.
    const entries = [file("a", size), file("b", more), file("unwanted", MOST_KEPT)];
    const chosen: Decision = {
      destination: { type: "memory", zipped },
      skip: new Map([[2, "user"]]),
    };
    const { destination } = new Returning({ ...accepted, entries, decision: chosen }).accepted
      .decision;
    expect("run" in destination).toBe(isKept);
  },
);
