/** A download fed through a port: the stream target and the service worker's response. */
import { expect, test } from "vitest";
import { downloadResponse } from "../src/files/download.ts";
import { inJavaScript } from "../src/files/hashing.ts";
import { FileSink } from "../src/files/sink.ts";
import { SinglePlace } from "../src/files/sinks/single.ts";
import { StreamTarget } from "../src/files/sinks/stream.ts";
import { bytes, end, file, whole, write } from "./entries.ts";

function download(name = "film.mkv", size: number | null = null) {
  const { port1, port2 } = new MessageChannel();
  const response = downloadResponse({ id: "id", name, size }, port2);
  return { target: new StreamTarget(name, port1), response };
}

function sinkInto(target: StreamTarget, size: number): FileSink {
  return new FileSink([file("a", size)], new Set([0]), new SinglePlace(target), inJavaScript);
}

test("what is written arrives in the download", async () => {
  const { target, response } = download();
  const content = new Uint8Array(5 << 20).map((_, at) => at >> 8);
  const received = response.arrayBuffer();
  const sink = sinkInto(target, content.length);
  expect(await sink.apply(whole(0, content))).toMatchObject([{ status: "ok", saved: "film.mkv" }]);
  expect(Buffer.compare(new Uint8Array(await received), content)).toBe(0);
  expect((await sink.finish()).exports).toEqual([]);
});

test("nothing counts as written before the browser has taken it", async () => {
  const { target, response } = download();
  let written = false;
  const applied = target.write([bytes("abc")]).then(() => {
    written = true;
  });
  const reader = response.body?.getReader();
  expect((await reader?.read())?.value).toEqual(bytes("abc"));
  expect(written).toBe(false);
  const next = reader?.read();
  await applied;
  await target.finish();
  expect((await next)?.done).toBe(true);
});

test("a wrong digest breaks the download", async () => {
  const { target, response } = download();
  const received = response.arrayBuffer();
  const sink = sinkInto(target, 3);
  await sink.apply([write(0, 0, bytes("abc")), end(0, bytes("abd"))]);
  await expect(received).rejects.toThrow("given up");
});

test("a download that is cancelled in the browser ends the run", async () => {
  const { target, response } = download();
  const applied = sinkInto(target, 3).apply([write(0, 0, bytes("abc"))]);
  await response.body?.cancel();
  await expect(applied).rejects.toThrow("cancelled");
});

test("a download that never begins is given up", async () => {
  const { target } = download();
  await expect(target.started(1)).rejects.toThrow("did not begin");
  await target.discard();
});

test("a download that begins has started", async () => {
  const { target, response } = download();
  const reading = response.body?.getReader().read();
  await expect(target.started(60_000)).resolves.toBeUndefined();
  await target.finish();
  expect((await reading)?.done).toBe(true);
});

test.each([
  ["a b.txt", "a%20b.txt"],
  ["süß's (1)*.txt", "s%C3%BC%C3%9F%27s%20%281%29%2A.txt"],
  ['"\r\nX: y', "%22%0D%0AX%3A%20y"],
])("the name %j is in the header and can't leave it", async (name, encoded) => {
  const { target, response } = download(name);
  expect(response.headers.get("Content-Disposition")).toBe(
    `attachment; filename*=UTF-8''${encoded}`,
  );
  await target.discard();
});

test("a size that is known is announced", async () => {
  const { target, response } = download("a", 12);
  expect(response.headers.get("Content-Length")).toBe("12");
  await target.discard();
});
