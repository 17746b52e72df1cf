/** A server of the mailbox protocol in this process, with what both sides of a short code need. */
import type { Candidate } from "../src/description.ts";
import { ConnectionFailed } from "../src/errors.ts";
import type { Link } from "../src/peers/contract.ts";
import type { Network } from "../src/peers/reasons.ts";
import type { Socket } from "../src/rendezvous/websocket.ts";
import type { Attempt } from "../src/session/trickling.ts";
import { CHROMIUM_OFFER } from "./fake-peer.ts";
import { memoryPair } from "./memory-peers.ts";

interface Added {
  readonly side: string;
  readonly phase: string;
  readonly body: string;
}

/** A server with a mailbox for each number. */
export class MemoryServer {
  /** Whether it answers pings, as a server that works does. */
  answersPings = true;
  /** Fields of `welcome`. */
  welcome: object = {};
  readonly #added = new Map<string, Added[]>();
  /** The moods of mailboxes that were closed, in their order. */
  readonly moods: string[] = [];
  /** Called with each message of a side; returns what the other side gets. */
  change = (added: Added): Added => added;
  /** Sockets that are open. */
  readonly sockets = new Set<MemorySocket>();
  number = 0;

  readonly newSocket = (): Socket => {
    const socket = new MemorySocket(this);
    this.sockets.add(socket);
    queueMicrotask(() => socket.accept());
    return socket as unknown as Socket;
  };

  /** The phases of the newest mailbox. */
  get phases(): string[] {
    return this.messages(String(this.number)).map(({ phase }) => phase);
  }

  /** Lose all connections. */
  drop(): void {
    for (const socket of this.sockets) {
      this.sockets.delete(socket);
      socket.onclose?.();
    }
  }

  /** All messages of a mailbox. */
  messages(number: string): readonly Added[] {
    return this.#added.get(number) ?? [];
  }

  /** Add a message to a mailbox, the newest one if no other is named, and pass it on. */
  add(added: Added, number = String(this.number)): void {
    const changed = this.change(added);
    this.#added.set(number, [...this.messages(number), changed]);
    for (const socket of this.sockets) socket.pass(changed, number);
  }
}

class MemorySocket {
  binaryType: BinaryType = "blob";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  readonly #server: MemoryServer;
  /** What this side has claimed. */
  number = "";
  #side = "";
  #isOpen = false;

  constructor(server: MemoryServer) {
    this.#server = server;
  }

  accept(): void {
    // Before the responses to what the page sends at once.
    this.#deliver({ type: "welcome", welcome: this.#server.welcome });
    this.onopen?.();
  }

  close(): void {
    this.#server.sockets.delete(this);
  }

  /** Deliver a message of the mailbox. */
  pass(added: Added, number: string): void {
    if (this.#isOpen && this.number === number) {
      this.#deliver({ type: "message", ...added });
    }
  }

  send(text: string): void {
    const fields = JSON.parse(text);
    const server = this.#server;
    switch (fields.type) {
      case "bind":
        this.#side = fields.side;
        break;
      case "allocate":
        server.number += 1;
        this.#deliver({ type: "allocated", nameplate: String(server.number) });
        break;
      case "claim":
        this.number = fields.nameplate;
        this.#deliver({ type: "claimed", mailbox: `m${this.number}` });
        break;
      case "open":
        this.#isOpen = true;
        // That of a second meeting has no number.
        if (this.number === "") this.number = fields.mailbox;
        for (const added of server.messages(this.number)) this.pass(added, this.number);
        break;
      case "add":
        server.add({ side: this.#side, phase: fields.phase, body: fields.body }, this.number);
        break;
      case "ping":
        if (server.answersPings) this.#deliver({ type: "pong", pong: fields.ping });
        break;
      case "close":
        server.moods.push(fields.mood);
        this.#deliver({ type: "closed" });
        break;
    }
  }

  #deliver(message: object): void {
    const data = JSON.stringify(message);
    queueMicrotask(() => this.onmessage?.({ data }));
  }
}

/** ICE of one side without a network: connects with its other end when it has its candidates. */
export class MemoryAttempt implements Attempt {
  problems: ConnectionFailed[] = [];
  /** Candidates of this side; more can be added before the end. */
  readonly own: string[] = [];
  readonly theirs: string[] = [];
  /** What `describe` and `establish` were given. */
  readonly given: string[] = [];
  /** TURN servers that were offered. */
  offered: readonly object[];
  /** Resolves when the browser has made an offer. */
  readonly preparing: Promise<void>;
  /** What the other side has reported about its network. */
  there: Network | null = null;
  /** Reports how the network of this side behaves. */
  survey: (network: Network) => void = () => undefined;
  readonly network = new Promise<Network>((resolve) => {
    this.survey = resolve;
  });
  isEnded = false;
  isClosed = false;
  readonly #connection: Link;
  readonly #needs: number;
  #connect: (connection: Link) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  readonly offers: boolean;

