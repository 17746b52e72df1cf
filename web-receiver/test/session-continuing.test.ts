/** The receiving page with a sink that continues a part. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { encodeAgain, encodeData } from "../src/protocol/frames.ts";

import { startPage, type TestSink } from "./parties.ts";
import { BYE, hello } from "./peers.ts";

const CONTENT = new Uint8Array(10).map((_, at) => at);
const MANIFEST = JSON.stringify({
  type: "manifest",
  entries: [{ path: "film", kind: "file", size: 10 }],
  last: true,
});
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());
const DIGEST = "5".repeat(64);

/** A sender whose offer was accepted by a page that has 6 bytes of the file. */
class Sending {
  readonly page;
  readonly #channels;

  constructor(prepare: (sink: TestSink) => void = () => undefined) {
    this.page = startPage({
      sink: (sink) => {
        sink.have = new Map([[0, 6]]);
        sink.digests = [[0, 3, DIGEST]];
        sink.files.set(0, [...CONTENT.subarray(0, 6)]);
        prepare(sink);
      },
    });
    this.#channels = this.page.peer.channels;
  }

  send(message: string): void {
    this.#channels.control.send(message);
  }

  frame(frame: Uint8Array<ArrayBuffer>): void {
    this.#channels.data.send(frame);
  }

  /** Return the next message that is not an acknowledgement. */
  async next(): Promise<Record<string, unknown>> {
    for (;;) {
      const message = JSON.parse(String(await this.#channels.control.receive()));
      if (message.type !== "ack") return message;
    }
  }

  async begin(features: readonly string[]): Promise<Record<string, unknown>> {
    this.send(hello("sender").replace('"features":[]', `"features":${JSON.stringify(features)}`));
    this.send(MANIFEST);
    await this.next();
    return this.next();
  }
}

test("the page accepts with what is there, and shows only the rest as received", async () => {
  const sending = new Sending();
  expect(await sending.begin([])).toMatchObject({ have: [[0, 6]], digests: [[0, 3, DIGEST]] });
  sending.frame(encodeData(0, 6, CONTENT.slice(6), sha256(CONTENT)));
  expect(await sending.next()).toMatchObject({ type: "verdict", files: [[0, "ok"]] });
  await sending.next();
  sending.send(BYE);
  const done = await sending.page.run.finished;
  expect(done).toMatchObject({ ok: true, bytes: 4 });
  const [first] = sending.page.of("progress");
  expect(first).toMatchObject({ bytes: 6, total: 10 });
  expect(sending.page.of("progress").at(-1)).toMatchObject({ bytes: 10, done: 10 });
});

test("changed bytes are asked for again, after the last frame, too, with a note", async () => {
  const sending = new Sending((sink) => {
    sink.findings = {
      damage: [[0, { start: 1, end: 3 }]],
      checked: { path: "film", done: 1, total: 6 },
    };
  });
  await sending.begin(["again"]);
  sending.frame(encodeData(0, 6, CONTENT.slice(6), sha256(CONTENT)));
  expect(await sending.next()).toEqual({ type: "again", file: 0, from: 1, to: 3 });
  const [sink] = sending.page.sinks;
  if (sink !== undefined) sink.findings = { damage: [], checked: null };
  expect(sink?.finished).toBe(0);
  sending.frame(encodeAgain(0, 1, CONTENT.slice(1, 3)));
  await sending.next();
  expect(await sending.next()).toMatchObject({ type: "complete", ok: true });
  sending.send(BYE);
  await sending.page.run.finished;
  expect(sending.page.of("warning").map(({ message }) => message)).toEqual([
    "bytes 0 to 1 MB of film were changed on the disk and are sent again",
  ]);
  expect(sending.page.of("checking").map(({ bytes, total }) => [bytes, total])).toEqual([
    [1, 6],
    [6, 6],
  ]);
});

test("a sender that sends nothing again makes the sink fail the file", async () => {
  const sending = new Sending((sink) => {
    sink.ready = async () => {
      const damage = sink.batches.length === 1 ? [[0, { start: 0, end: 6 }] as const] : [];
      sink.findings = { damage, checked: null };
    };
  });
  await sending.begin([]);
  const first = encodeData(0, 6, CONTENT.slice(6, 8));
  sending.frame(first);
  expect(await sending.next()).toMatchObject({ type: "verdict", files: [[0, "failed"]] });
  expect(sending.page.sinks[0]?.batches[1]?.[0]).toMatchObject({ type: "repair", length: 0 });
  sending.page.run.stop();
  await sending.page.run.finished;
});

test("a part that begins again is noted", async () => {
  const sending = new Sending();
  await sending.begin([]);
  const restart = new Uint8Array(24);
  const view = new DataView(restart.buffer);
  view.setUint8(0, 5);
  view.setUint32(12, 6);
  const { crc32 } = await import("../src/crc32.ts");
  view.setUint32(20, crc32(view, 0, 24));
  sending.frame(restart);
  await expect
    .poll(() => sending.page.of("warning").map(({ message }) => message))
    .toEqual(["since a part of film was received, the file has changed: it begins again"]);
  expect(sending.page.of("progress").at(-1)).toMatchObject({ total: 10 });
  sending.page.run.stop();
  await sending.page.run.finished;
});
