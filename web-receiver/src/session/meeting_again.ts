/**
 * The two sides of a short code meet again after their connection was lost, or after this page was
 * loaded again. As `dcsend/session/meeting_again.py`, except that a page serves no mailbox.
 *
 *     joiner:    the newest a0 ─► b0 ─► a1 ─► connects with the same certificate ─► `lasting`
 *                  ▲                └ another a0 before a1, or no path ─┐
 *                  └────────────────────────────────────────────────────┘
 *     allocator: a0 ─► b0 ─► a1 ─┬─► connects with the same certificate ─► `lasting`
 *                 ▲              └─► another a0, whose b0 ends this attempt ─┐
 *                 └──────────────────────────────────────────────────────────┘
 */
import { ConnectionFailed, DcsendError, RemoteProtocolError } from "../errors.ts";
import type { Link } from "../peers/contract.ts";
import { AgainAllocator, AgainJoiner, AgainKeys, tagOf } from "../rendezvous/again.ts";
import type { Bytes } from "../rendezvous/bytes.ts";
import { meetAgain, type ServerMailbox } from "../rendezvous/client.ts";
import type { Message, Side } from "../rendezvous/handshake.ts";
import type { Item } from "../rendezvous/items.ts";
import { digits, tagged } from "../rendezvous/wire.ts";
import { formatSdp } from "../signaling/sdp.ts";
import type { JoinOptions } from "./joining.ts";
import { LastingConnection } from "./lasting.ts";
import { type Attempt, aborted, answered, before, connect, described, MID } from "./trickling.ts";
import { Bell, later, race } from "./waiting.ts";
import type { Redial, Reunion } from "./ways_back.ts";

/** Seconds in one mailbox, after which another one is opened. */
const LONGEST = 20;
/** Seconds of one attempt; of an allocator, from its answer on. */
export const ATTEMPT = 10;
/** Seconds from an a0 to its answer: the mailbox first has all earlier ones. */
const SETTLED = 0.1;
/** Seconds between two attempts, at least. */
const PAUSE = 1;
const HINT = "is dcsend still running there?";

/** What a second meeting needs. */
type Options = Pick<JoinOptions, "open" | "certificate" | "mailbox">;

/** Return a connection by a short code that goes on over others, of which `link` is the first. */
export function lastingAgain(link: Link, reunion: Reunion, options: Options): LastingConnection {
  return lasting(link, meetingAgain(reunion, options), reunion, options);
}

/** Return a connection over which a page that was loaded again begins anew; rejects as a `Redial`. */
export async function begunAgain(
  reunion: Reunion,
  options: Options,
  signal: AbortSignal,
): Promise<LastingConnection> {
  const redial = meetingAgain(reunion, options);
  const link = await redial(LONGEST, signal);
  // The joiner has not lost its state, and goes on as if this page had not, either.
  if (reunion.shows) await before(ATTEMPT, link.channels.control.receive(), silent());
  return lasting(link, redial, reunion, options, true);
}

function silent(): ConnectionFailed {
  return new ConnectionFailed("the other side does not connect again", HINT);
}

function lasting(
  link: Link,
  redial: Redial,
  reunion: Reunion,
  { certificate }: Options,
  isAnew = false,
): LastingConnection {
  const ticket = certificate === undefined ? null : { code: "", certificate, reunion };
  return new LastingConnection(link, redial, ticket, isAnew, !reunion.shows);
}

/** Return how this page connects again; a call ends after `LONGEST`, and at once beside another. */
function meetingAgain(reunion: Reunion, options: Options): Redial {
  const { key, server, fingerprint, shows = false } = reunion;
  const again = new AgainKeys(key);
  let isMeeting = false;
  const begin = async (signal: AbortSignal) => {
    const letter = shows ? "a" : "b";
    const mailbox = await meetAgain(server, again, letter, { ...options.mailbox, signal });
    const open = () => options.open(!shows, mailbox.iceServers, options.certificate);
    const meeting = new Meeting(mailbox, again, open, digits(fingerprint));
    const meet = shows ? meeting.answer() : meeting.join();
    try {
      return await before(LONGEST, race(meet, meeting.read(), aborted(signal)), silent());
    } finally {
      meeting.close();
      void mailbox.close("happy");
    }
  };
  return async (_, signal) => {
    // Two joiners would answer the same a0.
    if (isMeeting) throw new ConnectionFailed("there is an attempt already");
    isMeeting = true;
    return begin(signal).finally(() => {
      isMeeting = false;
    });
  };
}

/** The messages of one attempt. */
class Exchange {
  readonly tag: string;
  readonly party: Side;
  readonly #mailbox: ServerMailbox;
  readonly #messages: Message[] = [];
  readonly #bell = new Bell();
  #isPast = false;

  constructor(mailbox: ServerMailbox, party: Side, a0: Bytes) {
    this.#mailbox = mailbox;
    this.party = party;
    this.tag = tagOf(a0);
  }

  /** As `Mailbox.add`. */
  add(phase: string, body: Bytes): void {
    this.#mailbox.add(`${phase}.${this.tag}`, body);
  }

