/**
 * One WebSocket of the browser to a rendezvous server, with its deadlines. As
 * `dcsend/rendezvous/websocket.py`, and the part of `client.py` there that converses over one.
 *
 * A browser does not give the reason of a failed connection to a page, and it takes messages of any
 * size before the page sees them. Must not import anything of src/ but `errors`, `printable` and
 * `rendezvous`.
 */
import { ConnectionFailed, DcsendError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { MailboxClient } from "./mailbox.ts";
import type { Server } from "./servers.ts";
import { MAX_TEXT } from "./wire.ts";

/** Seconds from an open WebSocket to `welcome`, which a server sends first. */
export const WELCOME = 5;
/**
 * Seconds between two pings, since a page learns nothing of a connection that is lost without a
 * word: the network changed, or the machine was asleep.
 */
const PING = 30;
/** Seconds after a ping until the connection is lost. */
const ANSWER = 15;

/** What is used of a WebSocket. */
export type Socket = Pick<
  WebSocket,
  "binaryType" | "onopen" | "onmessage" | "onclose" | "onerror" | "send" | "close"
>;

/** What a conversation needs of its owner. */
export interface SocketOwner {
  /** Seconds until all messages that the mailbox has must have arrived. */
  readonly timeout: number;
  /** Nothing is sent before it. */
  readonly ready: Promise<unknown> | undefined;
  /** Makes a WebSocket; throws what its constructor throws. */
  readonly newSocket: (url: string) => Socket;
  /** Is called whenever the state of the protocol may have changed. */
  readonly changed: () => void;
  /** Is called once if the socket is lost; another one may be of use. */
  readonly lost: (reason: ConnectionFailed) => void;
  /** Is called once if the mailbox is lost, and ends the conversation. */
  readonly failed: (error: DcsendError) => void;
}

/** The conversation with a server over one socket. */
export class SocketConversation {
  readonly #name: string;
  readonly #url: string;
  readonly #protocol: MailboxClient;
  readonly #owner: SocketOwner;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #socket: Socket | null = null;
  #isOpen = false;
  #wasCurrent = false;

  constructor(server: Server, protocol: MailboxClient, owner: SocketOwner) {
    this.#name = printable(server.name);
    this.#url = server.url;
    this.#protocol = protocol;
    this.#owner = owner;
  }

  /** Whether texts can be sent. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether all messages that the mailbox had have arrived over this socket. */
  get wasCurrent(): boolean {
    return this.#wasCurrent;
  }

  /** Connect; called once. */
  start(): void {
    let socket: Socket;
    try {
      socket = this.#owner.newSocket(this.#url);
    } catch {
      const reason = `the browser does not let this page connect to the server ${this.#name}`;
      this.#owner.failed(new ConnectionFailed(reason, this.#protocol.otherServer));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = () => this.#closed();
    // Only a failed connection has an error, and not every implementation then closes it.
    socket.onerror = () => this.#closed();
    this.#after(this.#owner.timeout, "mailbox", () => this.#late());
  }

  /** Send texts; without an open socket, they are dropped. */
  send(texts: readonly string[]): void {
    if (this.#isOpen) for (const text of texts) this.#socket?.send(text);
  }

  /** Close the socket after what was sent; idempotent. Nothing is called after it. */
  end(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    const socket = this.#socket;
    this.#socket = null;
    this.#isOpen = false;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.onerror = null;
    socket.close();
  }

  #opened(): void {
    this.#isOpen = true;
    const welcome = Math.min(WELCOME, this.#owner.timeout);
    this.#after(welcome, "welcome", () => {
      this.#lost(
        `is silent: no welcome after ${welcome} s`,
        `try again, or ${this.#protocol.otherServer}`,
      );
    });
    const texts = this.#protocol.connect();
    const { ready } = this.#owner;
    if (ready === undefined) this.send(texts);
    else void ready.then(() => this.send(texts));
  }

  #received(data: unknown): void {
    this.#cancel("answer");
    try {
      this.send(this.#protocol.receive(this.#text(data)));
    } catch (error) {
      if (!(error instanceof DcsendError)) throw error;
      this.#owner.failed(error);
      return;
    }
    if (this.#protocol.isWelcomed) this.#cancel("welcome");
    if (this.#protocol.isCurrent && !this.#wasCurrent) {
      this.#wasCurrent = true;
      this.#cancel("mailbox");
      this.#pingLater();
    }
    this.#owner.changed();
  }

  /** Return a message as text. The specification has binary messages, servers send text. */
  #text(data: unknown): string {
    const size = data instanceof ArrayBuffer ? data.byteLength : String(data).length;
    if (size > MAX_TEXT) throw this.#protocol.oversized();
    return data instanceof ArrayBuffer ? new TextDecoder().decode(data) : String(data);
  }

  #pingLater(): void {
    this.#after(PING, "ping", () => {
      this.send([this.#protocol.ping()]);
      this.#after(ANSWER, "answer", () => this.#lost("does not answer any more"));
      this.#pingLater();
    });
  }

  #closed(): void {
    if (this.#isOpen) {
      this.#lost("has closed the connection", `try again, or ${this.#protocol.otherServer}`);
    } else if (this.#url.startsWith(`ws://${globalThis.location?.host}/`)) {
      // The mailbox of the terminal that has served the page, over plain http.
      const hint = "open the new link, or scan the new QR code: the dcsend of this page has ended";
      this.#lost("can't be reached", hint);
    } else {
      let first = "";
      // A page from disk has the origin `null`, which the stock server refuses by default.
      if (globalThis.location?.protocol === "file:") {
        first = "open the page from a web server (this one may refuse pages from disk), ";
      } else if (this.#url.startsWith("ws:")) {
        // Such a server is in the local network, for which Chromium asks for a permission.
        first = "allow this page to use the local network, ";
      }
      this.#lost("can't be reached", `${first}check the network, or ${this.#protocol.otherServer}`);
    }
  }

  #late(): void {
    const { timeout } = this.#owner;
    if (this.#isOpen) {
      this.#lost(
        `is slow: no mailbox after ${timeout} s`,
        `try again, or ${this.#protocol.otherServer}`,
      );
    } else {
      this.#lost(
        `does not answer within ${timeout} s`,
        `check the network, or ${this.#protocol.otherServer}`,
      );
    }
  }

  #lost(what: string, hint = ""): void {
    this.end();
    this.#owner.lost(new ConnectionFailed(`the server ${this.#name} ${what}`, hint));
  }

  /** Call `action` after `seconds`; replaces the timer of this name. */
  #after(seconds: number, name: string, action: () => void): void {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(action, seconds * 1000));
  }

  #cancel(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
