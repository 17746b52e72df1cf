/**
 * The second meeting of two sides that a short code has connected, sans-I/O. As
 * `dcsend/rendezvous/again.py`.
 *
 *     allocator                                          joiner
 *     a0 = version, flags, nonce             ─────►
 *                                            ◄─────      b0 = version, flags, nonce, sealed offer
 *     a1 = version, flags, sealed answer     ─────►
 *     a2, a3, …: sealed                      ◄────►      b1, b2, …: sealed
 *
 * Names and keys are derived from the key of the short code, so that there is no guess and no claim.
 * Both nonces are in the keys of an *attempt*: what was sealed for another one can't be opened.
 *
 * Must not import anything of src/ but `errors` and `rendezvous`.
 */
import { LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import { type Bytes, concat } from "./bytes.ts";
import {
  checkHead,
  HEAD_SIZE,
  type Message,
  type Random,
  Side,
  systemRandom,
  VERSION,
} from "./handshake.ts";
import type { Item } from "./items.ts";
import { expand, type Keys, type Phase, phaseName } from "./sealing.ts";
import { digits } from "./wire.ts";

const NONCE_SIZE = 16;
/** Bytes of a0; in b0, where the sealed message begins. */
const A0_SIZE = HEAD_SIZE + NONCE_SIZE;
/** Bytes of the allocator's nonce that name the attempt in the mailbox. */
const TAG_SIZE = 8;

/** What both sides derive from the key of their short code. */
export class AgainKeys {
  /** Name of the mailbox on a server, and of that which the allocator serves. */
  readonly mailbox: string;
  /** What identifies allocator and joiner in the mailbox. */
  readonly sides: Readonly<Record<"a" | "b", string>>;
  readonly #key: Bytes;

  /** `key`: as `Joiner.again`. */
  constructor(key: Bytes) {
    this.#key = key;
    this.mailbox = digits(expand(key, "again mailbox", 16));
    const side = (letter: string) => digits(expand(key, `again side ${letter}`, 5));
    this.sides = { a: side("a"), b: side("b") };
  }

  /** Return the keys of one attempt, by what is not sealed in a0 and b0. */
  keys(a0: Bytes, b0: Bytes): Keys {
    const salt = concat(a0.slice(0, A0_SIZE), b0.slice(0, A0_SIZE));
    const key = (purpose: string) => expand(this.#key, `again ${purpose}`, undefined, salt);
    return { aToB: key("a>b"), bToA: key("b>a") };
  }
}

/** Return what names an attempt in the mailbox. */
export function tagOf(a0: Bytes): string {
  return digits(a0.subarray(HEAD_SIZE, HEAD_SIZE + TAG_SIZE));
}

/** Return the first bytes of a side, with its nonce. */
function newHead(random: Random): Bytes {
  return concat(Uint8Array.of(VERSION, 0), random(NONCE_SIZE));
}

/** The side that has shown the code, in one attempt. */
export class AgainAllocator extends Side {
  /** As `Allocator.first`. */
  readonly first: Message;
  readonly #again: AgainKeys;

  constructor(again: AgainKeys, random = systemRandom) {
    super("a");
    this.#again = again;
    this.first = ["a0", newHead(random)];
  }

  protected override sealed(_: Phase, body: Bytes): Bytes {
    this.keys = this.#again.keys(this.first[1], body);
    return body.slice(A0_SIZE);
  }
}

/** The side that has entered the code, in one attempt. */
export class AgainJoiner extends Side {
  readonly #again: AgainKeys;
  readonly #head: Bytes;

  constructor(again: AgainKeys, random = systemRandom) {
    super("b");
    this.#again = again;
    this.#head = newHead(random);
  }

  /** As `Joiner.join`. */
  join(a0: Bytes, items: readonly Item[]): Message {
    this.checkAlive();
    if (this.keys !== null) throw new LocalProtocolError("an attempt has one offer");
    return this.attempt(() => {
      checkHead({ side: "a", number: 0 }, a0);
      if (a0.length !== A0_SIZE) {
        throw new RemoteProtocolError(`the message a0 has ${a0.length} bytes`);
      }
      this.keys = this.#again.keys(a0, this.#head);
      const [phase, sealed] = this.sealNext(items);
      return [phaseName(phase), concat(this.#head, sealed)];
    });
  }

  protected override sealed(_: Phase, body: Bytes): Bytes {
    return body.slice(HEAD_SIZE);
  }
}
