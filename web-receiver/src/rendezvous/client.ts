/**
 * A mailbox on a rendezvous server, over one WebSocket after the other. As
 * `dcsend/rendezvous/client.py`.
 *
 * `allocate`, `join` and `meetAgain` open it. It then lives until `close`: a lost socket is followed by another
 * one after a pause, and what the mailbox lacks is sent again (`mailbox.MailboxClient`).
 *
 * Must not import anything of src/ but `errors` and `rendezvous`.
 */
import { ConnectionFailed, type DcsendError, Interrupted } from "../errors.ts";
import type { AgainKeys } from "./again.ts";
import type { Bytes } from "./bytes.ts";
import { systemRandom } from "./handshake.ts";
import type { IceServer } from "./ice_servers.ts";
import { type Mailbox, MailboxClient, type Mood } from "./mailbox.ts";
import type { Server } from "./servers.ts";
import { type Socket, SocketConversation } from "./websocket.ts";
import { digits } from "./wire.ts";

/** Seconds until a server must have opened a mailbox. */
export const TIMEOUT = 15;
/** The same in a second meeting: while there is no network, an attempt only takes time. */
const REACH = 5;
/** Seconds until `close` resolves, whatever the server does. */
const CLOSING = 1;
export const FIRST_PAUSE = 1;
const GROWTH = 1.5;
export const LONGEST_PAUSE = 30;

/** Options of `allocate` and `join`; the defaults are those of the page. */
export interface MailboxOptions {
  /** Seconds until the mailbox must be open, on each socket. */
  readonly timeout?: number;
  /** Ends the attempt to open the mailbox; later `close` does. */
  readonly signal?: AbortSignal;
  /** Yields the seconds before each attempt to connect again. */
  readonly pauses?: () => Iterator<number>;
  /** The number is claimed after it. */
  readonly ready?: Promise<unknown>;
  /** Makes a WebSocket. */
  readonly newSocket?: (url: string) => Socket;
}

/**
 * Allocate a number, and resolve to its open mailbox.
 *
 * Rejects with ConnectionFailed if the server can't be reached, is silent or slow, or refuses, with
 * RemoteProtocolError if it violates the protocol, with Interrupted by the signal.
 */
export function allocate(server: Server, options: MailboxOptions = {}): Promise<ServerMailbox> {
  return ServerMailbox.open(server, newClient(server, ""), options);
}

/**
 * Resolve to the open mailbox of a number; it is empty if there is no such code. Rejects as
 * `allocate`, and with CodeUsed if two others use the number.
 */
export function join(
  server: Server,
  number: string,
  options: MailboxOptions = {},
): Promise<ServerMailbox> {
  return ServerMailbox.open(server, newClient(server, number), options);
}

/**
 * Resolve to the open mailbox of a second meeting, as its allocator (`a`) or joiner. Rejects as
 * `allocate`.
 */
export function meetAgain(
  server: Server,
  { sides, mailbox }: AgainKeys,
  letter: "a" | "b",
  options: MailboxOptions = {},
): Promise<ServerMailbox> {
  const client = new MailboxClient(server.name, sides[letter], "", mailbox, letter);
  const soon = { timeout: REACH, pauses: shortPauses };
  return ServerMailbox.open(server, client, { ...soon, ...options });
}

function newClient(server: Server, number: string): MailboxClient {
  return new MailboxClient(server.name, digits(systemRandom(5)), number);
}

/** Yield pauses of 0.5 to 1.5 s, without an end. */
function* shortPauses(): Generator<number, never> {
  for (;;) yield 0.5 + Math.random();
}

/**
 * Yield pauses of about 1, 1.5, 2.25 … 30 s. They are random, so that the clients of a server that
 * restarts do not all return at once.
 */
export function* growingPauses(random: () => number = Math.random): Generator<number, never> {
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * GROWTH, LONGEST_PAUSE)) {
    yield pause * (0.5 + random());
  }
}

/** A `Mailbox` on a server. Made by `allocate` and `join`. */
export class ServerMailbox implements Mailbox {
  readonly #server: Server;
  readonly #protocol: MailboxClient;
  readonly #timeout: number;
  readonly #ready: Promise<unknown> | undefined;
  readonly #newSocket: (url: string) => Socket;
  readonly #newPauses: () => Iterator<number>;
  #pauses: Iterator<number>;
  /** The socket; null during a pause. */
  #conversation: SocketConversation | null = null;
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Why the mailbox is lost. */
  #error: DcsendError | null = null;
  #wasOpened = false;
  /** Whether the mailbox was open, and is not usable until there is another connection. */
  #isLost = false;
  #report: ((connected: boolean) => void) | undefined;
  #closing: Promise<void> | null = null;
  /** Called, and removed, when something has happened. */
  #waiters: (() => void)[] = [];

