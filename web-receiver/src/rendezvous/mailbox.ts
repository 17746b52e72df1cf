/**
 * The client side of the mailbox protocol of magic-wormhole, sans-I/O, over any number of sockets.
 * As `dcsend/rendezvous/mailbox.py`.
 *
 * Takes texts that a server has sent, and returns texts to send. The caller opens the sockets, has
 * the clock, and reports each new socket with `connect`.
 *
 * Source: magic-wormhole-protocols, server-protocol.md.
 */
import { CodeUsed, ConnectionFailed, LocalProtocolError, RemoteProtocolError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Bytes } from "./bytes.ts";
import { type IceServer, parseIceServers } from "./ice_servers.ts";
import {
  APP_ID,
  bodyOf,
  digits,
  dump,
  type Fields,
  isNumber,
  isObject,
  isText,
  MAX_BODY,
  parse,
  phaseLetter,
  tagged,
  WireError,
} from "./wire.ts";

/** How a conversation has ended, in `close`; a server uses it for its statistics only. */
export type Mood = "happy" | "lonely" | "scary" | "errory";

/** Messages on one connection between two pings; a conversation needs fewer than 300. */
const MAX_RECEIVED = 1000;
/** The same in a second meeting: there are up to 20 for each attempt. */
const MAX_AGAIN = 5000;
/** UTF-16 units of a mailbox id; those of the stock server have 13. */
const MAX_ID = 100;
/** UTF-16 units of a text of the server that are shown. */
const MAX_NOTICE = 400;
/** Methods of `permission-required` that a message names. */
const MAX_METHODS = 8;

/** One conversation: `client.allocate` and `client.join` make one. */
export interface Mailbox {
  /** The number of the short code. */
  readonly number: string;
  /** A notice of the server for the user, safe to show; empty if there is none. */
  readonly motd: string;
  /** STUN and TURN servers that the server offers; the newest list. */
  readonly iceServers: readonly IceServer[];
  /**
   * Send a message; it is sent again after a lost connection, until its echo arrives. Throws
   * LocalProtocolError if the phase is not one of this side, is used, or the body is too long.
   */
  add(phase: string, body: Bytes): void;
  /**
   * Resolve to phase and body of the next message of the other side; each phase once. Rejects with a
   * DcsendError when the mailbox is lost or closed.
   */
  next(): Promise<readonly [phase: string, body: Bytes]>;
  /**
   * Call `report` from now on with false when the connection to the server is lost, at once if it
   * is, and with true when the mailbox is usable again.
   */
  watch(report: (connected: boolean) => void): void;
  /** Release the number and close the mailbox, in at most a second; idempotent. */
  close(mood: Mood): Promise<void>;
}

/** One side of one mailbox. */
export class MailboxClient {
  /** The number; empty until it is allocated. */
  number: string;
  /** As `Mailbox.motd`. */
  motd = "";
  /** As `Mailbox.iceServers`. */
  iceServers: readonly IceServer[] = [];
  /** Messages of the other side that the caller has not taken; at most 64. */
  readonly messages: (readonly [phase: string, body: Bytes])[] = [];
  /** Whether the server has confirmed `close`. */
  isClosed = false;

  readonly #server: string;
  readonly #side: string;
  readonly #letter: "a" | "b";
  readonly #id: string;
  readonly #own = new Map<string, Bytes>();
  /** Phases of messages that were sent on any socket. */
  readonly #sent = new Set<string>();
  readonly #seen = new Set<string>();

  // The state of the present socket; `#start` resets it.
  #received = 0;
  #welcomed = false;
  #allocating = false;
  #claiming = false;
  #opened = false;
  /** Whether all messages that the mailbox had at `open` have arrived. */
  #replayed = false;
  readonly #sentHere = new Set<string>();
  readonly #echoed = new Set<string>();

  /**
   * `server`: its name, for messages to the user. `side`: random hexadecimal digits, which identify
   * this side on all of its connections. `number`: to join; empty to allocate one. `id`: the name of
   * the mailbox of a second meeting, which has no number. `letter`: that of this side in phases.
   */
  constructor(
    server: string,
    side: string,
    number = "",
    id = "",
    letter: "a" | "b" = number === "" ? "a" : "b",
  ) {
    if (number !== "" && !isNumber(number as unknown)) {
      throw new LocalProtocolError(`'${printable(number.slice(0, 20))}' is no number of a code`);
    }
    this.#server = printable(server);
    this.#side = side;
    this.#letter = letter;
    this.#id = id;
    this.number = number;
  }

