/** A WebSocket whose server is the test. */
import type { Socket } from "../src/rendezvous/websocket.ts";

export const WELCOME = { type: "welcome", welcome: {} };
export const CLAIMED = { type: "claimed", mailbox: "m1" };
export const PONG = { type: "pong", pong: 1 };

/** A message of a mailbox. */
export function message(side: string, phase: unknown, body: unknown = "00") {
  return { type: "message", side, phase, body };
}

/** One connection. */
export class FakeSocket {
  binaryType: BinaryType = "blob";
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  onerror: Socket["onerror"] = null;
  /** What the page has sent. */
  readonly sent: Record<string, unknown>[] = [];
  /** Whether the page has closed it. */
  isClosed = false;
  #isAccepted = false;
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  send(text: string): void {
    if (!this.#isAccepted || this.isClosed) throw new Error("sent without a connection");
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  /** The types of what the page has sent. */
  get types(): unknown[] {
    return this.sent.map(({ type }) => type);
  }

  /** The phases that the page has added. */
  get phases(): unknown[] {
    return this.sent.filter(({ type }) => type === "add").map(({ phase }) => phase);
  }

  /** Accept the connection. */
  accept(): void {
    this.#isAccepted = true;
    this.onopen?.call(this as never, new Event("open"));
  }

  /** Send messages to the page: objects as JSON, others as they are. */
  deliver(...messages: unknown[]): void {
    for (const message of messages) {
      const isObject = typeof message === "object" && !(message instanceof ArrayBuffer);
      const data = isObject ? JSON.stringify(message) : message;
      this.onmessage?.call(this as never, { data } as MessageEvent);
    }
  }

  /** Accept, and open the mailbox. */
  open(...messages: unknown[]): void {
    this.accept();
    this.deliver(WELCOME, CLAIMED, ...messages, PONG);
  }

  /** Fail as a connection does that is refused. */
  fail(): void {
    this.onerror?.call(this as never, new Event("error"));
  }

  /** Close the connection from the side of the server, or of the network. */
  drop(): void {
    this.onclose?.call(this as never, new Event("close") as CloseEvent);
  }
}

/** The network: all connections that the page has made. */
export class FakeNetwork {
  readonly sockets: FakeSocket[] = [];

  readonly newSocket = (url: string): Socket => {
    const socket = new FakeSocket(url);
    this.sockets.push(socket);
    return socket;
  };

  /** The newest connection. */
  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no connection was made");
    return socket;
  }
}
