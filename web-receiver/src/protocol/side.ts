/**
 * The common part of sender and receiver: states, the queue of messages, and the ends.
 *
 *     new -> greeting -> … -> completed -> done        each by its own TRANSITIONS table
 *               any of these -> cancelled              either side has cancelled
 *               any of these -> failed                 a violation of the peer
 *
 * Sans-I/O: text and bytes go in, events and text come out. No clock, no channel.
 */
import { DcsendError, LocalProtocolError, RemoteProtocolError, UsageError } from "../errors.ts";
import type { Event } from "./events.ts";
import * as limits from "./limits.ts";
import {
  AGAIN,
  BROWSER,
  type Cancel,
  type CancelReason,
  chooseVersion,
  clip,
  decode,
  encode,
  type Hello,
  type Message,
  type Role,
  WINDOW,
} from "./messages.ts";

/**
 * The state of a transfer.
 *
 * new         not started
 * greeting    Hello is sent, that of the peer has not arrived
 * offering    sender: Hello has arrived, the answer to the manifest has not
 * sending     sender: frames may be sent
 * sent        sender: all frames are sent, Complete has not arrived
 * waiting     receiver: the manifest has not arrived
 * deciding    receiver: the manifest has arrived, it is not answered
 * receiving   receiver: not all frames have arrived
 * received    receiver: all frames have arrived, statuses are due
 * completed   Complete is sent or has arrived, Bye is due
 * declined    the receiver has declined the offer
 * done        Bye is sent or has arrived
 * cancelled   one side has cancelled; what arrives is ignored
 * failed      a violation of the peer; every further call throws the same error
 */
export type TransferState =
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
 * An input of the state machines. As in PROTOCOL.md, messages of the peer have a capital letter,
 * actions of this side do not.
 */
export type TransferInput =
  | "Hello"
  | "Manifest (more follow)"
  | "Manifest (last)"
  | "Accept (more follow)"
  | "Accept (last)"
  | "Decline"
  | "Frame"
  | "Frame (AGAIN)"
  | "Ack"
  | "Verdict"
  | "Working"
  | "Again"
  | "Complete"
  | "Bye"
  | "Cancel"
  | "start"
  | "accept"
  | "decline"
  | "send frame"
  | "send frame (AGAIN)"
  | "again"
  | "all frames passed"
  | "verdict"
  | "working"
  | "all verdicts given"
  | "end"
  | "cancel"
  | "violation";

/** The states of a side, and the state that follows each possible input. */
export type Transitions = {
  readonly [state in TransferState]?: { readonly [input in TransferInput]?: TransferState };
};

/** Inputs that are possible in each state between new and completed. */
export const ANY_TIME = { Cancel: "cancelled", cancel: "cancelled", violation: "failed" } as const;

/** One side of a transfer; see `Sender` and `Receiver`. */
export abstract class Side {
  readonly #transitions: Transitions;
  readonly #role: Role;
  readonly #agent: string;
  readonly #name: string;
  #state: TransferState = "new";
  #queue: string[] = [];
  #failure: DcsendError | null = null;

  constructor(transitions: Transitions, role: Role, agent: string, name: string) {
    this.#transitions = transitions;
    this.#role = role;
    this.#agent = agent;
    this.#name = name;
  }

  /** The state of the transfer. */
  get state(): TransferState {
    return this.#state;
  }

  /**
   * Queue Hello, with more `features`; call it once, when the control channel is open.
   *
   * Throws LocalProtocolError: it was called before.
   */
  start(features: readonly string[] = []): void {
    this.step("start");
    this.send({
      type: "hello",
      versions: limits.VERSIONS,
      agent: this.#agent,
      role: this.#role,
      features: [BROWSER, ...(this.#role === "sender" ? [AGAIN, WINDOW] : []), ...features],
      maxFrame: limits.MAX_FRAME,
      name: this.#name,
    });
  }

  /**
   * Receive a message of the control channel; call `messagesToSend` afterwards. Returns no events
   * when the transfer has ended.
   *
   * Throws RemoteProtocolError: it is a violation. IncompatibleVersion: there is no common version.
   * UsageError: both sides have the same role. A Cancel is queued for each.
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

  /** Return, once, the messages to be sent now on the control channel, in this order. */
  messagesToSend(): string[] {
    const queue = this.#queue;
    this.#queue = [];
    return queue;
  }

  /**
   * End the transfer with Cancel; no effect if it has ended. `message` is for people, cut at 500 code
   * points.
   */
  cancel(reason: CancelReason, message = ""): void {
    if (this.#following("cancel") === undefined) return;
    this.step("cancel");
    this.send({ type: "cancel", reason, message: clip(message) });
  }

  /** Queue Working, if the state allows it; otherwise no effect. */
  working(): void {
    if (this.#following("working") === undefined) return;
    this.step("working");
    this.send({ type: "working" });
  }

  // --- for Sender and Receiver

  /** Handle a valid Hello. */
  protected abstract onHello(hello: Hello): void;

  /** Handle a message that the table allows; the state has changed already. */
  protected abstract onMessage(message: Message, text: string): Event[];

  /** Handle Cancel; the state has changed already. */
  protected onCancel(cancel: Cancel): Event[] {
    return [{ type: "cancelled", reason: cancel.reason, message: cancel.message }];
  }

  /** Queue a message. */
  protected send(message: Message): void {
    this.#queue.push(encode(message));
  }

  /** Return whether the transfer has ended; throw its error again, if there is one. */
  protected isOver(): boolean {
    if (this.#state === "new") throw new LocalProtocolError("received before start");
    if (this.#failure !== null) throw this.#failure;
    // A violation is possible in every state between the first and the last.
    return this.#following("violation") === undefined;
  }

  /** Change the state by an action of this side. */
  protected step(input: TransferInput): void {
    const following = this.#following(input);
    if (following === undefined) {
      if (this.#failure !== null) throw this.#failure;
      throw new LocalProtocolError(`${input} is impossible while ${this.#state}`);
    }
    this.#state = following;
  }

  /** Change the state by a message of the peer. */
  protected stepByPeer(input: TransferInput): void {
    const following = this.#following(input);
    if (following === undefined) {
      throw new RemoteProtocolError(`${input} is not allowed while ${this.#state}`);
    }
    this.#state = following;
  }

  /** End the transfer after a violation of the peer: queue Cancel, keep the error. */
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

  #following(input: TransferInput): TransferState | undefined {
    return this.#transitions[this.#state]?.[input];
  }

  #introduce(hello: Hello): Event {
    const version = chooseVersion(hello);
    if (hello.role === this.#role) {
      const verb = this.#role === "sender" ? "send" : "receive";
      throw new UsageError(`both sides want to ${verb}`, "one of them must do the other");
    }
    this.onHello(hello);
    const { agent, features, name } = hello;
    return { type: "peer-introduced", agent, version, features, name };
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

function inputOf(message: Message): TransferInput {
  if (!("last" in message)) return capitalized(message.type);
  return `${capitalized(message.type)} (${message.last ? "last" : "more follow"})`;
}

function capitalized<Text extends string>(text: Text): Capitalize<Text> {
  return (text.charAt(0).toUpperCase() + text.slice(1)) as Capitalize<Text>;
}