  constructor(
    offers: boolean,
    connection: Link,
    needs = 1,
    offered: readonly object[] = [],
    preparing = Promise.resolve(),
  ) {
    this.offers = offers;
    this.offered = offered;
    this.preparing = preparing;
    this.#connection = connection;
    this.#needs = needs;
    this.own.push(`candidate:1 1 udp 2130706431 192.0.2.${offers ? 7 : 8} 40000 typ host`);
  }

  async prepare(): Promise<void> {
    await this.preparing;
  }

  addServers(servers: readonly object[]): void {
    this.offered = servers;
  }

  async describe(offer = ""): Promise<string> {
    this.given.push(offer);
    // As a browser that has found its candidates by now.
    const sdp = CHROMIUM_OFFER.replace(/^a=candidate.*$/m, `a=${this.own[0]}`);
    return this.offers ? sdp : sdp.replace("actpass", "active");
  }

  async *outgoing(): AsyncGenerator<readonly string[]> {
    yield this.own;
  }

  add(candidate: string): void {
    this.theirs.push(candidate);
    if (this.theirs.length >= this.#needs) this.#connect(this.#connection);
  }

  end(): void {
    this.isEnded = true;
  }

  setNetwork(there: Network): void {
    this.there = there;
  }

  establish(answer = ""): Promise<Link> {
    this.given.push(answer);
    return new Promise((resolve, reject) => {
      this.#connect = resolve;
      this.#fail = reject;
      if (this.theirs.length >= this.#needs) resolve(this.#connection);
    });
  }

  refused(said: string): void {
    this.#fail(new ConnectionFailed(`no path; the other side: ${said}`, "name a relay"));
  }

  /** Connect, as with a path. */
  succeed(): void {
    this.#connect(this.#connection);
  }

  /** Fail, as without a path. */
  fail(): void {
    this.#fail(new ConnectionFailed("no path", "name a relay"));
  }

  close(): void {
    this.isClosed = true;
    this.fail();
  }
}

/** The attempts of both sides, in the order in which they begin. */
export class Attempts {
  readonly begun: MemoryAttempt[] = [];
  /** When the browser of each side that offers has made its offer. */
  preparing = Promise.resolve();
  /** Candidates that each needs to connect. */
  needs = 1;
  /** Thrown by the next side that answers. */
  refusal: Error | null = null;
  #pair = memoryPair();

  /** The end of the side that has entered the code. */
  get other(): Link {
    return this.#pair[0];
  }

  /** Let the next attempts have a connection of their own. */
  renew(): void {
    this.#pair = memoryPair();
  }

  readonly open = (offers: boolean, offered: readonly object[]): MemoryAttempt => {
    if (!offers && this.refusal !== null) throw this.refusal;
    const [left, right] = this.#pair;
    const end = offers ? left : right;
    const attempt = new MemoryAttempt(offers, end, this.needs, offered, this.preparing);
    this.begun.push(attempt);
    return attempt;
  };
}

/** A candidate as an item. */
export function hostCandidate(host: string): Candidate {
  return { type: "host", host, port: 40_000, priority: 2_130_706_431 };
}
