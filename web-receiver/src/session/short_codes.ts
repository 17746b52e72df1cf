/**
 * The short codes of a page: one after the other, one guess each. As
 * `dcsend/session/short_codes.py`, except that a page has no dial code and serves no mailbox.
 *
 *     number ─► shown ─► first message ─┬─ right words ─► connects ─► the run goes on
 *       ▲                               │                └─ no path, or slow ─────────┐
 *       └─────────── new words ◄────────┴─ wrong words; the third time only if a person agrees
 */
import {
  AuthenticationFailed,
  CodeExpired,
  CodeUsed,
  ConnectionFailed,
  DcsendError,
  IncompatibleVersion,
  RemoteProtocolError,
} from "../errors.ts";
import type { Connection } from "../peers/contract.ts";
import { allocate } from "../rendezvous/client.ts";
import { Allocator } from "../rendezvous/handshake.ts";
import type { Item } from "../rendezvous/items.ts";
import type { Mailbox, Mood } from "../rendezvous/mailbox.ts";
import { fitsInCode } from "../rendezvous/servers.ts";
import { formatSdp } from "../signaling/sdp.ts";
import { DEFAULT_WORDS, ShortCode } from "../signaling/shortcode.ts";
import { newWords } from "../signaling/words.ts";
import type { ShortCodeOptions } from "./joining.ts";
import { lastingAgain } from "./meeting_again.ts";
import { type Attempt, aborted, before, connect, described, MID, sayBye } from "./trickling.ts";

/** Wrong codes in a row until a person is asked whether there is to be another one. */
export const MAX_WRONG = 3;
/** Mailboxes that a server may lose in one run. It loses one if it has lost its database. */
const MAX_LOSSES = 3;
/**
 * Seconds from the answer to a joiner with the right words until the next code is shown beside its
 * attempt, which takes up to a minute if the joiner's page or program was killed.
 */
export const SLOW = 6;
/** Seconds until the codes of a run expire. */
export const EXPIRES = 3600;
const NEW_CODE = "give the other side the new code";

/** Options of `showCodes`. */
export interface ShowOptions extends ShortCodeOptions {
  /** As in `JoinOptions`. */
  readonly certificate: RTCCertificate | undefined;
  /** Shows a code; null while a new one is made. */
  readonly show: (code: string | null) => void;
  /** Called when a joiner that has the words connects. */
  readonly connecting: () => void;
  /** Asks, after wrong codes in a row, whether to show another one; resolves when it is wanted. */
  readonly confirm: () => Promise<void>;
  /** Returns words; for tests. */
  readonly words?: () => readonly string[];
}

/**
 * Show one short code after the other until a peer that has the words of one is connected, or
 * `signal` aborts.
 *
 * Rejects with CodeExpired after `EXPIRES`, and with another DcsendError if the server can't be
 * used.
 */
export function showCodes(options: ShowOptions, signal: AbortSignal): Promise<Connection> {
  const stop = new AbortController();
  const leave = () => stop.abort("interrupted");
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const expired = new CodeExpired("no device connected with the code within an hour");
  const shown = new ShortCodes(options, stop).run();
  shown.catch(() => undefined);
  return before(EXPIRES, shown, expired).finally(leave);
}

/** A code was used up by a guess that was wrong, or by a message that breaks the protocol. */
class WrongCode extends AuthenticationFailed {
  constructor(reason: unknown) {
    const isOther = reason instanceof IncompatibleVersion;
    const what = isOther
      ? "a device with another version has used the code"
      : "a wrong code was entered, which uses it";
    super(`${what} up`, NEW_CODE);
  }
}

class ShortCodes {
  readonly #options: ShowOptions;
  /** Aborted with the reason of the bye for joiners. */
  readonly #stop: AbortController;
  readonly #gone: Promise<never>;
  /** Resolves to the connection of the first attempt that succeeds. */
  readonly #connected: Promise<Connection>;
  #succeed: (connection: Connection) => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** How often the server has lost the mailbox of a code that waited. */
  #losses = 0;

