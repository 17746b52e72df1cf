/**
 * Both ends of a run: a page over an in-memory connection with a sink and a source in memory, and a
 * peer that drives the real protocol.
 */
import { createHash } from "node:crypto";
import type { Content } from "../src/content.ts";
import type { Entry, Kind } from "../src/entry.ts";
import { DestinationError } from "../src/errors.ts";
import type {
  Block,
  Chosen,
  Export,
  Findings,
  Outcome,
  Sink,
  Source,
} from "../src/files/contract.ts";
import type { Accepted, Event as ProtocolEvent } from "../src/protocol/events.ts";
import { FRAME_HEADER, WINDOW } from "../src/protocol/limits.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import { Sender } from "../src/protocol/sender.ts";
import type { Event } from "../src/session/events.ts";
import type { RunOptions } from "../src/session/options.ts";
import { Run } from "../src/session/story.ts";
import { type MemoryConnection, memoryPair } from "./memory-peers.ts";

export type Bytes = Uint8Array<ArrayBuffer>;

export const sha256 = (content: Uint8Array): Bytes =>
  new Uint8Array(createHash("sha256").update(content).digest());

/** Content without repetition. */
export function content(size: number, seed = 0): Bytes {
  const bytes = new Uint8Array(size); // `from` with a function takes ten times as long
  for (let at = 0; at < size; at++) bytes[at] = at * 31 + (at >> 8) + seed;
  return bytes;
}

/** Whether a file is there and has this content; `toEqual` takes 0.2 s for a million numbers. */
export const has = (file: readonly number[] | undefined, wanted: Uint8Array): boolean =>
  file !== undefined && Buffer.from(file).equals(wanted);

export const entry = (path: string, size: number | null = 0, kind: Kind = "file"): Entry => ({
  path,
  kind,
  size,
  mode: 0o644,
  mtime: null,
  target: kind === "link" ? "elsewhere" : "",
  stored: null,
});

/** Resolve when `condition` holds; the event loop runs meanwhile. */
export async function until(condition: () => boolean, what = "condition"): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`waited in vain for ${what}`);
}

/** A sink of the page that keeps files in memory. */
export class TestSink implements Sink {
  readonly files = new Map<number, number[]>();
  readonly opened: { entries: readonly Entry[]; wanted: ReadonlySet<number> };
  readonly batches: (readonly Content[])[] = [];
  closed = 0;
  finished = 0;
  /** Whether outcomes wait for finish(), as for a zip. */
  withhold = false;
  extra: Outcome[] = [];
  exports: Export[] = [];
  /** The result of close(): complete files of a run that failed. */
  left: Export[] = [];
  /** Of parts that it continues. */
  have?: ReadonlyMap<number, number>;
  digests?: NonNullable<Sink["digests"]>;
  findings?: Findings;
  /** Awaited before each batch. */
  ready: () => Promise<void> = () => Promise.resolve();
  #withheld: Outcome[] = [];

  constructor(entries: readonly Entry[], wanted: ReadonlySet<number>) {
    this.opened = { entries, wanted };
  }

