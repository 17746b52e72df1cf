/** Files that vanish or change while they are read. */
import { expect, test } from "vitest";
import { inJavaScript } from "../src/files/hashing.ts";
import { FileSource } from "../src/files/source.ts";
import { file } from "./entries.ts";

/** A Blob of 20 bytes whose second half is the result of `second`. */
function changing(second: () => Promise<ArrayBuffer>): Blob {
  const slice = (offset: number) => ({
    arrayBuffer: () => (offset === 0 ? Promise.resolve(new ArrayBuffer(10)) : second()),
  });
  return { size: 20, slice } as unknown as Blob;
}

test.each([
  [() => Promise.reject(new DOMException("", "NotFoundError")), "vanished before it was sent"],
  [
    () => Promise.reject(new DOMException("", "NotReadableError")),
    "changed, vanished or may not be read",
  ],
  [() => Promise.reject(new Error()), "can't be read"],
  [() => Promise.resolve(new ArrayBuffer(3)), "changed, vanished or may not be read"],
])("a file that can't be read to its end is given up: %#", async (second, failure) => {
  const chosen = [
    { entry: file("a", 20), file: changing(second) },
    { entry: file("b", 1), file: new Blob(["b"]) },
  ];
  const source = new FileSource(chosen, new Set(), 10, inJavaScript);
  expect(await source.next(0)).toMatchObject({ number: 0, offset: 0, failure: "", digest: null });
  expect(await source.next(0)).toMatchObject({ number: 0, offset: 10, failure, digest: null });
  expect(await source.next(0)).toMatchObject({ number: 1, failure: "" });
  expect(await source.next(0)).toBeNull();
});

test("the rest of a file that is not due any more is not read", async () => {
  let reads = 0;
  const counting = changing(() => {
    reads += 1;
    return Promise.resolve(new ArrayBuffer(10));
  });
  const chosen = [
    { entry: file("a", 40), file: Object.assign(counting, { size: 40 }) },
    { entry: file("b", 1), file: new Blob(["b"]) },
  ];
  const source = new FileSource(chosen, new Set(), 10, inJavaScript);
  expect(await source.next(0)).toMatchObject({ number: 0, offset: 0 });
  expect(await source.next(1)).toMatchObject({ number: 1, failure: "" });
  expect(await source.next(1)).toBeNull();
  expect(reads).toBe(1); // one piece is read ahead
});
