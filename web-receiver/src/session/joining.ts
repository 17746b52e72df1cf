/**
 * The side that has entered a short code: finds the allocator, proves the words, connects. As
 * `dcsend/session/joining.py`, except that a page finds no device of its network by mDNS.
 *
 *     code ─► offer ─► mailbox on a server ─► a0 ─► b0 ─► a1 ─► connected
 *                                        lost, or loaded again ─► meeting_again
 */
import { ConnectionFailed, DcsendError, RemoteProtocolError, WrongWords } from "../errors.ts";
import type { Connection, Link } from "../peers/contract.ts";
import type { Bytes } from "../rendezvous/bytes.ts";
import {
  join as joinMailbox,
  type MailboxOptions,
  type ServerMailbox,
} from "../rendezvous/client.ts";
import { Joiner } from "../rendezvous/handshake.ts";
import type { IceServer } from "../rendezvous/ice_servers.ts";
import type { Item } from "../rendezvous/items.ts";
import type { Mailbox } from "../rendezvous/mailbox.ts";
import type { Server } from "../rendezvous/servers.ts";
import type { ShortCode } from "../signaling/shortcode.ts";
import { iceServers } from "./ice_settings.ts";
import { lastingAgain } from "./meeting_again.ts";
import {
  type Attempt,
  aborted,
  answered,
  before,
  connect,
  described,
  type Note,
  refusal,
  sayBye,
} from "./trickling.ts";

/**
 * Seconds from an open mailbox to the allocator's message, which has been there since its code was
 * shown. The stock server makes a mailbox for any number, so an unknown number has no other sign.
 */
const POSTED = 2;
/** Further seconds for a server that has not answered: only an answer shows that there is no code. */
const SLOW = 3;
/** Seconds from our message to the allocator's confirmation; its program imports aiortc meanwhile. */
export const ANSWER = 15;

/** Message and hint for the code of a link that does not work. */
const LINK = [
  "the code in this link was used up, or is wrong",
  "ask the other side for a new link",
] as const;

/** What both sides of a short code need. */
export interface ShortCodeOptions {
  /** Where the mailbox is. */
  readonly server: Server;
  /** The STUN and TURN servers that a person has named, as they were typed. */
  readonly servers: string;
  /**
   * Begins ICE as the side that makes the offer, or not; with the servers that are offered, and with
   * a certificate, or a new one.
   */
  readonly open: (
    offers: boolean,
    offered: readonly IceServer[],
    certificate?: RTCCertificate,
  ) => Attempt;
  /** Shows a note. */
  readonly note: Note;
  /** Options of the mailbox, for tests. */
  readonly mailbox?: MailboxOptions;
}

/** Options of `join`. */
export interface JoinOptions extends ShortCodeOptions {
  /** Called when the code is used up by the guess that is being sent. */
  readonly spent: () => void;
  /** Of all connections with the other side; undefined where the browser makes none. */
  readonly certificate: RTCCertificate | undefined;
  /** Whether the code came with a link, so that it was not typed. */
  readonly isLink?: boolean;
}

/**
 * Connect to the side that shows `code`, until `signal` aborts.
 *
 * Rejects with AuthenticationFailed if the words are wrong, or the other side is not the allocator;
 * with another DcsendError if the code does not exist, or there is no path.
 */
export async function join(
  code: ShortCode,
  options: JoinOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const { server, servers, note, certificate } = options;
  const attempt = options.open(true, [], certificate);
  // A page that is closed after the claim costs the code, so all that takes time is done before it.
  const ready = attempt.prepare().catch(() => undefined);
  const opening = joinMailbox(server, code.number, { ...options.mailbox, signal, ready });
  opening.catch(() => attempt.close());
  const mailbox = await opening;
  let leave = () => {};
  try {
    if (mailbox.motd !== "") note(`the server ${server.name} reports: ${mailbox.motd}`);
    const gone = aborted(signal);
    attempt.addServers(iceServers([], mailbox.iceServers));
    const offer = attempt.describe();
    offer.catch(() => undefined);
    const unknown = options.isLink ? new ConnectionFailed(...LINK) : notFound(code, server);
    const first = await Promise.race([message(mailbox, server, unknown), gone]);
    const joiner = new Joiner(code.secret(), code.number);
    const joined = guess(mailbox, attempt, first, described("offer", await offer), joiner, options);
    // Otherwise the allocator shows no new code until its attempt has failed.
    leave = () => sayBye(mailbox, joiner, "interrupted");
    signal.addEventListener("abort", leave);
    const [link, fingerprint] = await Promise.race([joined, gone]);
    void mailbox.close("happy");
    const reunion = { key: joiner.again, server, servers, fingerprint };
    return lastingAgain(link, reunion, options);
  } catch (error) {
    attempt.close();
    void mailbox.close("errory");
    throw options.isLink && error instanceof WrongWords ? new WrongWords(...LINK) : error;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Return the message that waits in the mailbox; reject with `unknown` if there is none. */
async function message(mailbox: ServerMailbox, server: Server, unknown: DcsendError) {
  const found = posted(mailbox);
  try {
    return await before(POSTED, found, unknown);
  } catch (error) {
    if (error !== unknown || mailbox.isCurrent) throw error;
  }
  const slow = `the connection to the server ${server.name} is slow or lost`;
  return before(SLOW, found, new ConnectionFailed(slow, "try again: the code is not used up"));
}

/** Return the message that waits in the mailbox. */
async function posted(mailbox: Mailbox): Promise<Bytes> {
  for (;;) {
    const [phase, body] = await mailbox.next();
    if (phase === "a0") return body;
  }
}

/** Send our share and the offer; connect when the answer is there. */
async function guess(
  mailbox: Mailbox,
  attempt: Attempt,
  first: Bytes,
  offer: Item,
  joiner: Joiner,
  { spent, note }: JoinOptions,
): Promise<[Link, fingerprint: Bytes]> {
  const message = joiner.join(first, [offer]);
  spent();
  mailbox.add(...message);
  const late = new ConnectionFailed(
    "the other side does not answer the code",
    "ask the other side for a new code",
  );
  const [answer, ...early] = await before(ANSWER, answered(mailbox, joiner), late);
  if (answer?.kind === "bye") throw refusal(answer);
  if (answer?.kind !== "description") {
    throw new RemoteProtocolError("the other side has sent no answer");
  }
  const { description } = answer;
  try {
    const link = await connect(attempt, description, mailbox, joiner, early, note);
    return [link, description.fingerprint];
  } catch (error) {
    if (error instanceof DcsendError) sayBye(mailbox, joiner, "error", error.message);
    throw error;
  }
}

function notFound(code: ShortCode, server: Server): DcsendError {
  return new ConnectionFailed(
    `there is no code with the number ${code.number} on the server ${server.name}`,
    "check the number with the other side; it may have a new code by now",
  );
}
