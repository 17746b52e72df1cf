/**
 * What sender and receiver share: states, the queue of messages, and how it ends.
 *
 *     new -> greeting -> … -> completed -> done        each by its own TRANSITIONS table
 *               any of these -> cancelled              either side cancelled
 *               any of these -> failed                 the peer broke a rule
 *
 * Sans-I/O: text and bytes go in, events and text come out. No clock, no channel.
 */
import { DcsendError, LocalProtocolError, RemoteProtocolError, UsageError } from "../errors.ts";
import type { Event } from "./events.ts";
import * as limits from "./limits.ts";
import {
  type Cancel,
  type CancelReason,
  chooseVersion,
  clip,
  decode,
  encode,
  type Hello,
  type Message,
  type Role,
} from "./messages.ts";

/**
 * Where a transfer stands.
 *
 * new         nothing has happened; `start` it
 * greeting    Hello is sent, the peer's is awaited
 * offering    sender: the peer is known, its answer to the manifest is awaited
 * sending     sender: frames may go
 * sent        sender: all frames are gone, the last word is awaited
 * waiting     receiver: the manifest is awaited
 * deciding    receiver: the manifest is here, the answer is not given
 * receiving   receiver: frames are awaited
 * received    receiver: all frames are here, verdicts are due
 * completed   the last word is sent or received, Bye is due
 * declined    the receiver wanted none of it
 * done        Bye is sent or received
 * cancelled   one side cancelled; whatever still arrives is ignored
 * failed      the peer broke a rule; every further call throws the same error
 */
export type State =
  | "new"
  | "greeting"
  | "offering"
  | "sending"
  | "sent"
  | "waiting"
  | "deciding"
  | "receiving"
  | "received"
  | "completed"
  | "declined"
  | "done"
  | "cancelled"
  | "failed";

/**
 * What moves a transfer from state to state. As in PROTOCOL.md, messages of the peer have a capital
 * letter, the rest is something that happens on this side.
 */
export type Input =
  | "Hello"
  | "Manifest (more follow)"
  | "Manifest (last)"
  | "Accept (more follow)"
  | "Accept (last)"
  | "Decline"
  | "Frame"
  | "Ack"
  | "Verdict"
  | "Working"
  | "Complete"
  | "Bye"
  | "Cancel"
  | "start"
  | "accept"
  | "decline"
  | "send frame"
  | "all frames passed"
  | "verdict"
  | "working"
  | "all files judged"
  | "end"
  | "cancel"
  | "violation";

/** Each state that a side knows, and where each input that is possible there leads. */
export type Transitions = {
  readonly [state in State]?: { readonly [input in Input]?: State };
};

/** What may happen in each state between new and completed. */
export const ANY_TIME = { Cancel: "cancelled", cancel: "cancelled", violation: "failed" } as const;

/** One end of a transfer; see `Sender` and `Receiver`. */
export abstract class Side {
  readonly #transitions: Transitions;
  readonly #role: Role;
  readonly #agent: string;
  #state: State = "new";
  #queue: string[] = [];
  #failure: DcsendError | null = null;

  constructor(transitions: Transitions, role: Role, agent: string) {
    this.#transitions = transitions;
    this.#role = role;
    this.#agent = agent;
  }

  /** Where the transfer stands. */
  get state(): State {
    return this.#state;
  }

  /**
   * Queue Hello; call it once, when the control channel is open.
   *
   * Throws LocalProtocolError: it was called before.
   */
  start(): void {
    this.step("start");
    this.send({
      type: "hello",
      versions: limits.VERSIONS,
      agent: this.#agent,
      role: this.#role,
      features: [],
      maxFrame: limits.MAX_FRAME,
    });
  }

