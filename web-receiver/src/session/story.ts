/**
 * A whole run: connect, transfer, sum up. As `dcsend/session/story.py`.
 *
 *     connect ─► Hello ─► Incoming or Outgoing, in a Conversation ─► done
 *
 * The role of this page is that of its options, or the opposite of the one in the peer's Hello. No
 * DOM, no files.
 */

import { type DcsendError, Interrupted } from "../errors.ts";
import type { Connection } from "../peers/contract.ts";
import { peekRole } from "../protocol/messages.ts";
import type { ConnectedPeer } from "./control.ts";
import { Conversation, type TransferHalf } from "./conversation.ts";
import type { Finished } from "./events.ts";
import { Incoming } from "./incoming.ts";
import { LastingConnection } from "./lasting.ts";
import { firstMessage, meet } from "./meeting.ts";
import type { RunOptions } from "./options.ts";
import { asError, failure, Tally } from "./outcome.ts";
import { Outgoing } from "./outgoing.ts";
import { race } from "./waiting.ts";
import type { Ticket } from "./ways_back.ts";

/** A run in progress; all its results are events, the last of which is `done`. */
export class Run {
  /** Resolves to the last event, after it was emitted; never rejects. */
  readonly finished: Promise<Finished>;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  /** Rejects when the person, or the page, ends the run. */
  readonly #stopped: Promise<never>;
  #stop: (reason: DcsendError) => void = () => undefined;
  #conversation: Conversation | null = null;
  #half: TransferHalf | null = null;
  #connection: LastingConnection | null = null;

  /** Begin the run. */
  constructor(options: RunOptions) {
    this.#options = options;
    this.#tally = new Tally(options.emit);
    this.#stopped = new Promise((_, reject) => {
      this.#stop = reject;
    });
    this.#stopped.catch(() => undefined);
    this.finished = this.#conclude();
  }

  /** Send a line to the peer; without effect unless one is connected. */
  sendLine(line: string): void {
    this.#conversation?.sendLine(line);
  }

  /** End the run, because the person stops it or for `reason`. Without effect when it is over. */
  stop(reason: DcsendError = new Interrupted("you stopped it")): void {
    this.#stop(reason);
  }

  /** Send Cancel at once, as far as possible: the page is being closed. */
  leave(): void {
    const message = "the page was closed";
    this.#half?.control.leave(message);
    // The browser ends the connection: closing it here would drop that message.
    this.#stop(new Interrupted(message));
  }

  /** With what a receiver can begin anew after it was loaded again; null for nothing. */
  get ticket(): Ticket | null {
    return this.#half instanceof Incoming ? (this.#connection?.ticket ?? null) : null;
  }

  /** Announce that the page is loaded again; return whether it can begin anew after that. */
  away(): boolean {
    return this.#connection?.away() ?? true;
  }

  /** Run to the end; emit exactly one `Finished`, in any case. */
  async #conclude(): Promise<Finished> {
    const { emit, now } = this.#options;
    const tally = this.#tally;
    const error = await this.#carry().then(
      () => failure(tally),
      (thrown: unknown) => asError(thrown),
    );
    tally.seal();
    if (error !== null) emit({ type: "failed", error });
    const finished: Finished = {
      type: "done",
      ok: error === null,
      bytes: tally.bytes,
      seconds: tally.started === null ? 0 : now() - tally.started,
      files: tally.files,
      leftOut: tally.leftOut,
      exports: tally.exports,
    };
    emit(finished);
    return finished;
  }

  /** Connect and transfer; close the connection in any case. */
  async #carry(): Promise<void> {
    const leaving = new AbortController();
    const meeting = meet(this.#options, leaving.signal);
    try {
      await this.#converse(await race(meeting, this.#stopped));
    } finally {
      // An attempt that continues would use up the code, which the person may dial again at once.
      leaving.abort();
      // Also a connection that opens after the person has stopped.
      meeting.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }

  async #converse(connection: Connection): Promise<void> {
    const { role } = this.#options;
    if (connection instanceof LastingConnection) {
      connection.report(this.#tally.emit);
      this.#connection = connection;
    }
    // Two pages would wait for each other: the one that has shown the code has a role.
    const hello = role === undefined ? await race(firstMessage(connection), this.#stopped) : null;
    const route = await race(connection.route(), this.#stopped);
    const conversation = new Conversation(connection, this.#tally, this.#options);
    const half = this.#newHalf({
      connection,
      hello,
      route,
      noteArrival: () => conversation.noteArrival(),
      expect: (missed) => conversation.expect(missed),
      lift: () => conversation.lift(),
    });
    this.#conversation = conversation;
    this.#half = half;
    await conversation.run(half, this.#stopped);
  }

  #newHalf(peer: ConnectedPeer): TransferHalf {
    const { role } = this.#options;
    const sends = role === undefined ? wantsToReceive(peer.hello) : role === "sender";
    const Half = sends ? Outgoing : Incoming;
    return new Half(peer, this.#options, this.#tally);
  }
}

/**
 * Return whether the peer's Hello is a receiver's; the protocol refuses anything that is no Hello.
 */
function wantsToReceive(hello: ConnectedPeer["hello"]): boolean {
  try {
    return hello !== null && peekRole(hello) === "receiver";
  } catch {
    return false;
  }
}
