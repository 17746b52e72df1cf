/**
 * The two sides of a short code meet again after their connection was lost, or after this page was
 * loaded again. As the joiner of `dcsend/session/meeting_again.py`.
 *
 *     the newest a0 ─► b0 ─► a1 ─► connects with the same certificate ─► `lasting`
 *       ▲                └ another a0 before a1, or no path ─┐
 *       └────────────────────────────────────────────────────┘
 */
import { ConnectionFailed, DcsendError, RemoteProtocolError } from "../errors.ts";
import type { Link } from "../peers/contract.ts";
import { AgainJoiner, AgainKeys, tagOf } from "../rendezvous/again.ts";
import type { Bytes } from "../rendezvous/bytes.ts";
import { joinAgain, type ServerMailbox } from "../rendezvous/client.ts";
import type { Message } from "../rendezvous/handshake.ts";
import { digits, tagged } from "../rendezvous/wire.ts";
import type { JoinOptions } from "./joining.ts";
import { LastingConnection, type Redial, type Reunion } from "./lasting.ts";
import { type Attempt, aborted, answered, before, connect, described } from "./trickling.ts";
import { Bell, later, race } from "./waiting.ts";

/** Seconds in one mailbox, after which another one is opened. */
const LONGEST = 20;
/** Seconds of one attempt. */
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
  return lasting(await redial(LONGEST, signal), redial, reunion, options, true);
}

function lasting(
  link: Link,
  redial: Redial,
  reunion: Reunion,
  { certificate }: Options,
  isAnew = false,
): LastingConnection {
  const ticket = certificate === undefined ? null : { code: "", certificate, reunion };
  return new LastingConnection(link, redial, ticket, isAnew);
}

/** Return how this page connects again; a call ends after `LONGEST`, and at once beside another. */
function meetingAgain({ key, server, fingerprint }: Reunion, options: Options): Redial {
  const again = new AgainKeys(key);
  let isMeeting = false;
  const meet = async (signal: AbortSignal) => {
    const mailbox = await joinAgain(server, again, { ...options.mailbox, signal });
    const open = () => options.open(true, mailbox.iceServers, options.certificate);
    const meeting = new Meeting(mailbox, again, open, digits(fingerprint));
    const late = new ConnectionFailed("the other side does not connect again", HINT);
    try {
      return await before(LONGEST, race(meeting.run(), meeting.read(), aborted(signal)), late);
    } finally {
      meeting.close();
      void mailbox.close("happy");
    }
  };
  return async (_, signal) => {
    // Two would answer the same offer.
    if (isMeeting) throw new ConnectionFailed("there is an attempt already");
    isMeeting = true;
    return meet(signal).finally(() => {
      isMeeting = false;
    });
  };
}

/** The messages of one attempt. */
class Exchange {
  readonly tag: string;
  readonly party: AgainJoiner;
  readonly #mailbox: ServerMailbox;
  readonly #messages: Message[] = [];
  readonly #bell = new Bell();
  #isPast = false;

  constructor(mailbox: ServerMailbox, party: AgainJoiner, a0: Bytes) {
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
  #exchange: Exchange | null = null;
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
      if (phase === "a0" && tag === tagOf(body)) {
        this.#newest = body;
        this.#exchange?.pass();
        this.#bell.ring();
      } else if (phase !== undefined && tag === this.#exchange?.tag) {
        this.#exchange?.put([phase, body]);
      }
    }
  }

  /** Attempt to connect until there is a connection. */
  async run(): Promise<Link> {
    for (;;) {
      while (this.#newest === null) await this.#bell.wait();
      const pause = later(PAUSE);
      await later(SETTLED);
      const a0 = this.#newest;
      this.#newest = null;
      // An earlier meeting, also of this page before it was loaded again, may have answered it.
      if (this.#mailbox.has(`b0.${tagOf(a0)}`)) continue;
      try {
        const late = new ConnectionFailed("the attempt takes too long");
        return await before(ATTEMPT, this.#connect(a0), late);
      } catch (error) {
        // Whatever the mailbox contains, the next attempt may succeed.
        if (!(error instanceof DcsendError)) throw error;
        this.#attempt?.close();
      }
      await pause;
    }
  }

  /** End the present attempt, and begin no other one. */
  close(): void {
    this.#isOver = true;
    this.#attempt?.close();
  }

  async #connect(a0: Bytes): Promise<Link> {
    if (this.#isOver) throw new ConnectionFailed("the meeting is over");
    const attempt = this.#open();
    this.#attempt = attempt;
    const offer = described("offer", await attempt.describe());
    const party = new AgainJoiner(this.#again);
    const exchange = new Exchange(this.#mailbox, party, a0);
    this.#exchange = exchange;
    exchange.add(...party.join(a0, [offer]));
    const [answer, ...early] = await answered(exchange, party);
    if (answer?.kind !== "description") throw new RemoteProtocolError("there is no answer");
    const { description } = answer;
    if (digits(description.fingerprint) !== this.#fingerprint) {
      throw new RemoteProtocolError("the other side has sent another certificate");
    }
    return connect(attempt, description, exchange, party, early, () => {});
  }
}
