/**
 * The receiving half of a transfer. As `dcsend/session/incoming.py`.
 *
 *     `data` channel ─ frames ─► pending ─ portion ─► sink ─► verdicts, acknowledgements
 *     `control` channel ─ manifest ─► safe names ─► person ─► accept or decline
 *
 * The window bounds what is pending: nothing is acknowledged before it is written.
 */
import type { Content } from "../content.ts";
import type { Entry } from "../entry.ts";
import {
  ConnectionFailed,
  type DcsendError,
  Interrupted,
  LocalProtocolError,
  PeerRefused,
} from "../errors.ts";
import type { Checked, Outcome, Sink } from "../files/contract.ts";
import { printable } from "../printable.ts";
import type { Event } from "../protocol/events.ts";
import { WINDOW } from "../protocol/limits.ts";
import { Receiver } from "../protocol/receiver.ts";
import { type ConnectedPeer, Control } from "./control.ts";
import type { TransferHalf } from "./conversation.ts";
import type { ManifestKnown } from "./events.ts";
import type { RunOptions } from "./options.ts";
import { asError, declineReason, type Fault, type Tally } from "./outcome.ts";
import { Progress, totalSize } from "./progress.ts";
import { Bell, race, within } from "./waiting.ts";

/**
 * Seconds to wait for the sender's Bye once every file is written; the run then succeeds without
 * it. Longer than a slow sender needs to read Complete, which closing earlier would drop; shorter
 * than the silence after which a peer counts as gone.
 */
export const BYE = 15;

/** Bytes of frames in one portion: an eighth of the window, for frequent acknowledgements. */
const PORTION_SIZE = 1024 * 1024;

const FAULTS: { readonly [status in Outcome["status"]]: Fault | null } = {
  ok: null,
  mismatch: "integrity",
  aborted: "source",
  failed: "destination",
};

/** Receives one manifest over one connection into one sink. */
export class Incoming implements TransferHalf {
  safe = false;
  readonly control: Control;
  readonly #peer: ConnectedPeer;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  readonly #protocol: Receiver;
  /** Rings when frames or a manifest have arrived. */
  readonly #arrived = new Bell();
  #manifest: ManifestKnown | null = null;
  /** Why the offer was declined. */
  #refusal: DcsendError | null = null;
  #entries: readonly Entry[] = [];
  #sink: Sink | null = null;
  /** Bytes of parts that the sink continues. */
  #have: ReadonlyMap<number, number> = new Map();
  #checked: Checked | null = null;
  #pending: Content[] = [];
  /** Whether the sink is working. */
  #busy = false;
  #reassured = () => {};
  /** Number of files that have not ended. */
  #left = 0;
  /** Numbers of the files without a verdict. */
  readonly #withoutVerdict = new Set<number>();
  #progress: Progress | null = null;

