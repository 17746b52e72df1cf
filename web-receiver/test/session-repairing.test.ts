/** The sending page, with a receiver whose part was changed on its disk. */
import { expect, test } from "vitest";
import { decodeFrame, type Frame } from "../src/protocol/frames.ts";
import { blocksOf, type Changes, chosen, content, has, startPage } from "./parties.ts";
import { accept, ack, hello, verdict } from "./peers.ts";

const SIZE = 1_000_000;
const HAVE = 700_000;
const film = { "film.bin": content(SIZE) };

/** A receiver that does what a test says. */
class Asking {
  readonly page: ReturnType<typeof startPage>;
  readonly #channels;
  #received = 0;

  constructor(changes: Changes = {}) {
    this.page = startPage({
      blocks: blocksOf(Object.values(film)),
      questions: { choose: async () => chosen(film) },
      ...changes,
    });
    this.#channels = this.page.peer.channels;
  }

  send(message: string): void {
    expect(this.#channels.control.send(message)).toBe(true);
  }

  /** Answer the offer, and return the features of the page. */
  async begin(): Promise<unknown> {
    this.send(hello("receiver"));
    const features = JSON.parse(String(await this.#channels.control.receive())).features;
    await this.#channels.control.receive();
    this.send(accept({ window: 8388608, have: [[0, HAVE]] }));
    return features;
  }

  /** Receive frames up to the one that `isLast`, and acknowledge each: a page paces itself. */
  async frames(isLast: (frame: Frame) => boolean): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (;;) {
      const message = await this.#channels.data.receive();
      if (typeof message === "string") throw new Error("a text message");
      frames.push(decodeFrame(message));
      this.#received += message.length;
      this.send(ack(this.#received));
      const last = frames.at(-1);
      if (last !== undefined && isLast(last)) return frames;
    }
  }

  async end(status: "ok" | "failed"): Promise<void> {
    this.send(verdict([0, status]));
    const [ok, count] = [status === "ok", Number(status === "ok")];
    this.send(JSON.stringify({ type: "complete", ok, files: count, bytes: count * SIZE }));
    expect(await this.#channels.control.receive()).toBe('{"type":"bye"}');
  }
}

function again(from: number, to: number): string {
  return JSON.stringify({ type: "again", file: 0, from, to });
}

const isEnd = ({ digest }: Frame) => digest !== null;

/** The bytes of the frames, which follow each other from `start`. */
function joined(frames: readonly Frame[], start: number): Uint8Array {
  let at = start;
  for (const { kind, offset, length } of frames) {
    expect([kind, offset]).toEqual(["again", at]);
    at += length;
  }
  return Buffer.concat(frames.map(({ payload }) => payload));
}

test.each([
  [0, 1],
  [5, 300_000],
  [HAVE - 1, HAVE],
  [0, HAVE],
])("bytes %i to %i are sent again after the last frame", async (from, to) => {
  const peer = new Asking();
  expect(await peer.begin()).toEqual(["browser", "again", "window"]);
  await peer.frames(isEnd);
  peer.send(again(from, to));
  const frames = await peer.frames(({ offset, length }) => offset + length === to);
  expect(has([...joined(frames, from)], content(SIZE).subarray(from, to))).toBe(true);
  await peer.end("ok");
  expect(await peer.page.run.finished).toMatchObject({ ok: true, bytes: SIZE - HAVE });
});

test("two ranges are sent one after the other, the first between the frames of the file", async () => {
  const peer = new Asking();
  await peer.begin();
  peer.send(again(10, 20));
  peer.send(again(30, 40));
  const frames = await peer.frames(({ offset }) => offset === 30);
  expect(frames.filter(({ kind }) => kind === "again").map(({ offset }) => offset)).toEqual([
    10, 30,
  ]);
  if (!frames.some(isEnd)) await peer.frames(isEnd);
  await peer.end("ok");
  expect(await peer.page.run.finished).toMatchObject({ ok: true });
});

test("a file that can't be read again ends the range", async () => {
  const [one] = chosen(film);
  if (one === undefined) throw new Error("nothing is chosen");
  const file = new Blob(["x"]);
  file.slice = () => {
    const piece = new Blob();
    piece.arrayBuffer = () => Promise.reject(new DOMException("changed", "NotReadableError"));
    return piece;
  };
  const peer = new Asking({ questions: { choose: async () => [{ ...one, file }] } });
  await peer.begin();
  await peer.frames(isEnd);
  peer.send(again(10, 20));
  expect(await peer.frames(({ kind }) => kind === "again")).toMatchObject([
    { offset: 10, length: 0 },
  ]);
  await peer.end("failed");
  expect(await peer.page.run.finished).toMatchObject({ ok: false });
});

test("a file with a verdict is not sent again", async () => {
  const peer = new Asking();
  await peer.begin();
  await peer.frames(isEnd);
  peer.send(again(10, 20));
  peer.send(verdict([0, "failed"]));
  const [frame] = await peer.frames(({ kind }) => kind === "again");
  expect([0, 10]).toContain(frame?.length); // the verdict may come while it is read
  peer.send(JSON.stringify({ type: "complete", ok: false, files: 0, bytes: 0 }));
  expect(await peer.page.run.finished).toMatchObject({ ok: false });
});
