/** A part in memory whose pieces are in IndexedDB, where that does not work. */
import { afterEach, expect, test, vi } from "vitest";
import { inStore, PIECE } from "../src/files/kept.ts";
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

test("what follows a piece that can't be kept is not kept either", async () => {
  const kept: number[] = [];
  let puts = 0;
  const answer = (result: unknown, error: Error | null = null) => {
    const request = { result, error, onsuccess: () => {}, onerror: () => {} };
    queueMicrotask(() => (error === null ? request.onsuccess() : request.onerror()));
    return request;
  };
  const put = (_: Blob, key: number[]) => {
    puts += 1;
    if (puts === 2) return answer(null, new Error("no room"));
    kept.push(key[2] ?? -1);
    return answer(null);
  };
  const objectStore = () => ({ put, get: () => answer(undefined), getAll: () => answer([]) });
  const database = { transaction: () => ({ objectStore }), close: () => {} };
  vi.stubGlobal("indexedDB", { open: () => answer(database) });
  vi.stubGlobal("IDBKeyRange", { bound: () => ({}) });
  const part = await openKeptPart("again 1", 0);
  for (let place = 0; place < 4; place += 1) {
    await part.write(place * PIECE, new Uint8Array(PIECE));
    await new Promise((resolve) => setTimeout(resolve)); // what was asked for is answered
  }
  // With a gap, the pieces behind it would be taken for other ones.
  expect(kept).toEqual([0]);
});

test("a request that the browser does not answer rejects", async () => {
  vi.useFakeTimers();
  stub(false);
  const result = expect(inStore("runs", (runs) => runs.get("a"))).rejects.toThrow("no answer");
  await vi.advanceTimersByTimeAsync(10_000);
  await result;
});