  async apply(batch: readonly Content[]): Promise<readonly Outcome[]> {
    this.batches.push(batch);
    await this.ready();
    const outcomes = batch.flatMap((content) => this.#apply(content));
    if (!this.withhold) return outcomes;
    this.#withheld.push(...outcomes);
    return [];
  }

  async finish() {
    this.finished += 1;
    return { outcomes: [...this.extra, ...this.#withheld], exports: this.exports };
  }

  async close(): Promise<readonly Export[]> {
    this.closed += 1;
    return this.left;
  }

  #apply(content: Content): Outcome[] {
    const { number } = content;
    const bytes = this.files.get(number) ?? [];
    this.files.set(number, bytes);
    switch (content.type) {
      case "data":
        if (bytes.length !== content.offset) throw new Error("out of order");
        for (const byte of content.payload) bytes.push(byte);
        // As a worker would: a transferred buffer is empty.
        structuredClone(content.payload, { transfer: [content.payload.buffer] });
        return [];
      case "hole":
        bytes.push(...new Uint8Array(content.length));
        return [];
      case "restart":
        return [];
      case "repair":
        return content.length > 0 ? [] : [this.#outcome(number, "failed", "it was changed")];
      case "abort":
        return [this.#outcome(number, "aborted", content.reason)];
      case "end": {
        for (const byte of content.payload) bytes.push(byte);
        const same = Buffer.compare(sha256(Uint8Array.from(bytes)), content.digest) === 0;
        return [this.#outcome(number, same ? "ok" : "mismatch", same ? "" : "other bytes came")];
      }
    }
  }

  #outcome(number: number, status: Outcome["status"], reason: string): Outcome {
    const path = this.opened.entries[number]?.path ?? "";
    const bytes = Uint8Array.from(this.files.get(number) ?? []);
    const kind = this.opened.entries[number]?.kind;
    return {
      number,
      status,
      saved: status === "ok" ? path : "",
      size: bytes.length,
      sha256: Buffer.from(sha256(bytes)).toString("hex"),
      reason,
      text: kind === "text" ? new TextDecoder().decode(bytes) : null,
    };
  }
}

/** A source with content in memory. */
export class TestSource implements Source {
  closed = false;
  readonly #blocks: Block[];

  constructor(blocks: Block[]) {
    this.#blocks = blocks;
  }

  async next(): Promise<Block | null> {
    return this.#blocks.shift() ?? null;
  }

  close(): void {
    this.closed = true;
  }
}

/** Cut contents into blocks as a source does. */
export function blocksOf(contents: readonly Uint8Array[], size = 100_000): Block[] {
  const blocks: Block[] = [];
  for (const [number, bytes] of contents.entries()) {
    let offset = 0;
    do {
      const payload = new Uint8Array(bytes.subarray(offset, offset + size));
      const digest = offset + payload.length === bytes.length ? sha256(bytes) : null;
      blocks.push({ number, offset, payload, digest, failure: "" });
      offset += payload.length;
    } while (offset < bytes.length);
  }
  return blocks;
}

/** A running page, with its events so far. */
export interface Page {
  readonly run: Run;
  readonly events: Event[];
  readonly connection: MemoryConnection;
  readonly peer: MemoryConnection;
  readonly sinks: TestSink[];
  readonly sources: TestSource[];
  of<T extends Event["type"]>(type: T): Extract<Event, { type: T }>[];
}

/** The options that a test changes. */
export interface Changes extends Partial<Omit<RunOptions, "questions">> {
  readonly questions?: Partial<RunOptions["questions"]>;
  readonly pair?: [MemoryConnection, MemoryConnection];
  readonly sink?: (sink: TestSink) => void;
  readonly blocks?: Block[];
  readonly watch?: (event: Event) => void;
}

/** Start a page that accepts everything, and never chooses anything. */
export function startPage(changes: Changes = {}): Page {
  const { pair = memoryPair(), sink: prepare, blocks = [], watch, questions, ...options } = changes;
  const [connection, peer] = pair;
  const events: Event[] = [];
  const sinks: TestSink[] = [];
  const sources: TestSource[] = [];
  const run = new Run({
    connect: async () => connection,
    expires: 2e9,
    emit: (event) => {
      events.push(event);
      watch?.(event);
    },
    agent: "page",
    name: "Chrome on Android",
    validate: (path) => (path.includes("..") ? "it leads out of the folder" : ""),
    handOver: async () => undefined,
    openSink: async (_destination, entries, wanted) => {
      const sink = new TestSink(entries, wanted);
      prepare?.(sink);
      sinks.push(sink);
      return sink;
    },
    openSource: () => {
      const source = new TestSource(blocks);
      sources.push(source);
      return source;
    },
    now: () => performance.now() / 1000,
    wallClock: () => 1e9,
    ...options,
    questions: {
      decide: async () => ({ skip: new Map(), destination: { type: "memory", zipped: true } }),
      choose: () => new Promise(() => undefined),
      ...questions,
    },
  });
  const of = <T extends Event["type"]>(type: T) =>
    events.filter((event): event is Extract<Event, { type: T }> => event.type === type);
  return { run, events, connection, peer, sinks, sources, of };
}

/** A peer: processes events of the control channel until it closes the connection. */
class Peer {
  readonly events: ProtocolEvent[] = [];
  readonly connection: MemoryConnection;
  /** Awaited before it reads the last message. */
  busy: Promise<void> = Promise.resolve();
  readonly #side: Sender | Receiver;

  constructor(connection: MemoryConnection, side: Sender | Receiver) {
    this.connection = connection;
    this.#side = side;
    side.start();
    this.flush();
  }

  flush(): void {
    for (const message of this.#side.messagesToSend())
      this.connection.channels.control.send(message);
  }

  /** The events of one kind so far. */
  of<T extends ProtocolEvent["type"]>(type: T): Extract<ProtocolEvent, { type: T }>[] {
    return this.events.filter((e): e is Extract<ProtocolEvent, { type: T }> => e.type === type);
  }

  protected async follow(handle: (event: ProtocolEvent) => boolean): Promise<void> {
    try {
      for (;;) {
        const message = await this.connection.channels.control.receive();
        if (String(message).includes('"complete"')) await this.busy;
        for (const event of this.#side.receive(message)) {
          this.events.push(event);
          const last = handle(event);
          this.flush();
          if (last) return this.hangUp();
        }
        this.flush();
      }
    } catch {
      this.connection.close();
    }
  }

  /** Close once the last message has arrived. */
  protected async hangUp(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.connection.close();
  }
}

/** Sends files as a peer does. */
export class SendingPeer extends Peer {
  readonly protocol: Sender;
  readonly ended: Promise<void>;
  /** A fault: another digest, a file given up, a byte changed in transit. */
  wrong: "" | "digest" | "abort" = "";
  /** Most bytes that were in flight. */
  most = 0;
  readonly #contents: ReadonlyMap<number, Uint8Array>;
  #sent = 0;
  #wake = () => {};

  constructor(
    connection: MemoryConnection,
    entries: readonly Entry[],
    contents: Iterable<readonly [number, Uint8Array]>,
    window = WINDOW,
  ) {
    const protocol = new Sender("peer", window);
    protocol.offer(entries);
    super(connection, protocol);
    this.protocol = protocol;
    this.#contents = new Map(contents);
    this.ended = this.follow((event) => this.#handle(event));
  }

  #handle(event: ProtocolEvent): boolean {
    this.#wake();
    if (event.type === "accepted") this.#pump(event).catch(() => undefined);
    if (event.type === "completed") this.protocol.end();
    return event.type === "completed" || event.type === "declined" || event.type === "cancelled";
  }

  async #pump({ skip }: Accepted): Promise<void> {
    for (const [number, bytes] of this.#contents) {
      if (skip.has(number)) continue;
      if (this.wrong === "abort") {
        await this.#put(500, () => this.protocol.abort(number, "it \u202e vanished"));
        continue;
      }
      const digest = sha256(this.wrong === "digest" ? content(3) : bytes);
      const step = 60_000;
      for (let at = 0; at === 0 || at < bytes.length; at += step) {
        const part = bytes.subarray(at, at + step);
        const last = at + step >= bytes.length ? digest : null;
        await this.#put(part.length + 32 + FRAME_HEADER, () =>
          this.protocol.data(number, at, part, last),
        );
      }
    }
  }

  async #put(cost: number, make: () => Bytes): Promise<void> {
    const { data } = this.connection.channels;
    while (this.protocol.sendable() < cost) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const frame = make();
    this.#sent += frame.length;
    this.most = Math.max(this.most, this.#sent - this.protocol.acknowledged);
    while (!data.send(frame)) await data.writable();
  }
}

/** Receives files as a peer does. */
export class ReceivingPeer extends Peer {
  readonly protocol: Receiver;
  readonly ended: Promise<void>;
  readonly files = new Map<number, number[]>();
  readonly frames: number[] = [];
  /** Its answer; called with the entries. */
  answer: (entries: readonly Entry[]) => void = () => this.protocol.accept(new Map());
  verdictOf: (number: number, ok: boolean) => "ok" | "mismatch" | "failed" = (_, ok) =>
    ok ? "ok" : "mismatch";
  /** Numbers of files that fail at their first frame. */
  readonly refuses = new Set<number>();

  constructor(connection: MemoryConnection, window = WINDOW) {
    const protocol = new Receiver("peer", window);
    super(connection, protocol);
    this.protocol = protocol;
    this.ended = this.follow((event) => this.#handle(event));
    this.#take().catch(() => undefined);
  }

  #handle(event: ProtocolEvent): boolean {
    if (event.type === "manifest-received") this.answer(event.entries);
    return event.type === "peer-said-bye" || event.type === "cancelled";
  }

  async #take(): Promise<void> {
    for (;;) {
      const message = await this.connection.channels.data.receive();
      const frames = this.protocol.receiveFrame(message);
      if (frames.length > 0) this.frames.push(message.length);
      for (const frame of frames) this.#write(frame);
      this.flush();
    }
  }

  #write(frame: Content): void {
    const bytes = this.files.get(frame.number) ?? [];
    this.files.set(frame.number, bytes);
    if (this.refuses.has(frame.number)) {
      if (bytes.length === 0) this.protocol.verdict(frame.number, "failed");
      bytes.push(...new Uint8Array(frame.cost));
      this.protocol.written(frame.cost);
      return;
    }
    if ("payload" in frame) for (const byte of frame.payload) bytes.push(byte);
    this.protocol.written(frame.cost);
    if (frame.type === "abort") this.protocol.verdict(frame.number, "failed");
    if (frame.type === "end") {
      const ok = Buffer.compare(sha256(Uint8Array.from(bytes)), frame.digest) === 0;
      this.protocol.verdict(frame.number, this.verdictOf(frame.number, ok));
    }
  }
}

/** The choice of a person, by name. */
export function chosen(contents: Readonly<Record<string, Uint8Array>>): Chosen[] {
  return Object.entries(contents).map(([path, bytes]) => ({
    entry: entry(path, bytes.length),
    file: new Blob([new Uint8Array(bytes)]),
  }));
}

/** The error of a full disk. */
export const noRoom = () => new DestinationError("no room for film.bin");