  constructor(options: ShowOptions, stop: AbortController) {
    this.#options = options;
    this.#stop = stop;
    this.#gone = aborted(stop.signal);
    this.#connected = new Promise((resolve, reject) => {
      this.#succeed = resolve;
      this.#fail = reject;
    });
  }

  run(): Promise<Connection> {
    return Promise.race([this.#connected, this.#show()]);
  }

  /** Show one code after the other; attempts of earlier ones go on beside it. */
  async #show(): Promise<never> {
    const { show, note, confirm } = this.#options;
    let problem: DcsendError | null = null;
    for (let wrong = 0; ; ) {
      show(null);
      // After the code that it is about, so that it stays visible.
      const isOver = wrong === MAX_WRONG;
      if (problem !== null) note(problem.message, isOver ? "" : problem.hint);
      if (isOver) {
        await Promise.race([confirm(), this.#gone]);
        note("");
        wrong = 0;
      }
      problem = await this.#one();
      wrong = problem instanceof WrongCode ? wrong + 1 : 0;
    }
  }

  /**
   * Show one code, and connect the joiner that has it; return why the next one is to be shown. A
   * slow attempt goes on, and its error becomes a note.
   */
  async #one(): Promise<DcsendError> {
    const { server, show, note, words = () => newWords(DEFAULT_WORDS) } = this.#options;
    const { signal } = this.#stop;
    const mailbox = await allocate(server, { ...this.#options.mailbox, signal });
    let mood: Mood | null = "lonely";
    try {
      if (mailbox.motd !== "") note(`the server ${server.name} reports: ${mailbox.motd}`);
      const host = fitsInCode(server) ? server.name : "";
      const code = new ShortCode(mailbox.number, words(), host);
      const allocator = new Allocator(code.secret(), code.number);
      mailbox.add(...allocator.first);
      show(code.text());
      mailbox.watch((connected) => {
        const lost = `${server.name} can't be reached: the code does not work until it is back`;
        note(connected ? "" : lost);
      });
      const joined = this.#joined(mailbox, allocator).catch((error) => this.#lost(error));
      const result = await Promise.race([joined, this.#gone]);
      mailbox.watch(() => undefined);
      mood = result instanceof WrongCode ? "scary" : "errory";
      if (result instanceof DcsendError) return result;
      mood = null;
      this.#options.connecting();
      const attempt = this.#connect(mailbox, allocator, result);
      attempt.catch(this.#fail);
      const slow = new ConnectionFailed("the last code has not connected yet", NEW_CODE);
      const late = new Promise<DcsendError>((done) => setTimeout(done, SLOW * 1000, slow));
      const problem = await Promise.race([attempt, late]);
      if (problem === slow) void this.#report(attempt);
      return problem;
    } finally {
      if (mood !== null) void mailbox.close(mood);
    }
  }

  /** Note why a slow attempt has failed. */
  async #report(attempt: Promise<DcsendError>): Promise<void> {
    const error = await attempt.catch(() => null);
    if (error !== null && !this.#stop.signal.aborted) {
      this.#options.note(error.message, error.hint);
    }
  }

  /** Wait for the joiner; return what it has sent: its offer, and what follows it. */
  async #joined(mailbox: Mailbox, allocator: Allocator): Promise<Item[] | WrongCode> {
    for (;;) {
      const message = await mailbox.next();
      try {
        const items = allocator.received(...message);
        if (items.length > 0) return items;
      } catch (error) {
        if (!isWrong(error)) throw error;
        if (error instanceof AuthenticationFailed) mailbox.add(...allocator.refusal());
        return new WrongCode(error);
      }
    }
  }

  /** The error that a new code follows, since the server has lost this one; throws any other. */
  #lost(error: unknown): ConnectionFailed {
    const isLost = error instanceof ConnectionFailed || error instanceof CodeUsed;
    if (!isLost || ++this.#losses === MAX_LOSSES) throw error;
    return new ConnectionFailed(error.message, NEW_CODE);
  }

  /**
   * Connect the joiner, close the mailbox, and end all other attempts; return the error if that
   * fails.
   */
  async #connect(
    mailbox: Mailbox,
    allocator: Allocator,
    [theirs, ...early]: readonly Item[],
  ): Promise<DcsendError> {
    const { open, note, server, servers, certificate } = this.#options;
    const { signal } = this.#stop;
    let attempt: Attempt | undefined;
    let connection: Connection;
    let mood: Mood = "errory";
    const leave = () => {
      sayBye(mailbox, allocator, signal.reason);
      attempt?.close();
    };
    signal.addEventListener("abort", leave);
    try {
      if (theirs?.kind !== "description") {
        throw new RemoteProtocolError("the other side has sent no offer");
      }
      attempt = open(false, mailbox.iceServers, certificate);
      const offer = formatSdp({ ...theirs.description, candidates: [] }, MID, false);
      mailbox.add(...allocator.seal([described("answer", await attempt.describe(offer))]));
      const { description } = theirs;
      const link = await connect(attempt, description, mailbox, allocator, early, note);
      const { fingerprint } = description;
      const reunion = { key: allocator.again, server, servers, fingerprint, shows: true };
      connection = lastingAgain(link, reunion, this.#options);
      mood = "happy";
    } catch (error) {
      attempt?.close();
      if (!(error instanceof DcsendError)) throw error;
      sayBye(mailbox, allocator, "error", error.message);
      return error;
    } finally {
      signal.removeEventListener("abort", leave);
      void mailbox.close(mood);
    }
    if (signal.aborted) connection.close();
    else {
      this.#succeed(connection);
      this.#stop.abort("busy");
    }
    return this.#gone;
  }
}

/** Whether an error is that of a joiner without the words, or of one that breaks the protocol. */
function isWrong(error: unknown): boolean {
  return (
    error instanceof AuthenticationFailed ||
    error instanceof RemoteProtocolError ||
    error instanceof IncompatibleVersion
  );
}
