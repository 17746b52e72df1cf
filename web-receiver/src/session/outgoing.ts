/**
 * The sending half of a transfer. As `dcsend/session/outgoing.py`.
 *
 *     source ─ blocks ─► frames ─► `data` channel
 *     `control` channel ─ acks, verdicts ─► window, pace, progress, verdicts
 */

import { type Entry, type Kind, NOTHING_LEFT_OUT } from "../entry.ts";
import { ConnectionFailed, Interrupted } from "../errors.ts";
import type { Block, Chosen, Source } from "../files/contract.ts";
import type { Channel, Connection } from "../peers/contract.ts";
import type { Accepted, Event } from "../protocol/events.ts";
import {
  DIGEST,
  FRAME_HEADER,
  MAX_MESSAGE,
  MAX_PAYLOAD,
  MAX_PAYLOAD_WITH_DIGEST,
  WINDOW,
} from "../protocol/limits.ts";
import { Sender } from "../protocol/sender.ts";
import { type ConnectedPeer, Control } from "./control.ts";
import type { TransferHalf } from "./conversation.ts";
import type { FileFinished } from "./events.ts";
import type { RunOptions } from "./options.ts";
import { type Fault, peerDeclined, type Tally } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { Progress, totalSize } from "./progress.ts";
import { Bell, race, within } from "./waiting.ts";

/** Seconds to wait for the receiver to close the connection after Bye. */
export const HANG_UP = 1;

/** Bytes of the longest frame without content. */
const SHORT = FRAME_HEADER + MAX_MESSAGE;

/** Why sending a file ends that has the verdict `failed` before its end. */
const REFUSED = "the receiver could not save it";

/** Acknowledged frames that are kept before they are removed together; one by one is slow. */
const MOST_DONE = 1024;

/** A frame that may not be acknowledged yet. */
interface Frame {
  /** Bytes of `data` messages sent, including this one. */
  readonly upto: number;
  readonly number: number;
  /** Bytes of content. */
  readonly content: number;
}

/** A file that was sent and has no verdict yet. */
interface Sent {
  readonly bytes: number;
  readonly digest: Uint8Array;
  readonly failure: string;
}

/** Reason and fault of an entry that the receiver does not accept, by the reason in its Accept. */
const SKIPPED: Readonly<Record<string, readonly [string, Fault | null]>> = {
  exists: ["the receiver has a file of this name", null],
  same: ["it is there already", null],
  declined: ["not wanted", null],
  unsafe: ["the receiver refuses this name", "destination"],
  unsupported: ["the receiver can't take this kind", "destination"],
  failed: ["the receiver could not make it", "destination"],
};

/** Sends the files that a person chooses over one connection. */
export class Outgoing implements TransferHalf {
  safe = false;
  readonly control: Control;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  readonly #protocol: Sender;
  readonly #pace: Pace;
  readonly #peer: ConnectedPeer;
  readonly #connection: Connection;
  readonly #channels: Readonly<Record<"control" | "data", Channel>>;
  /** Rings when an answer or an acknowledgement has arrived. */
  readonly #answered = new Bell();
  #entries: readonly Entry[] = [];
  #accepted: Accepted | null = null;
  /** Whether the source is reading. */
  #reading = false;
  #reassured = () => {};
  #source: Source | null = null;
  #progress: Progress | null = null;
  /** Frames in flight, after those that are acknowledged. */
  readonly #frames: Frame[] = [];
  #done = 0;
  #sent = 0;
  readonly #withoutVerdict = new Map<number, Sent>();

