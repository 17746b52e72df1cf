/**
 * The sending half: blocks from the disk into frames, as fast as acknowledgements come back. As
 * `dcsend/session/outgoing.py`.
 *
 *     source ─ blocks ─► frames ─► `data` channel
 *     `control` channel ─ acks, verdicts ─► window, pace, progress, verdicts
 */
import type { Channel } from "../engines/base.ts";
import type { Entry } from "../entry.ts";
import { ConnectionFailed, Interrupted } from "../errors.ts";
import type { Block, Chosen, Source } from "../files/operations.ts";
import type { Accepted, Event } from "../protocol/events.ts";
import {
  DIGEST,
  FRAME_HEADER,
  MAX_MESSAGE,
  MAX_PAYLOAD_WITH_DIGEST,
  WINDOW,
} from "../protocol/limits.ts";
import { CAUTIOUS, Pace } from "../protocol/pace.ts";
import { Sender } from "../protocol/sender.ts";
import { Control, type Meeting } from "./control.ts";
import type { Party } from "./conversation.ts";
import type { FileFinished } from "./events.ts";
import type { RunOptions } from "./options.ts";
import { type Fault, peerDeclined, type Tally } from "./outcome.ts";
import { Progress, totalSize } from "./progress.ts";
import { Bell, race, within } from "./waiting.ts";

/** Seconds to wait for the receiver to hang up after the last word. */
const HANG_UP = 1;

/** The longest frame without content, bytes. */
const SHORT = FRAME_HEADER + MAX_MESSAGE;

/** Acknowledged frames that are kept before they are cut off; one by one is slow. */
const MOST_DONE = 1024;

/** A frame that may not be acknowledged yet. */
interface Frame {
  /** Bytes of `data` messages sent, this one included. */
  readonly upto: number;
  readonly number: number;
  /** Bytes of content. */
  readonly content: number;
}

/** What is known of a file whose verdict is not there yet. */
interface Sent {
  readonly bytes: number;
  readonly digest: Uint8Array;
  readonly failure: string;
}

/** What an entry that the receiver did not want is called: reason and fault. */
const SKIPPED: Readonly<Record<string, readonly [string, Fault | null]>> = {
  exists: ["the receiver has a file of this name", null],
  declined: ["the receiver did not want it", null],
  unsafe: ["the receiver refuses this name", "destination"],
  unsupported: ["the receiver can't take this kind", "destination"],
};

/** Sends what a person chooses over one connection. */
export class Outgoing implements Party {
  safe = false;
  readonly control: Control;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  readonly #protocol: Sender;
  readonly #pace: Pace;
  readonly #meeting: Meeting;
  readonly #channels: Readonly<Record<"control" | "data", Channel>>;
  /** Rings when the receiver has answered, or acknowledged. */
  readonly #answered = new Bell();
  #entries: readonly Entry[] = [];
  #accepted: Accepted | null = null;
  /** Whether the source is being waited for. */
  #reading = false;
  #reassured = () => {};
  #source: Source | null = null;
  #progress: Progress | null = null;
  /** Frames in flight, behind those that are done. */
  readonly #frames: Frame[] = [];
  #done = 0;
  #sent = 0;
  readonly #unjudged = new Map<number, Sent>();

