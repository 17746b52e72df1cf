/**
 * The handshake of a short code: CPace, its confirmation, and sealed messages, sans-I/O. As
 * `dcsend/rendezvous/handshake.py`.
 *
 *     allocator                                                   joiner
 *     a0 = version, flags, sid, Ya               ─────►
 *                                                ◄─────   b0 = version, flags, Yb, Tb, sealed offer
 *     a1 = version, flags, Ta, sealed answer     ─────►
 *     a2, a3, …: sealed                          ◄────►   b1, b2, …: sealed
 *
 *     or, with other words:
 *     a1 = version, flags                        ─────►
 *
 * Both sides get the messages from a mailbox that is not trusted: it can change, invent, repeat,
 * reorder and withhold them. All that it achieves with it is that there is no connection. Each
 * object is for one code and one exchange; after an error it throws the same one again.
 *
 * Must not import anything of src/ but `errors` and `rendezvous`.
 */
import {
  AuthenticationFailed,
  IncompatibleVersion,
  LocalProtocolError,
  RemoteProtocolError,
  WrongWords,
} from "../errors.ts";
import { ascii, type Bytes, concat } from "./bytes.ts";
import {
  confirmationTag,
  generator,
  isSamePoint,
  isTag,
  lvCat,
  SCALAR_SIZE,
  type Sent,
  SHARE_SIZE,
  scalarMult,
  sessionKey,
  TAG_SIZE,
} from "./cpace.ts";
import { decode, encode, type Item } from "./items.ts";
import {
  derive,
  isSealedSize,
  type Keys,
  MAX_SEALED,
  openSealed,
  type Phase,
  parsePhase,
  phaseName,
  seal,
} from "./sealing.ts";
import { APP_ID, MAX_PHASES } from "./wire.ts";

/** The version of the bodies that this module writes, and the only one that it reads. */
export const VERSION = 1;
/** Candidates of one side, at most, besides those in its description. */
export const MAX_CANDIDATES = 32;

/** Bytes of version and flags. */
export const HEAD_SIZE = 2;
/** Version and flags. */
const HEAD = Uint8Array.of(VERSION, 0);
const SID_SIZE = 16;
const A0_SIZE = HEAD_SIZE + SID_SIZE + SHARE_SIZE;
const B0_TAG = HEAD_SIZE + SHARE_SIZE;
const B0_SEALED = B0_TAG + TAG_SIZE;
const A1_SEALED = HEAD_SIZE + TAG_SIZE;
/** Bytes of a body, at most. */
export const MAX_BODY = B0_SEALED + MAX_SEALED;

/** Returns as many random bytes as it is asked for. */
export type Random = (count: number) => Bytes;

/** A message for the mailbox. */
export type Message = readonly [phase: string, body: Bytes];

/** Random bytes of the browser, which a page on plain http has, too. */
export const systemRandom: Random = (count) => crypto.getRandomValues(new Uint8Array(count));

/** What all sides have, also those of again.ts: order, limits, and the state of the exchange. */
export abstract class Side {
  protected keys: Keys | null = null;
  /** What follows the head of a1, before its sealed message. */
  protected tag: Bytes = new Uint8Array();
  #isConfirmed = false;
  readonly #own: "a" | "b";
  readonly #peer: "a" | "b";
  #failure: unknown = null;
  readonly #held = new Map<number, Bytes>();
  /** Number of the next message of the other side. */
  #due: number;
  /** Number of the next message of this side. */
  #next: number;
  #receivedCandidates = 0;
  #sentCandidates = 0;

  constructor(own: "a" | "b") {
    this.#own = own;
    this.#peer = own === "a" ? "b" : "a";
    this.#due = own === "a" ? 0 : 1;
    this.#next = 1 - this.#due;
  }

  /** Whether the other side has proven that it has the words. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  /** Whether a message was not authentic, and this side has sealed none. */
  protected get mayRefuse(): boolean {
    return this.#failure instanceof AuthenticationFailed && this.#next === 1;
  }

