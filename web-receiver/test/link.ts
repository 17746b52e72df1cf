/**
 * A Sender and a Receiver joined by a simulated network that can be stopped at any step.
 *
 * `step` performs one action: one message or frame delivered, one written, one sent. `run` steps
 * until no action is left. `cut` drops everything in transit and all later messages.
 */
import { createHash } from "node:crypto";
import type { Bytes, Content } from "../src/content.ts";
import type { Entry } from "../src/entry.ts";
import type { Event } from "../src/protocol/events.ts";
import { hasFrames } from "../src/protocol/ledger.ts";
import * as limits from "../src/protocol/limits.ts";
import type { DeclineReason } from "../src/protocol/messages.ts";
import { Receiver } from "../src/protocol/receiver.ts";
import { Sender } from "../src/protocol/sender.ts";

/** Special actions of the two sides. */
export interface Plan {
  readonly skip?: ReadonlyMap<number, string>;
  readonly have?: ReadonlyMap<number, number>;
  /** File number -> position at which the sender gives it up. */
  readonly abort?: ReadonlyMap<number, number>;
  /** Files whose content changes between the digest and the network. */
  readonly damaged?: readonly number[];
  /** Files that the receiver can't write: it sends the verdict at their first frame. */
  readonly unsaved?: readonly number[];
  readonly decline?: DeclineReason;
  readonly window?: number;
  /** Bytes of content in each frame. */
  readonly payload?: number;
}

export class Link {
  readonly sender = new Sender("sender/1");
  readonly receiver: Receiver;
  readonly senderEvents: Event[] = [];
  readonly receiverEvents: Event[] = [];
  /** The receiver's disk. */
  readonly saved = new Map<number, Bytes[]>();
  /** Most bytes in transit or unwritten at any time. */
  largestFlight = 0;
  readonly #entries: readonly Entry[];
  readonly #contents: readonly Uint8Array[];
  readonly #plan: Plan;
  #toSender: string[] = [];
  #toReceiver: string[] = [];
  #frames: Bytes[] = [];
  #flight = 0;
  readonly #disk: Content[] = [];
  #made: Iterator<() => Bytes> = [].values();
  #next: (() => Bytes) | undefined;
  #isCut = false;

  /** `contents` has the content of each entry, by number. */
  constructor(entries: readonly Entry[], contents: readonly Uint8Array[], plan: Plan = {}) {
    this.#entries = entries;
    this.#contents = contents;
    this.#plan = plan;
    this.receiver = new Receiver("receiver/1", plan.window ?? limits.WINDOW);
    this.sender.start();
    this.receiver.start();
    this.sender.offer(entries);
  }

  /** Perform one of the possible actions; return false if there is none. */
  step(choice = 0): boolean {
    this.#toReceiver.push(...this.sender.messagesToSend());
    this.#toSender.push(...this.receiver.messagesToSend());
    if (this.#isCut) {
      this.#toReceiver = [];
      this.#toSender = [];
      this.#frames = [];
    }
    const actions = this.#actions();
    actions[choice % actions.length]?.();
    return actions.length > 0;
  }

  /** Step until no action is left; return the number of steps. */
  run(): number {
    for (let steps = 0; steps < 100_000; steps++) if (!this.step()) return steps;
    throw new Error("the two sides never come to an end");
  }

  /** Drop everything in transit, now and later. */
  cut(): void {
    this.#isCut = true;
  }

  /** The content of the receiver's disk. */
  get files(): Map<number, Buffer> {
    return new Map([...this.saved].map(([number, parts]) => [number, Buffer.concat(parts)]));
  }

  /** Verdicts that have reached the sender. */
  get verdicts(): Map<number, string> {
    const verdicts = this.senderEvents.filter((event) => event.type === "verdict-received");
    return new Map(verdicts.map(({ number, status }) => [number, status]));
  }

