/**
 * Whole conversations: each side of a vector against its state machine, as in
 * `tests/protocol/test_conversations.py`. PROTOCOL.md describes the files.
 */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Bytes, Content } from "../src/content.ts";
import { DcsendError } from "../src/errors.ts";
import { abortReason, decodeFrame } from "../src/protocol/frames.ts";
import { decode, type Message } from "../src/protocol/messages.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import { Sender } from "../src/protocol/sender.ts";

const VECTORS = new URL("../../tests/vectors/", import.meta.url);

interface Line {
  readonly side: string;
  readonly channel: string;
  readonly text: string;
}

interface Conversation {
  readonly name: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly lines: readonly Line[];
}

function bytes(text: string): Bytes {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function hex(data: Uint8Array): string {
  return Buffer.from(data).toString("hex");
}

function read(name: string): Conversation {
  const [head = "", body = ""] = readFileSync(new URL(name, VECTORS), "utf8").split("\n\n");
  const headers = new Map<string, string>();
  for (const line of head.split("\n")) {
    const at = line.indexOf(": ");
    headers.set(line.slice(0, at), line.slice(at + 2));
  }
  const lines = body.split("\n").flatMap((line): Line[] => {
    const [, side, channel, text] = /^(sender|receiver) (control|data) (.*)$/.exec(line) ?? [];
    return side && channel && text ? [{ side, channel, text }] : [];
  });
  expect(lines.length).toBe(body.split("\n").length - 1);
  return { name: name.replace(/\.txt$/, ""), headers, lines };
}

const ALL = readdirSync(VECTORS)
  .filter((name) => name.startsWith("conversation-"))
  .map(read);

function replayedBy(side: string): Conversation[] {
  return ALL.filter(({ headers }) => ["both", side].includes(headers.get("replay") ?? ""));
}

/** The messages of a side in a conversation. */
function messages({ lines }: Conversation, side: string): Message[] {
  const control = lines.filter((line) => line.side === side && line.channel === "control");
  return control.map(({ text }) => decode(text));
}

/** A control message without the fields whose content each implementation chooses. */
function fields(text: string): Record<string, unknown> {
  const { agent, name, features, max_frame, message, ...others } = JSON.parse(text);
  return others;
}

/** One side: the calls that lead to its messages, and its reaction to those of the peer. */
interface Half {
  readonly side: Sender | Receiver;
  act(message: Message): void;
  make(frame: string): string;
  take(frame: string): void;
}

function replay({ lines }: Conversation, name: string, half: Half): void {
  const queue: string[] = [];
  half.side.start();
  for (const { side, channel, text } of lines) {
    if (side !== name) {
      expect(half.side.state, "nothing follows a violation").not.toBe("failed");
      passIn(half, channel, text);
    } else if (channel === "data") {
      expect(half.make(text)).toBe(text);
    } else {
      queue.push(...half.side.messagesToSend());
      if (queue.length === 0) {
        half.act(decode(text));
        queue.push(...half.side.messagesToSend());
      }
      expect(fields(queue.shift() ?? "{}")).toEqual(fields(text));
    }
  }
  expect([...queue, ...half.side.messagesToSend()]).toEqual([]);
}

function passIn(half: Half, channel: string, text: string): void {
  try {
    if (channel === "data") half.take(text);
    else half.side.receive(text);
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    expect(half.side.state).toBe("failed");
  }
}

function sending(conversation: Conversation): Half {
  const manifests = messages(conversation, "sender").filter((one) => one.type === "manifest");
  const side = new Sender("here/1");
  if (manifests.length > 0) side.offer(manifests.flatMap(({ entries }) => entries));
  return {
    side,
    act(message) {
      if (message.type === "bye" && side.state === "completed") side.end();
      if (message.type === "cancel") side.cancel(message.reason);
      if (message.type === "working") side.working();
    },
    make(text) {
      const { kind, number, offset, payload, digest } = decodeFrame(bytes(text));
      if (kind === "again") return hex(side.again(payload));
      if (kind === "abort") return hex(side.abort(number, abortReason(payload)));
      expect(kind).toBe("data");
      return hex(side.data(number, offset, payload, digest));
    },
    take() {
      throw new Error("a receiver sends no frames");
    },
  };
}

/** Answer the offer, or ask for bytes again. */
function ask(side: Receiver, message: Message): void {
  if (message.type === "accept") {
    side.accept(new Map(message.skip), new Map(message.have), message.digests);
  }
  if (message.type === "decline") side.decline(message.reason);
  if (message.type === "again") side.again(message.file, message.from, message.to);
}

function receiving(conversation: Conversation, disk: Map<number, string>): Half {
  const accepts = messages(conversation, "receiver").filter((one) => one.type === "accept");
  const side = new Receiver("here/1", accepts[0]?.window);
  let written = 0;
  const write = (content: Content) => {
    const { number, type } = content;
    if (type === "abort" || type === "restart") {
      disk.delete(number);
      return;
    }
    const zeros = type === "hole" || (type === "repair" && content.payload.length === 0);
    const added = zeros ? "00".repeat(content.length) : hex(content.payload);
    const offset = type === "end" ? content.size - content.payload.length : content.offset;
    const before = disk.get(number) ?? "";
    const after = type === "repair" ? before.slice(2 * offset + added.length) : "";
    disk.set(number, before.slice(0, 2 * offset) + added + after);
  };
  return {
    side,
    act(message) {
      ask(side, message);
      if (message.type === "ack") {
        side.written(message.bytes - written);
        written = message.bytes;
      }
      if (message.type === "verdict") {
        for (const [number, status] of message.files) side.verdict(number, status);
      }
      if (message.type === "cancel") side.cancel(message.reason);
      if (message.type === "working") side.working();
    },
    make() {
      throw new Error("a receiver sends no frames");
    },
    take(text) {
      for (const event of side.receiveFrame(bytes(text))) write(event);
    },
  };
}

/** The page has only the receiving half of BATCH and HOLE, and sends no zeros. */
function isMadeHere({ name, lines }: Conversation): boolean {
  if (name === "conversation-again-zeros") return false;
  return lines.every(({ channel, text }) => channel === "control" || /^0[136]/.test(text));
}

test.each(replayedBy("sender").filter(isMadeHere))("sender replays $name", (conversation) => {
  const half = sending(conversation);
  replay(conversation, "sender", half);
  expect(half.side.state).toBe(conversation.headers.get("sender"));
});

test.each(replayedBy("receiver"))("receiver replays $name", (conversation) => {
  const { headers } = conversation;
  const offered = messages(conversation, "sender").filter((one) => one.type === "manifest");
  const paths = offered.flatMap(({ entries }) => entries).map(({ path }) => path);
  const contents = (header: string) =>
    Object.entries<string>(JSON.parse(headers.get(header) ?? "{}")).map(
      ([path, content]): [number, string] => [paths.indexOf(path), content],
    );
  const disk = new Map(contents("held"));
  const half = receiving(conversation, disk);
  replay(conversation, "receiver", half);
  expect(half.side.state).toBe(headers.get("receiver"));
  for (const [number, content] of contents("content")) expect(disk.get(number)).toBe(content);
});

test("conversations of every kind are there", () => {
  expect(replayedBy("sender").filter(isMadeHere).length).toBeGreaterThan(10);
  expect(replayedBy("receiver").length).toBeGreaterThan(10);
});