  private constructor(server: Server, protocol: MailboxClient, options: MailboxOptions) {
    this.#server = server;
    this.#protocol = protocol;
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#ready = options.ready;
    this.#newSocket = options.newSocket ?? ((url) => new WebSocket(url));
    this.#newPauses = options.pauses ?? (() => growingPauses());
    this.#pauses = this.#newPauses();
  }

  /** As `allocate` and `join`. */
  static async open(
    server: Server,
    protocol: MailboxClient,
    options: MailboxOptions,
  ): Promise<ServerMailbox> {
    const { signal } = options;
    const mailbox = new ServerMailbox(server, protocol, options);
    const abort = () =>
      mailbox.#fail(new Interrupted("the connection to the server was cancelled"));
    signal?.addEventListener("abort", abort);
    try {
      if (signal?.aborted) abort();
      else mailbox.#connect();
      while (!mailbox.#wasOpened) {
        if (mailbox.#error !== null) throw mailbox.#error;
        await mailbox.#changed();
      }
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    return mailbox;
  }

  get number(): string {
    return this.#protocol.number;
  }

  /** Whether all messages that the mailbox has have arrived, as far as the server has answered. */
  get isCurrent(): boolean {
    return this.#protocol.isCurrent;
  }

  get motd(): string {
    return this.#protocol.motd;
  }

  get iceServers(): readonly IceServer[] {
    return this.#protocol.iceServers;
  }

  /** As `MailboxClient.has`. */
  has(phase: string): boolean {
    return this.#protocol.has(phase);
  }

  add(phase: string, body: Bytes): void {
    const texts = this.#protocol.add(phase, body);
    this.#conversation?.send(texts);
  }

  async next(): Promise<readonly [phase: string, body: Bytes]> {
    for (;;) {
      const message = this.#protocol.messages.shift();
      if (message !== undefined) return message;
      if (this.#error !== null) throw this.#error;
      await this.#changed();
    }
  }

  watch(report: (connected: boolean) => void): void {
    this.#report = report;
    if (this.#isLost) report(false);
  }

  close(mood: Mood): Promise<void> {
    this.#closing ??= this.#close(mood);
    return this.#closing;
  }

  async #close(mood: Mood): Promise<void> {
    const closed = new ConnectionFailed("the mailbox is closed");
    const texts = this.#protocol.close(mood);
    if (texts.length > 0 && this.#conversation?.isOpen) {
      this.#conversation.send(texts);
      const deadline = setTimeout(() => this.#fail(closed), CLOSING * 1000);
      while (this.#error === null && !this.#protocol.isClosed) await this.#changed();
      clearTimeout(deadline);
    }
    this.#fail(closed);
  }

  #connect(): void {
    this.#conversation = new SocketConversation(this.#server, this.#protocol, {
      timeout: this.#timeout,
      ready: this.#ready,
      newSocket: this.#newSocket,
      changed: () => this.#wake(),
      lost: (reason) => this.#lost(reason),
      failed: (error) => this.#fail(error),
    });
    this.#conversation.start();
  }

  /** The socket is lost: connect again after a pause, if the mailbox was open once. */
  #lost(reason: ConnectionFailed): void {
    // Only a socket that was of use resets the pauses.
    if (this.#conversation?.wasCurrent) this.#pauses = this.#newPauses();
    this.#conversation = null;
    if (!this.#wasOpened || this.#closing !== null) {
      this.#fail(reason);
      return;
    }
    const seconds: number = this.#pauses.next().value;
    this.#pause = setTimeout(() => this.#connect(), seconds * 1000);
    this.#setLost(true);
    this.#wake();
  }

  /** Note whether the mailbox is usable, and report a change. */
  #setLost(lost: boolean): void {
    if (lost === this.#isLost) return;
    this.#isLost = lost;
    this.#report?.(!lost);
  }

  /** End the mailbox; the first reason stays. */
  #fail(error: DcsendError): void {
    this.#error ??= error;
    clearTimeout(this.#pause);
    this.#conversation?.end();
    this.#conversation = null;
    this.#wake();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    if (this.#protocol.isOpen) this.#wasOpened = true;
    if (this.#conversation?.wasCurrent) this.#setLost(false);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