  /**
   * Take a message of the control channel in; afterwards call `messagesToSend`. When it is over
   * nothing matters any more and it returns nothing.
   *
   * Throws RemoteProtocolError: the peer broke a rule. IncompatibleVersion: it speaks no version
   * that we do. UsageError: it wants to send, or receive, as we do. A Cancel is queued for each.
   */
  receive(message: string | Uint8Array): Event[] {
    if (this.isOver()) return [];
    try {
      if (typeof message !== "string") {
        throw new RemoteProtocolError("binary message on the control channel");
      }
      const decoded = decode(message);
      this.stepByPeer(inputOf(decoded));
      if (decoded.type === "hello") return [this.#introduce(decoded)];
      if (decoded.type === "cancel") return this.onCancel(decoded);
      if (decoded.type === "working") return [];
      return this.onMessage(decoded, message);
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Hand out, once, what must now go to the control channel, in this order. */
  messagesToSend(): string[] {
    const queue = this.#queue;
    this.#queue = [];
    return queue;
  }

  /**
   * End it and tell the peer; without effect when it has ended anyway. `message` is for people, and
   * is cut at 500 code points.
   */
  cancel(reason: CancelReason, message = ""): void {
    if (this.#following("cancel") === undefined) return;
    this.step("cancel");
    this.send({ type: "cancel", reason, message: clip(message) });
  }

  /** Queue Working, where this side may be what the peer waits for; else without effect. */
  working(): void {
    if (this.#following("working") === undefined) return;
    this.step("working");
    this.send({ type: "working" });
  }

  // --- for Sender and Receiver

  /** The peer is known and fits. */
  protected abstract onHello(hello: Hello): void;

  /** A message came that the table allows; the state has moved on already. */
  protected abstract onMessage(message: Message, text: string): Event[];

  /** The peer cancelled; the state has moved on already. */
  protected onCancel(cancel: Cancel): Event[] {
    return [{ type: "cancelled", reason: cancel.reason, message: cancel.message }];
  }

  /** Queue a message. */
  protected send(message: Message): void {
    this.#queue.push(encode(message));
  }

  /** Whether what arrives is of no interest; throws again what went wrong. */
  protected isOver(): boolean {
    if (this.#state === "new") throw new LocalProtocolError("received before start");
    if (this.#failure !== null) throw this.#failure;
    // What begins and hasn't ended can go wrong.
    return this.#following("violation") === undefined;
  }

  /** Move on by something that this side does. */
  protected step(input: Input): void {
    const following = this.#following(input);
    if (following === undefined) {
      if (this.#failure !== null) throw this.#failure;
      throw new LocalProtocolError(`${input} is impossible while ${this.#state}`);
    }
    this.#state = following;
  }

  /** Move on by something that the peer sent. */
  protected stepByPeer(input: Input): void {
    const following = this.#following(input);
    if (following === undefined) {
      throw new RemoteProtocolError(`${input} is not allowed while ${this.#state}`);
    }
    this.#state = following;
  }

  /** If the error is the peer's fault, tell it, and refuse everything from now on. */
  protected fail(error: unknown): unknown {
    if (error instanceof DcsendError && !(error instanceof LocalProtocolError)) {
      this.step("violation");
      this.#failure = error;
      const { kind, message } = error;
      const reason = kind === "integrity" || kind === "version" ? kind : "protocol";
      this.send({ type: "cancel", reason, message: clip(message) });
    }
    return error;
  }

  #following(input: Input): State | undefined {
    return this.#transitions[this.#state]?.[input];
  }

  #introduce(hello: Hello): Event {
    const version = chooseVersion(hello);
    if (hello.role === this.#role) {
      const verb = this.#role === "sender" ? "send" : "receive";
      throw new UsageError(`both sides want to ${verb}`, "one of them must do the other");
    }
    this.onHello(hello);
    return { type: "peer-introduced", agent: hello.agent, version, features: hello.features };
  }
}

/** Throw RemoteProtocolError if there is a fault. */
export function refuse(fault: string): void {
  if (fault !== "") throw new RemoteProtocolError(fault);
}

/** Throw LocalProtocolError if there is a fault. */
export function check(fault: string): void {
  if (fault !== "") throw new LocalProtocolError(fault);
}

const INPUTS = {
  hello: "Hello",
  manifest: "Manifest",
  accept: "Accept",
  decline: "Decline",
  ack: "Ack",
  verdict: "Verdict",
  working: "Working",
  complete: "Complete",
  bye: "Bye",
  cancel: "Cancel",
} as const;

function inputOf(message: Message): Input {
  if (!("last" in message)) return INPUTS[message.type];
  return `${INPUTS[message.type]} (${message.last ? "last" : "more follow"})`;
}
