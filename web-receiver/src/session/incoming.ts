/**
 * The receiving half: frames into operations, operations into the sink, verdicts back. As
 * `dcsend/session/incoming.py`.
 *
 *     `data` channel ─ frames ─► pending ─ batch ─► sink ─► acknowledgements, verdicts
 *     `control` channel ─ manifest ─► judge ─► person ─► accept or decline
 *
 * What is pending is bounded by the window: nothing is acknowledged before it is written.
 */
import type { Entry } from "../entry.ts";
import {
  ConnectionFailed,
  type DcsendError,
  Interrupted,
  LocalProtocolError,
  PeerRefused,
} from "../errors.ts";
import type { Operation, Outcome, Sink } from "../files/operations.ts";
import { printable } from "../printable.ts";
import type { Event, FrameEvent } from "../protocol/events.ts";
import { WINDOW } from "../protocol/limits.ts";
import { Receiver } from "../protocol/receiver.ts";
import { Control, type Meeting } from "./control.ts";
import type { Party } from "./conversation.ts";
import type { RunOptions } from "./options.ts";
import { asError, declineReason, type Fault, type Tally } from "./outcome.ts";
import { Progress, totalSize } from "./progress.ts";
import { Bell, race, within } from "./waiting.ts";

/**
 * Seconds to wait for the sender's bye once every file is safe; then it is done all the same. Long,
 * since closing takes Complete from a sender that is slow to read it; shorter than the silence after
 * which a peer is taken for gone.
 */
const BYE = 15;

/** Bytes of frames in one batch: an eighth of the window, so that acknowledgements keep coming. */
const BATCH = 1024 * 1024;

const FAULTS: { readonly [status in Outcome["status"]]: Fault | null } = {
  ok: null,
  mismatch: "integrity",
  aborted: "source",
  failed: "destination",
};

/** Receives one manifest over one connection into one sink. */
export class Incoming implements Party {
  safe = false;
  readonly control: Control;
  readonly #meeting: Meeting;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  readonly #protocol: Receiver;
  /** Rings when something was added to what the peer has given. */
  readonly #arrived = new Bell();
  #manifest: readonly Entry[] | null = null;
  /** Why the offer was declined. */
  #refusal: DcsendError | null = null;
  #entries: readonly Entry[] = [];
  #sink: Sink | null = null;
  #pending: FrameEvent[] = [];
  /** Whether the disk is being waited for. */
  #busy = false;
  #reassured = () => {};
  /** Files that haven't ended. */
  #left = 0;
  /** Numbers of the files without a verdict. */
  readonly #unjudged = new Set<number>();
  /** What became of the last file, if that is known, and told here, before its last frame. */
  readonly #held: Outcome[] = [];
  #progress: Progress | null = null;

  constructor(meeting: Meeting, options: RunOptions, tally: Tally) {
    this.#meeting = meeting;
    this.#options = options;
    this.#tally = tally;
    this.#protocol = new Receiver(options.agent, options.window ?? WINDOW);
    this.control = new Control(meeting, this.#protocol, "receiver", tally);
  }

  /** Receive everything; resolve when the sender has said bye. */
  async run(): Promise<void> {
    await race(
      this.control.follow(
        (event) => this.#handle(event),
        () => this.#expect(),
      ),
      this.#receive(),
    );
    // The bye may be the answer to that, too.
    if (this.#refusal !== null) throw this.#refusal;
  }

  async putAway(): Promise<void> {
    this.#reassured();
    this.#progress?.close();
    await this.#sink?.close();
  }

  /** Give the sender time for its next message, if one is due. */
  #expect(): void {
    const { state, offered } = this.#protocol;
    const { expect, lift } = this.#meeting;
    if (state === "waiting" && offered > 0) expect("did not complete its list of files");
    else if (state === "receiving" && !this.#busy && this.#pending.length === 0) {
      expect("sent nothing for too long");
    } else lift();
  }

  // --- what is offered

  /** Act on one event; true if it was the last. */
  #handle(event: Event): boolean {
    if (event.type === "manifest-received") {
      this.#manifest = event.entries;
      this.#arrived.ring();
    }
    return event.type === "peer-said-bye";
  }