  constructor(peer: ConnectedPeer, options: RunOptions, tally: Tally) {
    this.#peer = peer;
    this.#options = options;
    this.#tally = tally;
    this.#protocol = new Receiver(options.agent, options.window ?? WINDOW, options.name);
    this.control = new Control(peer, this.#protocol, "receiver", tally);
  }

  /** Receive everything; resolve when the sender has sent Bye. */
  async run(): Promise<void> {
    await race(
      this.control.follow(
        (event) => this.#handle(event),
        () => this.#expect(),
      ),
      this.#receive(),
    );
    // Bye may also answer Decline.
    if (this.#refusal !== null) throw this.#refusal;
  }

  async close(): Promise<void> {
    this.#reassured();
    this.#progress?.close();
    const left = (await this.#sink?.close()) ?? [];
    // Files that were complete before the run failed still go to the downloads.
    if (this.#tally.exports.length === 0) this.#tally.export(left);
  }

  /** Set the deadline of the sender's next message, if one is due. */
  #expect(): void {
    const { state, offered, awaitsAgain } = this.#protocol;
    const { expect, lift } = this.#peer;
    if (state === "waiting" && offered > 0) expect("did not complete its list of files");
    else if ((state === "receiving" || awaitsAgain) && !this.#busy && this.#pending.length === 0) {
      expect("sent nothing for too long");
    } else lift();
  }

  // --- the offer

  /** Process one event; return whether it was the last. */
  #handle(event: Event): boolean {
    if (event.type === "manifest-received") {
      this.#manifest = { type: "manifest", entries: event.entries, leftOut: event.leftOut };
      this.#arrived.ring();
    }
    return event.type === "peer-said-bye";
  }

  /** Get the person's decision, open the sink and accept; or decline with the reason. */
  async #agree(): Promise<void> {
    while (this.#manifest === null) await this.#arrived.wait();
    const known = this.#manifest;
    this.#entries = known.entries;
    this.#tally.expect(known, known.leftOut.unreadable);
    this.#tally.emit(known);
    const refused = this.#unsafeNames();
    const skip = new Map<number, string>();
    try {
      const decision = await this.#options.questions.decide(known);
      if (decision === null) throw new PeerRefused("you declined");
      for (const [number, reason] of decision.skip) skip.set(number, reason);
      for (const [number, { kind }] of this.#entries.entries()) {
        if (refused.has(number)) skip.set(number, kind === "link" ? "unsupported" : "unsafe");
      }
      await this.#open(decision.destination, skip);
      // Accept ends a transfer without bytes, so its folders must exist before.
      if (this.#left === 0) this.#conclude(await this.#finish(), skip);
    } catch (thrown) {
      const error = asError(thrown);
      if (this.#tally.sealed) throw error;
      this.#refusal = error;
      this.#protocol.decline(declineReason(error), error.message);
      await this.control.flush();
      throw error;
    }
    this.#peer.connection.accepted?.();
    this.#begin(skip, refused);
    this.#protocol.accept(skip, this.#have, this.#sink?.digests);
    await this.control.flush();
  }

  /** Return why entries can't be saved by a browser, by number. */
  #unsafeNames(): Map<number, string> {
    const refused = new Map<number, string>();
    for (const [number, { kind, path }] of this.#entries.entries()) {
      if (kind === "text") continue;
      const reason = kind === "link" ? "a browser can't make links" : this.#options.validate(path);
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

  /** Open the sink, before Accept lets the sender begin. */
  async #open(
    destination: Parameters<RunOptions["openSink"]>[0],
    skip: ReadonlyMap<number, string>,
  ): Promise<void> {
    // The person may answer after the end of the run: then nothing must be created.
    if (this.#tally.sealed) throw new Interrupted("too late");
    const wanted = new Set<number>();
    for (const [number, { kind }] of this.#entries.entries()) {
      if (skip.has(number)) continue;
      wanted.add(number);
      if (kind === "file" || kind === "text") this.#withoutVerdict.add(number);
    }
    this.#left = this.#withoutVerdict.size;
    this.#sink = await this.#options.openSink(destination, this.#entries, wanted);
    this.#have = this.#sink.have ?? this.#have;
    if (this.#tally.sealed) await this.#sink.close();
  }

  /** Report what a transfer without bytes has created, and skip what failed. */
  #conclude(outcomes: readonly Outcome[], skip: Map<number, string>): void {
    for (const outcome of outcomes) {
      if (outcome.status === "ok") continue;
      skip.set(outcome.number, "failed");
      this.#report(outcome);
    }
  }

  #begin(skip: ReadonlyMap<number, string>, refused: ReadonlyMap<number, string>): void {
    this.#tally.begin(this.#options.now());
    const total = totalSize(this.#entries, (number) => !skip.has(number));
    const already = [...this.#have.values()].reduce((sum, offset) => sum + offset, 0);
    const waits = () => (this.#busy ? "disk" : "peer");
    this.#progress = new Progress(total, this.#tally.emit, this.#options.now, waits, already);
    this.#progress.show();
    for (const [number, reason] of skip) {
      const entry = this.#entries[number];
      const why = refused.get(number);
      if (entry === undefined || reason === "failed") continue;
      // A folder that was declined has no line of its own.
      if (why === undefined && entry.kind === "directory") continue;
      const { path } = entry;
      const file = { type: "file", path, bytes: 0, saved: "", sha256: "" } as const;
      if (why === undefined) {
        const said = reason === "exists" ? "a file of this name is there" : "";
        this.#tally.report({ ...file, status: "skipped", reason: said }, null);
      } else if (entry.kind === "link") {
        // Skipped before acceptance: not a failure.
        this.#tally.report({ ...file, status: "skipped", reason: why }, null);
      } else {
        const reason = `refused: ${why}`;
        this.#tally.report({ ...file, status: "failed", reason }, "destination", entry.kind);
      }
    }
  }

  // --- the content

  /** Agree, then take frames and write them, each as fast as possible. */
  async #receive(): Promise<void> {
    await this.#agree();
    this.#reassured = this.control.reassure(() => this.#busy);
    await race(this.#write(), this.#takeFrames());
    this.#peer.lift();
    await within(BYE, this.control.followed);
    throw new ConnectionFailed("the other side did not confirm the end of the transfer");
  }

  async #takeFrames(): Promise<void> {
    const { data } = this.#peer.connection.channels;
    try {
      for (;;) {
        const message = await data.receive();
        this.#peer.noteArrival();
        const frames = this.#protocol.receiveFrame(message);
        if (frames.length === 0) continue; // the run is over; the control channel has the reason
        this.#pending.push(...frames);
        this.#arrived.ring();
      }
    } catch (error) {
      // The control channel may have the reason.
      if (!(error instanceof ConnectionFailed)) throw error;
    }
  }

  /** Write what is pending, portion after portion, until every file has ended. */
  async #write(): Promise<void> {
    while (this.#isExpected) {
      this.#expect();
      while (this.#pending.length === 0) await this.#arrived.wait();
      this.#busy = true;
      this.#peer.lift();
      const { portion, cost, counts, ended } = this.#nextPortion();
      let outcomes = (await this.#sink?.apply(portion)) ?? [];
      if (this.#tally.sealed) return;
      for (const [number, bytes] of counts) this.#count(number, bytes);
      this.#left -= ended;
      await this.#askAgain();
      if (!this.#isExpected) outcomes = [...(await this.#finish()), ...outcomes];
      if (this.#tally.sealed) return;
      if (!(await this.#sendVerdicts(outcomes, cost))) return;
    }
    if (this.#withoutVerdict.size > 0) throw new LocalProtocolError("files without a verdict");
    this.safe = true;
  }

  /** Whether content of files is expected, also what is to be sent again. */
  get #isExpected(): boolean {
    return this.#left > 0 || this.#protocol.awaitsAgain || this.#pending.length > 0;
  }

  /** Count written bytes of a file; a negative number is of a part that begins again. */
  #count(number: number, bytes: number): void {
    const entry = this.#entries[number];
    this.#progress?.add(entry, bytes, this.#have.get(number));
    if (bytes >= 0) this.#tally.count(bytes);
    else {
      const name = printable(entry?.path ?? "");
      this.#note(`since a part of ${name} was received, the file has changed: it begins again`);
    }
  }

  /** Report what the sink has found in parts, and ask for what was changed on the disk. */
  async #askAgain(): Promise<void> {
    const { damage, checked } = this.#sink?.findings ?? { damage: [], checked: null };
    const refused: Content[] = [];
    for (const [number, { start, end }] of damage) {
      if (this.#protocol.again(number, start, end)) {
        const [first, last] = [Math.floor(start / 1e6), Math.ceil(end / 1e6)];
        const where = `bytes ${first} to ${last} MB of ${printable(this.#entries[number]?.path ?? "")}`;
        this.#note(`${where} were changed on the disk and are sent again`);
      } else {
        const nothing = { offset: start, length: 0, payload: new Uint8Array(), cost: 0 };
        refused.push({ type: "repair", number, ...nothing });
      }
    }
    // They fail their files.
    this.#pending.unshift(...refused);
    const last = this.#checked;
    this.#checked = checked;
    if (checked !== null) {
      const { path, done: bytes, total } = checked;
      this.#tally.emit({ type: "checking", path, bytes, total });
    } else if (last !== null) {
      this.#tally.emit({ type: "checking", path: last.path, bytes: last.total, total: last.total });
    }
    if (damage.length > 0) await this.control.flush();
  }

  #note(message: string): void {
    this.#tally.emit({ type: "warning", kind: "changed", message, hint: "" });
  }

  /** Take at most one portion of what is pending. */
  #nextPortion() {
    const portion: Content[] = [];
    let cost = 0;
    for (const content of this.#pending) {
      if (cost >= PORTION_SIZE) break;
      portion.push(content);
      cost += content.cost;
    }
    this.#pending = this.#pending.slice(portion.length);
    // Measured now: the sink may transfer the payloads to a worker.
    const counts = portion.map((content) => [content.number, lengthOf(content)] as const);
    const ended = portion.filter(({ type }) => type === "end" || type === "abort").length;
    return { portion, cost, counts, ended };
  }

  /** Finish the sink; return the outcomes that it has withheld. */
  async #finish(): Promise<readonly Outcome[]> {
    if (this.#sink === null) return [];
    const { outcomes, exports } = await this.#sink.finish();
    if (!this.#tally.sealed) this.#tally.export(exports);
    return outcomes;
  }

  /**
   * Pass each outcome to the downloads, the protocol and the display, then acknowledge `cost`
   * bytes. Resolves to false if the run has ended before.
   */
  async #sendVerdicts(outcomes: readonly Outcome[], cost: number): Promise<boolean> {
    for (const outcome of outcomes) {
      const { download } = outcome;
      // Before its verdict: a file that the sender counts as done must survive the end of this
      // page.
      if (download !== undefined) await this.#options.handOver(download, outcome.number);
      if (this.#tally.sealed) return false;
      this.#sendVerdict(outcome);
      this.#report(outcome);
      if (download !== undefined) await this.control.flush();
    }
    this.#busy = false;
    // Last: it may complete the transfer.
    this.#protocol.written(cost);
    if (this.#isExpected) this.#progress?.show();
    else this.#progress?.end();
    await this.control.flush();
    return true;
  }

  #sendVerdict(outcome: Outcome): void {
    const { number, status, text } = outcome;
    if (text !== null && status === "ok") {
      this.#tally.emit({ type: "text", text, sent: false, kind: "snippet" });
    }
    if (this.#withoutVerdict.delete(number) || status !== "ok") {
      this.#protocol.verdict(number, status === "aborted" ? "failed" : status);
    }
  }

  #report({ number, status, size: bytes, saved, sha256, reason }: Outcome): void {
    const entry = this.#entries[number];
    if (entry === undefined) return;
    // A folder has no line of its own.
    if (entry.kind === "directory" && status === "ok") return;
    const { path } = entry;
    const shown = status === "aborted" ? "failed" : status;
    this.#tally.report(
      { type: "file", path, status: shown, bytes, saved, sha256, reason },
      FAULTS[status],
      entry.kind,
    );
  }
}

/** Return the bytes of a file that a content stands for. */
function lengthOf(content: Content): number {
  // Repaired bytes were counted when they arrived first.
  if (content.type === "abort" || content.type === "repair") return 0;
  if (content.type === "restart") return -content.offset;
  return content.type === "hole" ? content.length : content.payload.length;
}