  constructor(meeting: Meeting, options: RunOptions, tally: Tally) {
    this.#options = options;
    this.#tally = tally;
    this.#protocol = new Sender(options.agent, options.window ?? WINDOW);
    this.#pace = new Pace(CAUTIOUS, options.window ?? WINDOW);
    this.control = new Control(meeting, this.#protocol, "sender", tally);
    this.#meeting = meeting;
    this.#channels = meeting.connection.channels;
  }

  /** Send everything; resolve when the receiver has judged all of it. */
  run(): Promise<void> {
    return race(this.#listen(), this.#pump());
  }

  async putAway(): Promise<void> {
    this.#reassured();
    this.#progress?.close();
    this.#source?.close();
  }

  /** Give the receiver time for its next message, if one is due. */
  #expect(): void {
    const { state, answering, acknowledged } = this.#protocol;
    const { expect, lift } = this.#meeting;
    if (answering) expect("did not complete its answer");
    else if (state === "sent" || (state === "sending" && this.#sent > acknowledged)) {
      expect("acknowledged nothing for too long");
    } else lift();
  }

  // --- what comes back

  async #listen(): Promise<void> {
    await this.control.follow(
      (event) => this.#handle(event),
      () => this.#expect(),
    );
    this.safe = true;
    this.#meeting.lift();
    // The receiver, which then knows that we know, hangs up; a close here may drop the bye.
    this.#protocol.end();
    await this.control.flush();
    await within(HANG_UP, untilItEnds(this.#channels.control));
  }

  /** Act on one event; true if it was the last. */
  #handle(event: Event): boolean {
    switch (event.type) {
      case "accepted":
        this.#start(event);
        break;
      case "declined":
        throw peerDeclined(event.reason, event.message);
      case "acknowledged":
        this.#acknowledge(event.bytes);
        break;
      case "file-judged":
        this.#judge(event.number, event.status);
        break;
      case "completed":
        this.#progress?.end();
        return true;
    }
    return false;
  }

  #start(accepted: Accepted): void {
    const { skip, have } = accepted;
    this.#tally.started = this.#options.now();
    let total = totalSize(this.#entries, (number) => !skip.has(number));
    // What the receiver has is not sent.
    for (const offset of have.values()) total = total === null ? null : total - offset;
    this.#progress = new Progress(total, this.#tally.emit, this.#options.now);
    for (const [number, reason] of skip) {
      const entry = this.#entries[number];
      if (entry === undefined) continue;
      const [words, fault] = SKIPPED[reason] ?? [reason, "destination"];
      const status = fault === null ? "skipped" : "failed";
      this.#report({ path: entry.path, status, bytes: entry.size ?? 0, reason: words }, fault);
    }
    this.#accepted = accepted;
    this.#answered.ring();
  }

  #acknowledge(upto: number): void {
    this.#pace.acknowledge(upto, this.#options.now());
    const frames = this.#frames;
    for (let frame = frames[this.#done]; frame !== undefined && frame.upto <= upto; ) {
      this.#progress?.add(this.#entries[frame.number], frame.content);
      this.#tally.bytes += frame.content;
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

  #judge(number: number, status: "ok" | "mismatch" | "failed"): void {
    const sent = this.#unjudged.get(number);
    this.#unjudged.delete(number);
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
      this.#report({ ...file, status, reason: "the receiver got other bytes" }, "integrity");
    } else {
      this.#report({ ...file, status, reason: "the receiver could not save it" }, "destination");
    }
  }

  #report(
    file: Pick<FileFinished, "path" | "status" | "bytes"> & Partial<FileFinished>,
    fault: Fault | null,
  ): void {
    this.#tally.report({ type: "file", saved: "", sha256: "", reason: "", ...file }, fault);
  }

  // --- what goes out

  /** Let the person choose, offer it, send every accepted file, block after block. */
  async #pump(): Promise<void> {
    const chosen = await this.#choose();
    this.#protocol.offer(this.#entries);
    this.#tally.emit({ type: "manifest", entries: this.#entries });
    await this.control.flush();
    while (this.#accepted === null) await this.#answered.wait();
    const { skip, have } = this.#accepted;
    const source = this.#options.openSource(chosen, new Set(skip.keys()));
    this.#source = source;
    this.#reassured = this.control.reassure(() => this.#reading);
    try {
      for (;;) {
        this.#reading = true;
        const block = await source.next();
        this.#reading = false;
        if (block === null) break;
        if (block.failure !== "") await this.#sendAbort(block);
        else await this.#sendContent(block, have.get(block.number) ?? 0);
      }
    } catch (error) {
      // A lost connection is told by the control channel, which may hold the reason, too.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  async #choose(): Promise<readonly Chosen[]> {
    const chosen = await this.#options.questions.choose();
    if (chosen === null || chosen.length === 0) throw new Interrupted("nothing was chosen");
    this.#entries = chosen.map(({ entry }) => entry);
    return chosen;
  }

  /** Give a file up. */
  async #sendAbort({ number, failure }: Block): Promise<void> {
    this.#unjudged.set(number, { bytes: 0, digest: new Uint8Array(), failure });
    await this.#room(SHORT);
    await this.#put(this.#protocol.abort(number, failure), number, 0);
  }

  /** Send a block, without what is before `have`: the receiver holds that. */
  async #sendContent({ number, failure, ...block }: Block, have: number): Promise<void> {
    const protocol = this.#protocol;
    // A peer that takes only short frames gets short frames.
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
        this.#unjudged.set(number, { bytes: offset + part.length, digest, failure });
      const cost = FRAME_HEADER + part.length + (digest === null ? 0 : DIGEST);
      // Nothing is awaited while there is room: that would take longer than to send.
      if (!this.#hasRoom(cost)) await this.#room(cost);
      const waiting = this.#put(protocol.data(number, offset, part, digest), number, part.length);
      if (waiting !== null) await waiting;
    } while (at < length);
  }

  /** Say whether the window and the pace let a frame of `cost` bytes go. */
  #hasRoom(cost: number): boolean {
    return this.#protocol.sendable() >= cost && this.#pace.allows(cost);
  }

  /** Wait until a frame of `cost` bytes may go. */
  async #room(cost: number): Promise<void> {
    while (!this.#hasRoom(cost)) await this.#answered.wait();
  }

  /** Send a frame; null if that is done. */
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

/** Read on until the other side hangs up. */
async function untilItEnds(channel: Channel): Promise<never> {
  for (;;) await channel.receive();
}
