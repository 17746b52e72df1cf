/** A part in memory whose pieces are in IndexedDB, where that does not work. */
import { afterEach, expect, test, vi } from "vitest";
import { inStore } from "../src/files/kept.ts";
import { openKeptPart } from "../src/files/sinks/kept-part.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** Let each request fail, or none be answered. */
function stub(fails: boolean): void {
  const open = () => {
    const request = { error: new Error("damaged"), onerror: () => {} };
    if (fails) queueMicrotask(() => request.onerror());
    return request;
  };
  vi.stubGlobal("indexedDB", { open });
  vi.stubGlobal("IDBKeyRange", { bound: () => ({}) });
}

test("a file is received into memory alone if what is kept can't be opened", async () => {
  stub(true);
  const part = await openKeptPart("again 1", 0);
  await part.write(0, new Uint8Array([1, 2, 3]));
  expect(await (await part.complete()).arrayBuffer()).toEqual(new Uint8Array([1, 2, 3]).buffer);
});

test("a request that the browser does not answer rejects", async () => {
  vi.useFakeTimers();
  stub(false);
  const result = expect(inStore("runs", (runs) => runs.get("a"))).rejects.toThrow("no answer");
  await vi.advanceTimersByTimeAsync(10_000);
  await result;
});
