/**
 * A mailbox that is hostile: it withholds, delays, repeats, reorders, renames, changes and invents
 * messages, and runs handshakes of its own. Its moves are random, from a seed.
 */
import { expect, test } from "vitest";
import { DcsendError, LocalProtocolError } from "../src/errors.ts";
import { Allocator, Joiner, type Message } from "../src/rendezvous/handshake.ts";
import type { Item } from "../src/rendezvous/items.ts";
import { ANSWER, candidate, END, flipped, NUMBER, OFFER, Seeded, WORDS } from "./shortcodes.ts";

const MOVES = 40;

/** One honest side, with what it has sent and received. */
interface Side {
  readonly side: Allocator | Joiner;
  readonly sent: Item[];
  readonly received: Item[];
  isFailed: boolean;
  /** Whether a refusal was delivered to it before an answer. */
  isRefused: boolean;
}

const honest = (side: Allocator | Joiner): Side => ({
  side,
  sent: [],
  received: [],
  isFailed: false,
  isRefused: false,
});

/** Let an honest side do something; only errors of dcsend may come of it. */
function step(one: Side, action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof DcsendError)) throw error;
    one.isFailed = true;
  }
}

/** The mailbox between an allocator and a joiner, with all messages that it has. */
class HostileMailbox {
  readonly allocator: Side;
  readonly joiner: Side;
  readonly #random: Seeded;
  readonly #messages: Message[] = [];
  /** A handshake of the mailbox's own towards each side, with words that it guesses. */
  readonly #ownJoiner: Joiner;
  readonly #ownAllocator: Allocator;
  #hasJoined = false;
  #hasRefused = false;

  constructor(seed: number, words = WORDS) {
    this.#random = new Seeded(seed);
    const { bytes } = this.#random;
    this.allocator = honest(new Allocator(WORDS, NUMBER, bytes));
    this.joiner = honest(new Joiner(words, NUMBER, bytes));
    this.#ownJoiner = new Joiner("guess-guess", NUMBER, bytes);
    this.#ownAllocator = new Allocator("guess-guess", NUMBER, bytes);
    const allocator = this.allocator.side as Allocator;
    this.#messages.push(allocator.first, this.#ownAllocator.first);
    this.#messages.push(this.#ownJoiner.join(allocator.first[1], [OFFER]));
    this.#messages.push(this.#ownJoiner.seal([END]));
  }

  run(): void {
    for (let move = 0; move < MOVES; move++) {
      this.#random.pick([() => this.#deliver(), () => this.#deliver(), () => this.#send()])();
    }
  }

  #deliver(): void {
    const [phase, body] = this.#changed(this.#random.pick(this.#messages));
    const byLetter = phase.startsWith("a") ? this.joiner : this.allocator;
    const receiver = this.#random.pick([byLetter, byLetter, byLetter, this.allocator]);
    if (receiver === this.joiner && !this.#hasJoined) this.#join(body);
    else this.#receive(receiver, [phase, body]);
  }

  #join(a0: Uint8Array<ArrayBuffer>): void {
    const { joiner } = this;
    step(joiner, () => {
      const items = [OFFER, candidate(1)];
      this.#messages.push((joiner.side as Joiner).join(a0, items));
      this.#hasJoined = true;
      joiner.sent.push(...items);
    });
  }

  #receive(receiver: Side, [phase, body]: Message): void {
    if (phase === "a1" && body.length === 2 && receiver === this.joiner) {
      receiver.isRefused ||= !receiver.side.isConfirmed;
    }
    step(receiver, () => {
      receiver.received.push(...receiver.side.received(phase, body));
    });
  }

  /** Let the allocator refuse what was not authentic, once. */
  #refuse(): void {
    if (this.#hasRefused || !this.allocator.isFailed) return;
    try {
      this.#messages.push((this.allocator.side as Allocator).refusal());
      this.#hasRefused = true;
    } catch (error) {
      if (!(error instanceof LocalProtocolError)) throw error;
    }
  }

  /** Let each honest side send what it may send now. */
  #send(): void {
    this.#refuse();
    for (const one of [this.allocator, this.joiner]) {
      const isFirst = one === this.allocator && one.sent.length === 0;
      const isReady = one === this.allocator ? one.side.isConfirmed : this.#hasJoined;
      if (one.isFailed || !isReady || one.sent.length > 20) continue;
      const items = isFirst ? [ANSWER] : [candidate(one.sent.length + 1)];
      this.#messages.push(one.side.seal(items));
      one.sent.push(...items);
    }
  }

  #changed([phase, body]: Message): Message {
    const random = this.#random;
    const other = random.pick(this.#messages);
    switch (random.below(40)) {
      case 0:
        return [phase, flipped(body, random.below(8 * body.length))];
      case 1:
        return [other[0], body];
      case 2:
        return [phase, body.slice(0, random.below(body.length))];
      case 3: {
        // The beginning of one message, and the end of another.
        const cut = random.pick([2, 18, 34, 50, 66, 98, random.below(body.length)]);
        return [phase, Uint8Array.of(...body.subarray(0, cut), ...other[1].subarray(cut))];
      }
      case 4:
        return [
          random.pick(["a0", "a1", "a2", "b0", "b1", "b2", "pake", "b99"]),
          random.bytes(626),
        ];
      case 5:
        return ["a1", Uint8Array.of(1, random.below(256))];
      default:
        return [phase, body];
    }
  }
}

/** Check that one side has received only what the other one has sent, from the start. */
function checkReceived(receiver: Side, sender: Side): void {
  expect(receiver.received).toEqual(sender.sent.slice(0, receiver.received.length));
  if (receiver.received.length > 0) expect(receiver.side.isConfirmed).toBe(true);
  if (receiver.side.isConfirmed) expect(sender.sent.length).toBeGreaterThan(0);
  if (receiver.isRefused)
    expect([receiver.side.isConfirmed, receiver.received]).toEqual([false, []]);
}

test("a hostile mailbox can withhold items and do nothing else to them", () => {
  let [confirmed, failed, refused] = [0, 0, 0];
  for (let seed = 0; seed < 100; seed++) {
    const mailbox = new HostileMailbox(seed);
    mailbox.run();
    checkReceived(mailbox.allocator, mailbox.joiner);
    checkReceived(mailbox.joiner, mailbox.allocator);
    if (mailbox.allocator.side.isConfirmed) confirmed += 1;
    if (mailbox.allocator.isFailed) failed += 1;
    if (mailbox.joiner.isRefused) refused += 1;
  }
  // The moves reach both ends of an exchange.
  expect(Math.min(confirmed, failed, refused)).toBeGreaterThan(5);
});

test("nothing confirms two sides with different words", () => {
  for (let seed = 0; seed < 60; seed++) {
    const mailbox = new HostileMailbox(seed, "walrus-umpire");
    mailbox.run();
    for (const one of [mailbox.allocator, mailbox.joiner]) {
      expect([one.side.isConfirmed, one.received]).toEqual([false, []]);
    }
  }
});