  /** Check the first message, after its head; return its sealed part, for which there are keys. */
  protected abstract sealed(phase: Phase, body: Bytes): Bytes;

  /**
   * Process a message of the other side; return the items that are due now, in their order. The
   * first are those of b0, an offer and what follows it; or of a1, an answer and what follows it, or
   * a bye. None are returned if an earlier message is missing, or for a repetition. a0 is for `join`.
   *
   * The first b0 uses the code up, whatever its content. Only messages of the mailbox from which it
   * came may be passed after it.
   *
   * Throws AuthenticationFailed if the other side does not have the words or refuses those of this
   * side, or a message was changed, RemoteProtocolError if a message breaks a rule or arrives before
   * `join` was called, IncompatibleVersion for another version.
   */
  received(phase: string, body: Bytes): Item[] {
    return this.attempt(() => this.#receive(phase, body));
  }

  /**
   * Return the next message, which contains `items`. The first one of an allocator needs an answer as
   * its first item, or a bye. A joiner may send before the other side is confirmed, as the offer is:
   * without the words, it can't be opened. Throws LocalProtocolError if `join` was not called, before
   * the joiner is confirmed, or past a limit.
   */
  seal(items: readonly Item[]): Message {
    this.checkAlive();
    if (this.#own === "a" && !this.isConfirmed) {
      throw new LocalProtocolError("nothing is sent before the other side is confirmed");
    }
    const [phase, sealed] = this.sealNext(items);
    const name = phaseName(phase);
    return [name, name === "a1" ? concat(HEAD, this.tag, sealed) : sealed];
  }

  /** Call `step` unless this side has failed; an error of it is the failure. */
  protected attempt<T>(step: () => T): T {
    this.checkAlive();
    try {
      return step();
    } catch (error) {
      this.#failure = error;
      this.#held.clear();
      throw error;
    }
  }

  protected checkAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #receive(name: string, body: Bytes): Item[] {
    const phase = parsePhase(name);
    if (phase === null || phase.side !== this.#peer) {
      throw new RemoteProtocolError("the mailbox has a message that belongs to no phase");
    }
    if (phase.number < this.#due || this.#held.has(phase.number)) return [];
    if (body.length > MAX_BODY) {
      throw new RemoteProtocolError(`the message ${name} has ${body.length} bytes`);
    }
    this.#held.set(phase.number, body);
    const items: Item[] = [];
    for (let due = this.#held.get(this.#due); due !== undefined; due = this.#held.get(this.#due)) {
      const now: Phase = { side: this.#peer, number: this.#due };
      this.#held.delete(this.#due);
      this.#due += 1;
      items.push(...this.#checked(now, this.#opened(now, due)));
    }
    return items;
  }

  /** Return the plaintext of the message that is due. */
  #opened(phase: Phase, body: Bytes): Bytes {
    if (this.#isConfirmed) return this.#open(phase, body);
    if (phase.side === "a" && this.keys === null) {
      throw new RemoteProtocolError(`the message ${phaseName(phase)} arrived before its time`);
    }
    checkHead(phase, body);
    const plaintext = this.#open(phase, this.sealed(phase, body));
    this.#isConfirmed = true;
    return plaintext;
  }

  #open(phase: Phase, sealed: Bytes): Bytes {
    const { aToB, bToA } = this.#agreed();
    return openSealed(phase.side === "a" ? aToB : bToA, phase, sealed);
  }

  protected sealNext(items: readonly Item[]): readonly [phase: Phase, sealed: Bytes] {
    const { aToB, bToA } = this.#agreed();
    const phase: Phase = { side: this.#own, number: this.#next };
    const sent = this.#sentCandidates + candidates(items);
    if (!fits(phase, items) || sent > MAX_CANDIDATES) {
      throw new LocalProtocolError(`these items do not belong in the message ${phaseName(phase)}`);
    }
    if (phase.number >= MAX_PHASES) {
      throw new LocalProtocolError(`there are no more than ${MAX_PHASES} messages`);
    }
    const sealed = seal(this.#own === "a" ? aToB : bToA, phase, encode(items));
    this.#next += 1;
    this.#sentCandidates = sent;
    return [phase, sealed];
  }

  /** Return the items of a message, which has been authenticated. */
  #checked(phase: Phase, plaintext: Bytes): Item[] {
    const items = decode(plaintext);
    this.#receivedCandidates += candidates(items);
    if (!fits(phase, items) || this.#receivedCandidates > MAX_CANDIDATES) {
      throw new RemoteProtocolError(
        `the message ${phaseName(phase)} has items that do not belong there`,
      );
    }
    return items;
  }

  #agreed(): Keys {
    if (this.keys === null) {
      throw new LocalProtocolError("nothing can be sealed before there is a key");
    }
    return this.keys;
  }
}

/** What both sides of a code have, in the first meeting. */
abstract class CodeSide extends Side {
  /** The key of a second meeting (again.ts); to be used after `isConfirmed`. */
  again: Bytes = new Uint8Array();

  protected derive(isk: Bytes): void {
    const { again, ...keys } = derive(isk);
    this.again = again;
    this.keys = keys;
  }
}

/** The side that shows the code. It accepts one guess. */
export class Allocator extends CodeSide {
  /** Phase and body of the message that waits in the mailbox; it contains no secret. */
  readonly first: Message;
  readonly #sid: Bytes;
  readonly #scalar: Bytes;
  readonly #sent: Sent;

  /**
   * `words` of the code, joined by hyphens, without number and host; `number` of the code, in
   * digits.
   */
  constructor(words: string, number: string, random = systemRandom) {
    super("a");
    this.#sid = random(SID_SIZE);
    this.#scalar = random(SCALAR_SIZE);
    const point = generator(new TextEncoder().encode(words), channel(number), this.#sid);
    this.#sent = { share: scalarMult(this.#scalar, point), data: HEAD };
    this.first = ["a0", concat(this.#sent.data, this.#sid, this.#sent.share)];
  }

  /**
   * Return the message by which the joiner fails at once. It is for the mailbox from which the
   * message came that `received` refused. It contains no secret: the joiner could see from the
   * missing answer, too, that its guess was wrong.
   *
   * Throws LocalProtocolError if `received` has not thrown AuthenticationFailed, or a1 was sealed
   * before.
   */
  refusal(): Message {
    if (!this.mayRefuse) {
      throw new LocalProtocolError("only a message that is not authentic is refused, before a1");
    }
    return ["a1", HEAD];
  }

  protected override sealed(phase: Phase, body: Bytes): Bytes {
    if (!isSealedSize(body.length - B0_SEALED)) throw wrongSize(phase, body);
    const theirs = { share: body.slice(HEAD_SIZE, B0_TAG), data: body.slice(0, HEAD_SIZE) };
    checkReflection(this.#sent, theirs);
    const k = scalarMult(this.#scalar, theirs.share);
    this.#scalar.fill(0);
    const isk = sessionKey(this.#sid, k, this.#sent, theirs);
    if (!isTag(body.slice(B0_TAG, B0_SEALED), this.#sid, isk, theirs)) {
      throw new AuthenticationFailed(
        "the other side entered other words, so this code is used up",
        "give the other side the new code; a wrong code can also be a guess",
      );
    }
    this.tag = confirmationTag(this.#sid, isk, this.#sent);
    this.derive(isk);
    return body.slice(B0_SEALED);
  }
}

/** The side that enters the code. It makes one guess. */
export class Joiner extends CodeSide {
  readonly #words: Bytes;
  readonly #channel: Bytes;
  readonly #scalar: Bytes;
  #sid: Bytes = new Uint8Array();
  #isk: Bytes = new Uint8Array();
  #theirs: Sent = { share: new Uint8Array(), data: new Uint8Array() };

  /**
   * `words` of the code, joined by hyphens, without number and host; `number` of the code, in
   * digits.
   */
  constructor(words: string, number: string, random = systemRandom) {
    super("b");
    this.#words = new TextEncoder().encode(words);
    this.#channel = channel(number);
    this.#scalar = random(SCALAR_SIZE);
  }

  /**
   * Return the answer to the first message of the allocator. `items` are an offer, and what follows
   * it; only the holder of the words can open it.
   *
   * Throws RemoteProtocolError if the message breaks a rule, IncompatibleVersion for another
   * version, LocalProtocolError if it was called before or the items are not valid.
   */
  join(a0: Bytes, items: readonly Item[]): Message {
    this.checkAlive();
    if (this.keys !== null) throw new LocalProtocolError("a joiner makes one guess");
    return this.attempt(() => this.#join(a0, items));
  }

  #join(a0: Bytes, items: readonly Item[]): Message {
    const phase: Phase = { side: "a", number: 0 };
    checkHead(phase, a0);
    if (a0.length !== A0_SIZE) throw wrongSize(phase, a0);
    this.#sid = a0.slice(HEAD_SIZE, HEAD_SIZE + SID_SIZE);
    this.#theirs = { share: a0.slice(HEAD_SIZE + SID_SIZE), data: a0.slice(0, HEAD_SIZE) };
    const point = generator(this.#words, this.#channel, this.#sid);
    const ours = { share: scalarMult(this.#scalar, point), data: HEAD };
    checkReflection(ours, this.#theirs);
    const k = scalarMult(this.#scalar, this.#theirs.share);
    this.#scalar.fill(0);
    this.#isk = sessionKey(this.#sid, k, this.#theirs, ours);
    this.derive(this.#isk);
    const tag = confirmationTag(this.#sid, this.#isk, ours);
    const [own, sealed] = this.sealNext(items);
    return [phaseName(own), concat(ours.data, ours.share, tag, sealed)];
  }

  protected override sealed(phase: Phase, body: Bytes): Bytes {
    if (body.length === HEAD_SIZE) {
      throw new WrongWords(
        "the words of the code are wrong, which uses it up",
        "ask the other side for its new code",
      );
    }
    if (!isSealedSize(body.length - A1_SEALED)) throw wrongSize(phase, body);
    if (!isTag(body.slice(HEAD_SIZE, A1_SEALED), this.#sid, this.#isk, this.#theirs)) {
      throw new AuthenticationFailed(
        "the other side does not have the words of this code",
        "ask it for a new code; the server between the two sides may be hostile",
      );
    }
    return body.slice(A1_SEALED);
  }
}

/** Return the CI of CPace. */
function channel(number: string): Bytes {
  return lvCat(ascii("dcsend short code 1"), ascii(APP_ID), ascii(number));
}

/** Check the version; the flags are not used yet. */
export function checkHead(phase: Phase, body: Bytes): void {
  if (body.length < HEAD_SIZE) throw wrongSize(phase, body);
  if (body[0] !== VERSION) {
    throw new IncompatibleVersion(
      `the other side has version ${body[0]} of short codes, this page version ${VERSION}`,
      "reload the page, or get the one of a newer dcsend",
    );
  }
}

/** Refuse this side's own share, with which an attacker could return its tag, too. */
function checkReflection(own: Sent, theirs: Sent): void {
  if (isSamePoint(own.share, theirs.share)) {
    throw new RemoteProtocolError("the mailbox returned the share of this side");
  }
}

function wrongSize(phase: Phase, body: Bytes): RemoteProtocolError {
  return new RemoteProtocolError(`the message ${phaseName(phase)} has ${body.length} bytes`);
}

function candidates(items: readonly Item[]): number {
  return items.filter(({ kind }) => kind === "candidate").length;
}

/** Return whether the description is where it belongs: first in b0 and a1, nowhere else. */
function fits(phase: Phase, items: readonly Item[]): boolean {
  const [first] = items;
  const descriptions = items.filter(({ kind }) => kind === "description").length;
  const wanted = { b0: "offer", a1: "answer" }[phaseName(phase)];
  if (wanted === undefined || (wanted === "answer" && first?.kind === "bye")) {
    return descriptions === 0;
  }
  return descriptions === 1 && first?.kind === "description" && first.description.type === wanted;
}