  constructor(peer: ConnectedPeer, options: RunOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
    this.#protocol = new Sender(options.agent, options.window ?? WINDOW, options.name);
    this.#pace = new Pace(options.window ?? WINDOW);
    this.control = new Control(peer, this.#protocol, "sender", tally);
    this.#peer = peer;
    this.#connection = peer.connection;
    this.#channels = peer.connection.channels;
  }

  /** Send everything; resolve when the receiver has sent every verdict. */
  run(): Promise<void> {
    return race(this.#listen(), this.#pump());
  }

  async close(): Promise<void> {
    this.#reassured();
    this.#progress?.close();
    this.#source?.close();
  }

  /** Set the deadline of the receiver's next message, if one is due. */
  #expect(): void {
    const { state, answering, acknowledged } = this.#protocol;
    const { expect, lift } = this.#peer;
    if (answering) expect("did not complete its answer");
    else if (this.#sent > acknowledged || (state === "sent" && this.#protocol.asked === null)) {
      expect("acknowledged nothing for too long");
    } else lift();
  }

  // --- messages of the receiver

  async #listen(): Promise<void> {
    await this.control.follow(
      (event) => this.#handle(event),
      () => this.#expect(),
    );
    this.safe = true;
    this.#peer.lift();
    // The receiver closes after Bye; closing here may drop the Bye.
    this.#protocol.end();
    await this.control.flush();
    await within(HANG_UP, untilItEnds(this.#channels.control));
  }

  /** Process one event; return whether it was the last. */
  #handle(event: Event): boolean {
    switch (event.type) {
      case "accepted":
        this.#start(event);
        break;
      case "declined":
        throw peerDeclined(
          event.reason,
          event.message,
          this.#entries.map(({ path }) => path),
        );
      case "acknowledged":
        this.#acknowledge(event.bytes);
        break;
      case "asked-again":
        this.#answered.ring();
        break;
      case "verdict-received":
        this.#reportVerdict(event.number, event.status);
        break;
      case "completed":
        this.#progress?.end();
        return true;
    }
    return false;
  }

  #start(accepted: Accepted): void {
    const { skip, have } = accepted;
    this.#connection.accepted?.();
    this.#tally.begin(this.#options.now());
    const total = totalSize(this.#entries, (number) => !skip.has(number));
    const already = [...have.values()].reduce((sum, offset) => sum + offset, 0);
    const waits = () => (this.#reading ? "disk" : "peer");
    this.#progress = new Progress(total, this.#tally.emit, this.#options.now, waits, already);
    for (const [number, reason] of skip) {
      const entry = this.#entries[number];
      if (entry === undefined) continue;
      const [words, fault] = SKIPPED[reason] ?? [reason, "destination"];
      const status = fault === null ? "skipped" : "failed";
      const file = { path: entry.path, status, bytes: entry.size ?? 0, reason: words } as const;
      this.#report(file, fault, entry.kind);
    }
    // Shows that the offer was accepted, before the first acknowledgement, which may be slow.
    this.#progress.show();
    this.#accepted = accepted;
    this.#answered.ring();
  }

  #acknowledge(upto: number): void {
    this.#pace.acknowledge(upto, this.#options.now());
    const frames = this.#frames;
    for (let frame = frames[this.#done]; frame !== undefined && frame.upto <= upto; ) {
      const already = this.#accepted?.have.get(frame.number);
      this.#progress?.add(this.#entries[frame.number], frame.content, already);
      this.#tally.count(frame.content);
      this.#done += 1;
      frame = frames[this.#done];
    }
    if (this.#done > MOST_DONE) {
      frames.splice(0, this.#done);
      this.#done = 0;
    }
    this.#answered.ring();
    this.#progress?.show();
  }

  #reportVerdict(number: number, status: "ok" | "mismatch" | "failed"): void {
    const sent = this.#withoutVerdict.get(number);
    this.#withoutVerdict.delete(number);
    const file = {
      path: this.#entries[number]?.path ?? "",
      bytes: sent?.bytes ?? 0,
      sha256: hex(sent?.digest ?? []),
    };
    if (sent !== undefined && sent.failure !== "") {
      this.#report({ ...file, status: "failed", reason: sent.failure }, "source");
    } else if (status === "ok") {
      this.#report({ ...file, status }, null);
    } else if (status === "mismatch") {
      this.#report(
        { ...file, status, reason: "the receiver received different bytes" },
        "integrity",
      );
    } else {
      const kind = this.#entries[number]?.kind;
      this.#report({ ...file, status, reason: REFUSED }, "destination", kind);
    }
  }

  #report(
    file: Pick<FileFinished, "path" | "status" | "bytes"> & Partial<FileFinished>,
    fault: Fault | null,
    kind?: Kind,
  ): void {
    this.#tally.report({ type: "file", saved: "", sha256: "", reason: "", ...file }, fault, kind);
  }

  // --- content

  /**
   * Let the person choose, offer it, send every accepted file, block after block, and then what is
   * asked for again.
   */
  async #pump(): Promise<void> {
    const chosen = await this.#choose();
    this.#protocol.offer(this.#entries);
    const offered = {
      type: "manifest",
      entries: this.#entries,
      leftOut: NOTHING_LEFT_OUT,
    } as const;
    this.#tally.expect(offered, 0);
    this.#tally.emit(offered);
    await this.control.flush();
    while (this.#accepted === null) await this.#answered.wait();
    const { skip, have } = this.#accepted;
    const source = this.#options.openSource(chosen, new Set(skip.keys()));
    this.#source = source;
    this.#reassured = this.control.reassure(() => this.#reading);
    try {
      for (;;) {
        this.#reading = true;
        const block = await source.next(this.#protocol.due);
        this.#reading = false;
        await this.#giveUp();
        if (block === null) break;
        if (block.number < this.#protocol.due) continue;
        if (block.failure !== "") await this.#sendAbort(block);
        else await this.#sendContent(block, have.get(block.number) ?? 0);
        await this.#sendAgain(chosen);
      }
      await this.#sendAgainLater(chosen);
    } catch (error) {
      // The control channel reports a lost connection, and may have the reason.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  async #choose(): Promise<readonly Chosen[]> {
    const chosen = await this.#options.questions.choose();
    if (chosen === null || chosen.length === 0) throw new Interrupted("nothing was chosen");
    this.#entries = chosen.map(({ entry }) => entry);
    return chosen;
  }

  /** Give up the current file if the receiver has. */
  async #giveUp(): Promise<void> {
    const number = this.#protocol.due;
    if (!this.#protocol.isRefused(number)) return;
    await this.#room(SHORT);
    await this.#put(this.#protocol.abort(number, REFUSED), number, 0);
  }

  /** Give up a file that can't be read. */
  async #sendAbort({ number, failure }: Block): Promise<void> {
    this.#withoutVerdict.set(number, { bytes: 0, digest: new Uint8Array(), failure });
    await this.#room(SHORT);
    await this.#put(this.#protocol.abort(number, failure), number, 0);
  }

  /** Send a block, without the bytes before `have`, which the receiver already has. */
  async #sendContent({ number, failure, ...block }: Block, have: number): Promise<void> {
    const protocol = this.#protocol;
    // Short frames for a peer that accepts only those.
    const step = Math.min(MAX_PAYLOAD_WITH_DIGEST, protocol.maxPayload - DIGEST);
    const { length } = block.payload;
    let at = Math.min(length, Math.max(0, have - block.offset));
    do {
      const part = block.payload.subarray(at, at + step);
      const offset = block.offset + at;
      at += part.length;
      const digest = at === length ? block.digest : null;
      if (part.length === 0 && digest === null) return;
      if (digest !== null)
        this.#withoutVerdict.set(number, { bytes: offset + part.length, digest, failure });
      const cost = FRAME_HEADER + part.length + (digest === null ? 0 : DIGEST);
      // Without `await` while there is room: awaiting would take longer than sending.
      if (!this.#hasRoom(cost)) await this.#room(cost);
      const waiting = this.#put(protocol.data(number, offset, part, digest), number, part.length);
      if (waiting !== null) await waiting;
    } while (at < length && !protocol.isRefused(number));
  }

  /** Send what the receiver asks for again after the last frame; does not resolve. */
  async #sendAgainLater(chosen: readonly Chosen[]): Promise<never> {
    for (;;) {
      while (this.#protocol.asked === null) await this.#answered.wait();
      await this.#sendAgain(chosen);
    }
  }

  /** Send the ranges that the receiver asks for again, each as far as it is of use. */
  async #sendAgain(chosen: readonly Chosen[]): Promise<void> {
    const protocol = this.#protocol;
    for (let due = protocol.asked; due !== null; due = protocol.asked) {
      const { number, start, end } = due;
      const most = Math.min(end, start + Math.min(MAX_PAYLOAD, protocol.maxPayload));
      this.#reading = true;
      // An empty piece ends the range: the file has changed, or the bytes are of no use any more.
      const piece = await chosen[number]?.file
        ?.slice(start, most)
        .arrayBuffer()
        .catch(() => null);
      this.#reading = false;
      await this.#room(FRAME_HEADER + most - start);
      const isDue = piece && protocol.asked?.end === end;
      await this.#put(protocol.again(new Uint8Array(isDue ? piece : [])), number, 0);
    }
  }

  /** Return whether the window and the pace allow a frame of `cost` bytes. */
  #hasRoom(cost: number): boolean {
    return this.#protocol.sendable() >= cost && this.#pace.allows(cost);
  }

  /** Wait until a frame of `cost` bytes is allowed. */
  async #room(cost: number): Promise<void> {
    while (!this.#hasRoom(cost)) await this.#answered.wait();
  }

  /** Send a frame; return null if that is done without waiting. */
  #put(frame: Uint8Array<ArrayBuffer>, number: number, content: number): Promise<void> | null {
    this.#pace.send(frame.length, this.#options.now());
    const wasIdle = this.#sent === this.#protocol.acknowledged;
    this.#sent += frame.length;
    if (wasIdle) this.#expect();
    this.#frames.push({ upto: this.#sent, number, content });
    return this.#channels.data.send(frame) ? null : this.#putLater(frame);
  }

  async #putLater(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    const { data } = this.#channels;
    do await data.writable();
    while (!data.send(frame));
  }
}

function hex(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Read until the peer closes. */
async function untilItEnds(channel: Channel): Promise<never> {
  for (;;) await channel.receive();
}