  /** As `Mailbox.next`; rejects if the other side waits for another attempt. */
  async next(): Promise<Message> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#isPast) throw new ConnectionFailed("the other side has not read the offer");
      await this.#bell.wait();
    }
  }

  /** Take a message. */
  put(message: Message): void {
    this.#messages.push(message);
    this.#bell.ring();
  }

  /** Note that the other side waits for another attempt: without its answer, this one is past. */
  pass(): void {
    this.#isPast = !this.party.isConfirmed;
    this.#bell.ring();
  }
}

/** The attempts in one mailbox, one after the other. */
class Meeting {
  readonly #mailbox: ServerMailbox;
  readonly #again: AgainKeys;
  readonly #open: () => Attempt;
  readonly #fingerprint: string;
  /** The a0 that came last and has no answer. */
  #newest: Bytes | null = null;
  readonly #bell = new Bell();
  /** By their tags. */
  readonly #exchanges = new Map<string, Exchange>();
  #attempt: Attempt | null = null;
  #isOver = false;

  /** `open` begins ICE; `fingerprint`: of the other side, in hexadecimal digits. */
  constructor(mailbox: ServerMailbox, again: AgainKeys, open: () => Attempt, fingerprint: string) {
    this.#mailbox = mailbox;
    this.#again = again;
    this.#open = open;
    this.#fingerprint = fingerprint;
  }

  /** Pass messages on until the mailbox is lost. */
  async read(): Promise<never> {
    for (;;) {
      const [name, body] = await this.#mailbox.next();
      const [phase, tag] = tagged(name) ?? [];
      if (phase === undefined || tag === undefined) continue;
      if (phase === "a0" && tag === tagOf(body)) {
        this.#newest = body;
        for (const one of this.#exchanges.values()) one.pass();
        this.#bell.ring();
      } else this.#exchanges.get(tag)?.put([phase, body]);
    }
  }

  /** Attempt to connect, as the joiner, until there is a connection. */
  async join(): Promise<Link> {
    for (;;) {
      while (this.#newest === null) await this.#bell.wait();
      const pause = later(PAUSE);
      await later(SETTLED);
      const a0 = this.#newest;
      this.#newest = null;
      // An earlier meeting, also of this page before it was loaded again, may have answered it.
      if (this.#mailbox.has(`b0.${tagOf(a0)}`)) continue;
      try {
        return await before(ATTEMPT, this.#connect(a0), slow());
      } catch (error) {
        this.#failed(error);
      }
      await pause;
    }
  }

  /** Wait for the joiner, as the allocator, again and again until there is a connection. */
  answer(): Promise<Link> {
    return new Promise((resolve, reject) => {
      this.#answer(resolve).catch(reject);
    });
  }

  async #answer(connected: (link: Link) => void): Promise<void> {
    while (!this.#isOver) {
      const party = new AgainAllocator(this.#again);
      const exchange = this.#exchange(party, party.first[1]);
      exchange.add(...party.first);
      try {
        const [offer, ...early] = await answered(exchange, party);
        const theirs = this.#checked(offer);
        const attempt = this.#begin();
        const sdp = formatSdp({ ...theirs, candidates: [] }, MID, false);
        // The joiner takes the next a0 for the end of an attempt without an answer.
        exchange.add(...party.seal([described("answer", await attempt.describe(sdp))]));
        const link = connect(attempt, theirs, exchange, party, early, () => {});
        before(ATTEMPT, link, slow()).then(connected, () => attempt.close());
      } catch (error) {
        this.#failed(error);
      }
      await later(PAUSE / 4);
    }
  }

  /** End the present attempt, and begin no other one. */
  close(): void {
    this.#isOver = true;
    this.#attempt?.close();
  }

  /** Begin ICE; the attempt before ends. */
  #begin(): Attempt {
    if (this.#isOver) throw new ConnectionFailed("the meeting is over");
    this.#attempt?.close();
    this.#attempt = this.#open();
    return this.#attempt;
  }

  /** Whatever the mailbox contains, the next attempt may succeed. */
  #failed(error: unknown): void {
    if (!(error instanceof DcsendError)) throw error;
    this.#attempt?.close();
  }

  #exchange(party: Side, a0: Bytes): Exchange {
    const exchange = new Exchange(this.#mailbox, party, a0);
    this.#exchanges.set(exchange.tag, exchange);
    return exchange;
  }

  /** Return the description of the other side. */
  #checked(item: Item | undefined) {
    if (
      item?.kind !== "description" ||
      digits(item.description.fingerprint) !== this.#fingerprint
    ) {
      throw new RemoteProtocolError("the other side has sent another certificate");
    }
    return item.description;
  }

  async #connect(a0: Bytes): Promise<Link> {
    const attempt = this.#begin();
    const offer = described("offer", await attempt.describe());
    const party = new AgainJoiner(this.#again);
    const exchange = this.#exchange(party, a0);
    exchange.add(...party.join(a0, [offer]));
    const [answer, ...early] = await answered(exchange, party);
    return connect(attempt, this.#checked(answer), exchange, party, early, () => {});
  }
}

function slow(): ConnectionFailed {
  return new ConnectionFailed("the attempt takes too long");
}
