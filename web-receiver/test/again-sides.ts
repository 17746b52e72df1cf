/** The other side of a short code, in a second meeting. */
import { AgainAllocator, AgainJoiner, type AgainKeys, tagOf } from "../src/rendezvous/again.ts";
import type { Message } from "../src/rendezvous/handshake.ts";
import type { Item } from "../src/rendezvous/items.ts";
import { tagged } from "../src/rendezvous/wire.ts";
import type { MemoryServer } from "./memory-server.ts";
import { hex, unhex } from "./shortcodes.ts";

/** An attempt of the allocator, in a mailbox on a server. */
export class AllocatorAttempt {
  readonly tag: string;
  readonly #party: AgainAllocator;
  readonly #server: MemoryServer;
  readonly #again: AgainKeys;

  /** Wait in the mailbox. */
  constructor(server: MemoryServer, again: AgainKeys) {
    this.#party = new AgainAllocator(again);
    this.#server = server;
    this.#again = again;
    this.tag = tagOf(this.#party.first[1]);
    this.#add(this.#party.first);
  }

  /** Whether the joiner has answered. */
  get isAnswered(): boolean {
    return this.#messages().some((phase) => phase === "b0");
  }

  /** Answer the offer. */
  answer(answer: Item): void {
    for (const { phase, body } of this.#server.messages(this.#again.mailbox)) {
      const [name, tag] = tagged(phase) ?? [];
      if (name?.startsWith("b") && tag === this.tag) this.#party.received(name, unhex(body));
    }
    this.#add(this.#party.seal([answer]));
  }

  /** Send what follows the answer. */
  send(item: Item): void {
    this.#add(this.#party.seal([item]));
  }

  #messages(): string[] {
    const all = this.#server.messages(this.#again.mailbox).map(({ phase }) => tagged(phase));
    return all.flatMap((one) => (one?.[1] === this.tag ? [one[0]] : []));
  }

  #add([phase, body]: Message): void {
    const message = { side: "a", phase: `${phase}.${this.tag}`, body: hex(body) };
    this.#server.add(message, this.#again.mailbox);
  }
}

/** An attempt of the joiner, in a mailbox on a server, by the newest a0. */
export class JoinerAttempt {
  readonly tag: string;
  readonly #a0: ReturnType<typeof unhex>;
  readonly #party: AgainJoiner;
  readonly #server: MemoryServer;
  readonly #again: AgainKeys;

  /** Read the mailbox. */
  constructor(server: MemoryServer, again: AgainKeys) {
    this.#party = new AgainJoiner(again);
    this.#server = server;
    this.#again = again;
    const waiting = server.messages(again.mailbox).filter(({ phase }) => phase.startsWith("a0."));
    this.#a0 = unhex(waiting.at(-1)?.body ?? "");
    this.tag = tagOf(this.#a0);
  }

  /** Answer a0. */
  offer(offer: Item): void {
    this.#add(this.#party.join(this.#a0, [offer]));
  }

  /** Send what follows the offer. */
  send(item: Item): void {
    this.#add(this.#party.seal([item]));
  }

  /** The kinds of the items that the page has sent with its answer. */
  get received(): string[] {
    const answers = this.#server.messages(this.#again.mailbox);
    return answers
      .filter(({ phase }) => phase === `a1.${this.tag}`)
      .flatMap(({ body }) => this.#party.received("a1", unhex(body)))
      .map(({ kind }) => kind);
  }

  #add([phase, body]: Message): void {
    const message = { side: "b", phase: `${phase}.${this.tag}`, body: hex(body) };
    this.#server.add(message, this.#again.mailbox);
  }
}