  /** The hint of an error that only another server can avoid. */
  get otherServer(): string {
    return this.#letter === "a"
      ? "use another server"
      : "use a code with another server, or the dial code";
  }

  /** Whether the server has sent `welcome` on the present socket. */
  get isWelcomed(): boolean {
    return this.#welcomed;
  }

  /** Whether messages can be sent on the present socket. */
  get isOpen(): boolean {
    return this.#opened;
  }

  /** Whether all messages that the mailbox had at `open` have arrived on this socket. */
  get isCurrent(): boolean {
    return this.#replayed;
  }

  /** Whether the mailbox has a message of this side, as far as it has arrived on this socket. */
  has(phase: string): boolean {
    return this.#echoed.has(phase);
  }

  /**
   * Whether the next message comes after all earlier ones: a joiner begins with b0. One that was
   * sent on an earlier socket may not be in the mailbox; `pong` shows it.
   */
  get #isInOrder(): boolean {
    return this.#replayed || this.#sent.size <= this.#sentHere.size;
  }

  /** Return the texts to send first on a new socket, before the server has sent anything. */
  connect(): string[] {
    this.#start();
    const bind = dump("bind", { appid: APP_ID, side: this.#side });
    if (this.#id !== "") return [bind, ...this.#open(this.#id)];
    if (this.number !== "") return [bind, this.#claim()];
    this.#allocating = true;
    return [bind, dump("allocate")];
  }

  /**
   * Keep a message, and return the texts to send now. Throws LocalProtocolError if the phase is not
   * one of this side, is used, or the body is too long.
   */
  add(phase: string, body: Bytes): string[] {
    if (this.#letterOf(phase) !== this.#letter || this.#own.has(phase) || body.length > MAX_BODY) {
      throw new LocalProtocolError(`a message '${phase}' of ${body.length} bytes can't be sent`);
    }
    this.#own.set(phase, body);
    return this.isOpen && this.#isInOrder ? [this.#add(phase)] : [];
  }

  /** Return the text by which the caller finds out whether the server still answers. */
  ping(): string {
    this.#received = 0;
    return dump("ping", { ping: 1 });
  }

  /** Return the texts that release the number and close the mailbox. */
  close(mood: Mood): string[] {
    if (!this.isOpen) return [];
    return [...(this.#id === "" ? [dump("release")] : []), dump("close", { mood })];
  }

  /**
   * Process a text of the server, and return the texts to send.
   *
   * Throws RemoteProtocolError if the server violates the protocol, CodeUsed if two other sides use
   * the number, ConnectionFailed if the server, or another allocator with this number, refuses this
   * side.
   */
  receive(text: string): string[] {
    this.#received += 1;
    try {
      const most = this.#id === "" ? MAX_RECEIVED : MAX_AGAIN;
      if (this.#received > most) throw new WireError(`it sends more than ${most} messages`);
      return this.#handle(parse(text));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      throw this.#violation(error.message);
    }
  }

  /** Return the error about a message of more than MAX_TEXT bytes. */
  oversized(): RemoteProtocolError {
    return this.#violation("a message is too long");
  }

  #violation(what: string): RemoteProtocolError {
    return new RemoteProtocolError(
      `the server ${this.#server} violates the mailbox protocol: ${what}`,
      this.otherServer,
    );
  }

  #handle(fields: Fields & { readonly type: string }): string[] {
    switch (fields.type) {
      case "welcome":
        return this.#welcome(fields.welcome);
      case "allocated":
        return this.#allocated(fields.nameplate);
      case "claimed":
        return this.#claimed(fields.mailbox);
      case "pong":
        return this.#pong();
      case "message":
        return this.#message(fields);
      case "ice-servers":
        this.iceServers = parseIceServers(fields.servers);
        return [];
      case "closed":
        this.isClosed = true;
        return [];
      case "error":
        throw this.#refusal(fields.error);
      default:
        // Clients ignore unknown types. ack, released and nameplates need no reaction, either.
        return [];
    }
  }

  #claim(): string {
    this.#claiming = true;
    return dump("claim", { nameplate: this.number });
  }

  #add(phase: string): string {
    this.#sent.add(phase);
    this.#sentHere.add(phase);
    return dump("add", { phase, body: digits(this.#own.get(phase) ?? new Uint8Array()) });
  }

  #welcome(welcome: unknown): string[] {
    if (!isObject(welcome)) throw new WireError("welcome is not an object");
    const error = notice(welcome.error);
    if (error !== "") {
      throw new ConnectionFailed(`the server ${this.#server} refuses: ${error}`, this.otherServer);
    }
    const required = welcome["permission-required"];
    const methods: unknown[] = isObject(required)
      ? Object.keys(required)
      : Array.isArray(required)
        ? required
        : [];
    if (methods.length > 0 && !methods.includes("none")) {
      const names = methods.slice(0, MAX_METHODS).map(notice).join(", ");
      throw new ConnectionFailed(
        `the server ${this.#server} requires a permission of a kind that dcsend does not ` +
          `support: ${names}`,
        this.otherServer,
      );
    }
    this.motd = notice(welcome.motd);
    const servers = welcome["dcsend-ice-servers"];
    if (servers !== undefined && servers !== null) this.iceServers = parseIceServers(servers);
    this.#welcomed = true;
    return [];
  }

  #allocated(number: unknown): string[] {
    this.#expect("allocated");
    if (!this.#allocating) return [];
    if (!isNumber(number)) {
      throw new WireError("it allocates something that is not a number of 1 to 6 digits");
    }
    this.#allocating = false;
    this.number = number;
    return [this.#claim()];
  }

  #claimed(mailbox: unknown): string[] {
    this.#expect("claimed");
    if (!this.#claiming) return [];
    if (!isText(mailbox, MAX_ID)) throw new WireError("the id of a mailbox is not text");
    this.#claiming = false;
    return this.#open(mailbox);
  }

  #open(mailbox: string): string[] {
    this.#opened = true;
    // A message that was sent on an earlier socket may be in the mailbox. If it is, its echo arrives
    // before the response to this ping: a server handles messages in their order.
    const unsent = this.#isInOrder ? [...this.#own.keys()] : [];
    return [
      dump("open", { mailbox }),
      dump("ping", { ping: 1 }),
      ...unsent.map((phase) => this.#add(phase)),
    ];
  }

  #pong(): string[] {
    if (!this.#opened || this.#replayed) return [];
    this.#replayed = true;
    const missing = [...this.#own.keys()].filter(
      (phase) => !this.#sentHere.has(phase) && !this.#echoed.has(phase),
    );
    return missing.map((phase) => this.#add(phase));
  }

  #letterOf(phase: unknown): "a" | "b" | null {
    return phaseLetter(this.#id === "" ? phase : tagged(phase)?.[0]);
  }

  #message({ side, phase, body }: Fields): string[] {
    const letter = this.#letterOf(phase);
    if (letter === null || typeof phase !== "string") return [];
    if (side === this.#side) {
      this.#echoed.add(phase);
    } else if (letter !== this.#letter) {
      if (this.#seen.has(phase)) return [];
      const bytes = bodyOf(body);
      this.#seen.add(phase);
      this.messages.push([phase, bytes]);
    } else if (phase === "a0") {
      // A server that has lost its database gives the number to another allocator.
      throw new ConnectionFailed(
        `the server ${this.#server} has given the number ${this.number} to another code`,
        "try again",
      );
    }
    return [];
  }

  #refusal(error: unknown): CodeUsed | ConnectionFailed {
    if (error === "crowded") {
      return new CodeUsed(
        `two others already use the number ${this.number} on the server ${this.#server}`,
        this.#letter === "a"
          ? "try again"
          : "the other side may still show this code: ask it to start again, for a new one",
      );
    }
    const shown = notice(error) || "an error without a text";
    return new ConnectionFailed(`the server ${this.#server} reports: ${shown}`, this.otherServer);
  }

  /** Set the state of a new socket. */
  #start(): void {
    this.#received = 0;
    this.#welcomed = false;
    this.#allocating = false;
    this.#claiming = false;
    this.#opened = false;
    this.#replayed = false;
    this.#sentHere.clear();
    this.#echoed.clear();
  }

  #expect(kind: string): void {
    if (!this.#welcomed) throw new WireError(`${kind} comes before welcome`);
  }
}

/** Return a text of the server in one line that is safe to show; empty if it is not text. */
function notice(value: unknown): string {
  if (typeof value !== "string") return "";
  const line = value
    .slice(0, 2 * MAX_NOTICE)
    .split(/\s+/)
    .filter((word) => word !== "");
  return printable(line.join(" ").slice(0, MAX_NOTICE));
}