  #actions(): (() => void)[] {
    const actions: (() => void)[] = [];
    const when = (possible: boolean, action: () => void) => possible && actions.push(action);
    when(this.#toSender.length > 0, () => this.#deliverToSender());
    when(this.#toReceiver.length > 0, () => this.#deliverToReceiver());
    when(this.#frames.length > 0, () => this.#deliverFrame());
    when(this.#disk.length > 0, () => this.#write());
    when(this.receiver.state === "deciding", () => this.#decide());
    when(this.sender.state === "completed", () => this.sender.end());
    const room = this.sender.sendable() >= this.#payload + 56;
    when(this.#next !== undefined && room, () => this.#makeFrame());
    return actions;
  }

  get #payload(): number {
    return this.#plan.payload ?? limits.MAX_PAYLOAD_WITH_DIGEST;
  }

  #deliverToSender(): void {
    for (const event of this.sender.receive(this.#toSender.shift() ?? "")) {
      this.senderEvents.push(event);
      if (event.type === "accepted") {
        this.#made = this.#framesToMake(event.skip, event.have);
        this.#next = this.#made.next().value;
      }
    }
  }

  #deliverToReceiver(): void {
    this.receiverEvents.push(...this.receiver.receive(this.#toReceiver.shift() ?? ""));
  }

  #deliverFrame(): void {
    for (const event of this.receiver.receiveFrame(this.#frames.shift() ?? "")) {
      this.#disk.push(event);
      if (this.#plan.unsaved?.includes(event.number) && !this.saved.has(event.number)) {
        this.saved.set(event.number, []);
        this.receiver.verdict(event.number, "failed");
      }
    }
  }

  #makeFrame(): void {
    const frame = this.#next?.();
    if (frame === undefined) return;
    this.#frames.push(frame);
    this.#flight += frame.length;
    this.largestFlight = Math.max(this.largestFlight, this.#flight);
    this.#next = this.#made.next().value;
  }

  #decide(): void {
    const { decline, skip = new Map(), have = new Map() } = this.#plan;
    if (decline !== undefined) {
      this.receiver.decline(decline, "no room");
      return;
    }
    for (const [number, offset] of have) {
      this.saved.set(number, [Uint8Array.from(this.#contents[number] ?? []).subarray(0, offset)]);
    }
    this.receiver.accept(skip, have);
  }

  *#framesToMake(
    skip: ReadonlyMap<number, string>,
    have: ReadonlyMap<number, number>,
  ): Generator<() => Bytes> {
    for (const [number, entry] of this.#entries.entries()) {
      if (hasFrames(entry) && !skip.has(number)) {
        yield* this.#framesOf(number, have.get(number) ?? 0);
      }
    }
  }

  *#framesOf(number: number, start: number): Generator<() => Bytes> {
    let content = this.#contents[number] ?? new Uint8Array();
    const digest = createHash("sha256").update(content).digest();
    if (this.#plan.damaged?.includes(number)) content = content.map((byte) => byte ^ 1);
    for (let position = start; ; position += this.#payload) {
      if (position === this.#plan.abort?.get(number)) {
        yield () => this.sender.abort(number, "gone");
        return;
      }
      const part = content.subarray(position, position + this.#payload);
      const last = position + part.length === content.length;
      yield () => this.sender.data(number, position, part, last ? digest : null);
      if (last) return;
    }
  }

  #write(): void {
    const event = this.#disk.shift();
    if (event === undefined) return;
    this.#flight -= event.cost;
    this.receiver.written(event.cost);
    if (this.#plan.unsaved?.includes(event.number)) return;
    if (event.type === "restart") throw new Error("the page has no parts");
    if (event.type === "abort") {
      this.receiver.verdict(event.number, "failed");
      return;
    }
    const saved = this.saved.get(event.number) ?? [];
    this.saved.set(event.number, saved);
    saved.push(event.type === "hole" ? new Uint8Array(event.length) : event.payload);
    if (event.type !== "end") return;
    const digest = createHash("sha256").update(Buffer.concat(saved)).digest();
    this.receiver.verdict(event.number, digest.equals(event.digest) ? "ok" : "mismatch");
  }
}
