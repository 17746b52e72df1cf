/**
 * The story of a run: meet, talk, carry the files over, sum up. As `dcsend/session/story.py`.
 *
 *     connect ─► Hello ─► Incoming or Outgoing, in a Conversation ─► done
 *
 * What this page does is the opposite of what the peer's Hello says. Imports engine types,
 * protocol, leaves and session; no DOM, no files.
 */
import type { Connection } from "../engines/base.ts";
import { type DcsendError, Interrupted } from "../errors.ts";
import { peekRole } from "../protocol/messages.ts";
import type { Meeting } from "./control.ts";
import { Conversation, type Party } from "./conversation.ts";
import type { Finished } from "./events.ts";
import { Incoming } from "./incoming.ts";
import { firstMessage, meet } from "./meeting.ts";
import type { Run, RunOptions } from "./options.ts";
import { asError, failure, Tally } from "./outcome.ts";
import { Outgoing } from "./outgoing.ts";
import { race } from "./waiting.ts";

export type { Decision, Questions, Run, RunOptions } from "./options.ts";

/** Begin a run; everything that happens is emitted, the last event is `done`. */
export function startRun(options: RunOptions): Run {
  return new Story(options);
}

class Story implements Run {
  readonly finished: Promise<Finished>;
  readonly #options: RunOptions;
  readonly #tally: Tally;
  /** Rejects when the person, or the page, ends the run. */
  readonly #stopped: Promise<never>;
  #stop: (reason: DcsendError) => void = () => undefined;
  #conversation: Conversation | null = null;
  #party: Party | null = null;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#tally = new Tally(options.emit);
    this.#stopped = new Promise((_, reject) => {
      this.#stop = reject;
    });
    this.#stopped.catch(() => undefined);
    this.finished = this.#conclude();
  }

  say(line: string): void {
    this.#conversation?.say(line);
  }

  stop(reason: DcsendError = new Interrupted("you stopped it")): void {
    this.#stop(reason);
  }

  leave(): void {
    const message = "the page was closed";
    this.#party?.control.leave(message);
    // The connection is left to the browser: closed here and now, it would drop that message.
    this.#stop(new Interrupted(message));
  }

  /** Run to the end; emit exactly one `Finished`, whatever happens. */
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
      exports: tally.exports,
    };
    emit(finished);
    return finished;
  }

  /** Meet the peer and do what it wants us to do; hang up in any case. */
  async #carry(): Promise<void> {
    const leaving = new AbortController();
    const meeting = meet(this.#options, leaving.signal);
    try {
      await this.#converse(await race(meeting, this.#stopped));
    } finally {
      // A dial that goes on would spend the code, which may be dialed again at once.
      leaving.abort();
      // Also one that comes about after the person has lost patience.
      meeting.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }

  async #converse(connection: Connection): Promise<void> {
    const hello = await race(firstMessage(connection), this.#stopped);
    const route = await race(connection.route(), this.#stopped);
    const conversation = new Conversation(connection, this.#tally, this.#options);
    const party = this.#newParty({
      connection,
      hello,
      route,
      heard: () => conversation.heard(),
      expect: (missed) => conversation.expect(missed),
      lift: () => conversation.lift(),
    });
    this.#conversation = conversation;
    this.#party = party;
    await conversation.run(party, this.#stopped);
  }

  #newParty(meeting: Meeting): Party {
    const Half = wantsToReceive(meeting.hello) ? Outgoing : Incoming;
    return new Half(meeting, this.#options, this.#tally);
  }
}

/** Tell what the peer wants; of what is no Hello, the protocol says so. */
function wantsToReceive(hello: Meeting["hello"]): boolean {
  try {
    return peekRole(hello) === "receiver";
  } catch {
    return false;
  }
}
