/**
 * The second meeting of two sides that a short code has connected, as its joiner, sans-I/O. As
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
import { checkHead, HEAD_SIZE, type Message, Side, systemRandom, VERSION } from "./handshake.ts";
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
  /** What identifies the joiner in the mailbox. */
  readonly side: string;
  readonly #key: Bytes;

  /** `key`: as `Joiner.again`. */
  constructor(key: Bytes) {
    this.#key = key;
    this.mailbox = digits(expand(key, "again mailbox", 16));
    this.side = digits(expand(key, "again side b", 5));
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

/** The side that has entered the code, in one attempt. */
export class AgainJoiner extends Side {
  readonly #again: AgainKeys;
  readonly #head: Bytes;

  constructor(again: AgainKeys, random = systemRandom) {
    super("b", 1, 0);
    this.#again = again;
    this.#head = concat(Uint8Array.of(VERSION, 0), random(NONCE_SIZE));
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

  /** As `Joiner.received`. */
  received(phase: string, body: Bytes): Item[] {
    return this.attempt(() => this.receive(phase, body));
  }

  /** As `Joiner.seal`. */
  seal(items: readonly Item[]): Message {
    this.checkAlive();
    const [phase, body] = this.sealNext(items);
    return [phaseName(phase), body];
  }

  protected override opened(phase: Phase, body: Bytes): Bytes {
    if (this.keys === null) {
      throw new RemoteProtocolError(`the message ${phaseName(phase)} arrived before its time`);
    }
    if (phase.number > 1) return this.open(phase, body);
    checkHead(phase, body);
    const plaintext = this.open(phase, body.slice(HEAD_SIZE));
    this.confirmed = true;
    return plaintext;
  }
}