  /** Ask, open the sink, accept; or decline with the reason. */
  async #agree(): Promise<void> {
    while (this.#manifest === null) await this.#arrived.wait();
    this.#entries = this.#manifest;
    const known = { type: "manifest", entries: this.#entries } as const;
    this.#tally.emit(known);
    const refused = this.#judgeNames();
    const skip = new Map<number, string>();
    try {
      const decision = await this.#options.questions.decide(known);
      if (decision === null) throw new PeerRefused("you declined");
      for (const [number, reason] of decision.skip) skip.set(number, reason);
      for (const [number, { kind }] of this.#entries.entries()) {
        if (refused.has(number)) skip.set(number, kind === "link" ? "unsupported" : "unsafe");
      }
      await this.#open(decision.destination, skip);
      // The answer completes a transfer without bytes, so what it makes must be there before it.
      if (this.#left === 0) this.#conclude(await this.#finish(), skip);
    } catch (thrown) {
      const error = asError(thrown);
      if (this.#tally.sealed) throw error;
      this.#refusal = error;
      this.#protocol.decline(declineReason(error), error.message);
      await this.control.flush();
      throw error;
    }
    this.#begin(skip, refused);
    this.#protocol.accept(skip);
    await this.control.flush();
  }

  /** Find what can't be saved in a browser: why, by number. */
  #judgeNames(): Map<number, string> {
    const refused = new Map<number, string>();
    for (const [number, { kind, path }] of this.#entries.entries()) {
      if (kind === "text") continue;
      const reason = kind === "link" ? "a browser can't make links" : this.#options.judge(path);
      if (reason !== "") refused.set(number, reason);
    }
    const [first] = refused;
    if (first !== undefined) {
      const [number, reason] = first;
      const name = printable(this.#entries[number]?.path ?? "");
      const message = `${refused.size} of ${this.#entries.length} can't be saved; ${name}: ${reason}`;
      this.#tally.emit({ type: "warning", kind: "refused", message, hint: "" });
    }
    return refused;
  }

  /** Open the sink, before the sender hears that it may begin. */
  async #open(
    destination: Parameters<RunOptions["openSink"]>[0],
    skip: ReadonlyMap<number, string>,
  ): Promise<void> {
    // The person may have answered when it was over already: then nothing must be made.
    if (this.#tally.sealed) throw new Interrupted("too late");
    const wanted = new Set<number>();
    for (const [number, { kind }] of this.#entries.entries()) {
      if (skip.has(number)) continue;
      wanted.add(number);
      if (kind === "file" || kind === "text") this.#unjudged.add(number);
    }
    this.#left = this.#unjudged.size;
    this.#sink = await this.#options.openSink(destination, this.#entries, wanted);
    if (this.#tally.sealed) await this.#sink.close();
  }

  /** Report what a transfer without bytes has made, and skip what could not be. */
  #conclude(outcomes: readonly Outcome[], skip: Map<number, string>): void {
    for (const outcome of outcomes) {
      if (outcome.status === "ok") continue;
      skip.set(outcome.number, "unsupported");
      this.#report(outcome);
    }
  }

  #begin(skip: ReadonlyMap<number, string>, refused: ReadonlyMap<number, string>): void {
    this.#tally.started = this.#options.now();
    const total = totalSize(this.#entries, (number) => !skip.has(number));
    this.#progress = new Progress(total, this.#tally.emit, this.#options.now);
    for (const [number, reason] of skip) {
      const entry = this.#entries[number];
      const why = refused.get(number);
      if (entry === undefined || (why === undefined && reason === "unsupported")) continue;
      // A folder that nobody wants; no line for each.
      if (why === undefined && entry.kind === "directory") continue;
      const { path } = entry;
      const file = { type: "file", path, bytes: 0, saved: "", sha256: "" } as const;
      if (why === undefined) this.#tally.report({ ...file, status: "skipped", reason: "" }, null);
      else {
        const reason = `refused: ${why}`;
        this.#tally.report({ ...file, status: "failed", reason }, "destination");
      }
    }
  }

  // --- what arrives

  /** Agree, then take frames and write them, each as fast as it can. */
  async #receive(): Promise<void> {
    await this.#agree();
    this.#reassured = this.control.reassure(() => this.#busy);
    await race(this.#write(), this.#takeFrames());
    this.#meeting.lift();
    await within(BYE, this.control.followed);
    throw new ConnectionFailed("the other side did not say bye");
  }

  async #takeFrames(): Promise<void> {
    const { data } = this.#meeting.connection.channels;
    try {
      for (;;) {
        const message = await data.receive();
        this.#meeting.heard();
        const frames = this.#protocol.receiveFrame(message);
        if (frames.length === 0) continue; // it is over; the control channel tells why
        this.#pending.push(...frames);
        this.#arrived.ring();
      }
    } catch (error) {
      // The control channel may hold the reason.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  /** Hand over what is pending, batch after batch, until every file has ended. */
  async #write(): Promise<void> {
    while (this.#left > 0) {
      this.#expect();
      while (this.#pending.length === 0) await this.#arrived.wait();
      this.#busy = true;
      this.#meeting.lift();
      const { batch, cost, counts, ended } = this.#nextBatch();
      let outcomes = (await this.#sink?.apply(batch)) ?? [];
      if (this.#tally.sealed) return;
      for (const [number, bytes] of counts) {
        this.#progress?.add(this.#entries[number], bytes);
        this.#tally.bytes += bytes;
      }
      this.#left -= ended.size;
      // Folders and all come before the last file's verdict, which makes the transfer complete.
      if (this.#left === 0) outcomes = [...(await this.#finish()), ...outcomes];
      if (this.#tally.sealed) return;
      if (this.#left === 1) {
        this.#hold(outcomes.filter(({ number }) => !ended.has(number)));
        outcomes = outcomes.filter(({ number }) => ended.has(number));
      }
      this.#busy = false;
      await this.#tell(outcomes, cost);
    }
    if (this.#unjudged.size > 0) throw new LocalProtocolError("files without a verdict");
    this.safe = true;
  }

  /** Take what is pending, as far as it goes into a batch, and count it while it is here. */
  #nextBatch() {
    const batch: Operation[] = [];
    const counts = new Map<number, number>();
    const ended = new Set<number>();
    let [cost, taken] = [0, 0];
    for (const frame of this.#pending) {
      if (cost >= BATCH) break;
      taken += 1;
      cost += frame.cost;
      if (frame.type === "file-ended" || frame.type === "file-aborted") ended.add(frame.number);
      counts.set(frame.number, (counts.get(frame.number) ?? 0) + contentLength(frame));
      addOperations(batch, frame);
    }
    this.#pending = this.#pending.slice(taken);
    return { batch, cost, counts, ended };
  }

  /** Let the sink conclude; what it withheld until now. */
  async #finish(): Promise<readonly Outcome[]> {
    if (this.#sink === null) return [];
    const { outcomes, exports } = await this.#sink.finish();
    if (!this.#tally.sealed) this.#tally.exports = exports;
    return outcomes;
  }

  /** Acknowledge, judge, report. */
  async #tell(outcomes: readonly Outcome[], cost: number): Promise<void> {
    this.#protocol.written(cost);
    for (const outcome of outcomes) {
      this.#judge(outcome);
      this.#report(outcome);
    }
    if (this.#left === 0) for (const outcome of this.#held) this.#judge(outcome);
    if (this.#left > 0) this.#progress?.show();
    else this.#progress?.end();
    await this.control.flush();
  }

  #judge(outcome: Outcome): void {
    const { number, status, text } = outcome;
    if (text !== null && status === "ok") {
      this.#tally.emit({ type: "text", text, sent: false, kind: "snippet" });
    }
    if (this.#unjudged.delete(number) || status !== "ok") {
      this.#protocol.verdict(number, status === "aborted" ? "failed" : status);
    }
  }

  /** Tell the person here, and the sender when the last frame has come. */
  #hold(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) this.#report(outcome);
    this.#held.push(...outcomes);
  }

  #report({ number, status, size: bytes, saved, sha256, reason }: Outcome): void {
    const entry = this.#entries[number];
    if (entry === undefined) return;
    // A folder; nobody wants a line for each.
    if (entry.kind === "directory" && status === "ok") return;
    const { path } = entry;
    const shown = status === "aborted" ? "failed" : status;
    this.#tally.report(
      { type: "file", path, status: shown, bytes, saved, sha256, reason },
      FAULTS[status],
    );
  }
}

/** Bytes of content that a frame stands for. */
function contentLength(frame: FrameEvent): number {
  if (frame.type === "file-aborted") return 0;
  return frame.type === "hole-received" ? frame.length : frame.payload.length;
}

/** Add what a frame asks of the sink. */
function addOperations(batch: Operation[], frame: FrameEvent): void {
  const { number } = frame;
  switch (frame.type) {
    case "data-received":
      batch.push({ type: "write", number, offset: frame.offset, payload: frame.payload });
      break;
    case "hole-received":
      batch.push({ type: "hole", number, offset: frame.offset, length: frame.length });
      break;
    case "file-ended":
      if (frame.payload.length > 0) {
        batch.push({ type: "write", number, offset: frame.offset, payload: frame.payload });
      }
      batch.push({ type: "end", number, size: frame.size, digest: frame.digest });
      break;
    case "file-aborted":
      batch.push({ type: "abort", number, reason: frame.reason });
      break;
  }
}
