/** The side that has shown a short code, in a second meeting; a page never is. */
import { type AgainKeys, tagOf } from "../src/rendezvous/again.ts";
import type { Bytes } from "../src/rendezvous/bytes.ts";
import { HEAD_SIZE, type Message, Side, systemRandom } from "../src/rendezvous/handshake.ts";
import type { Item } from "../src/rendezvous/items.ts";
import { type Phase, phaseName } from "../src/rendezvous/sealing.ts";
import { tagged } from "../src/rendezvous/wire.ts";
import type { MemoryServer } from "./memory-server.ts";
import { hex, unhex } from "./shortcodes.ts";

export class AgainAllocator extends Side {
  readonly first: Message;
  readonly #again: AgainKeys;

  constructor(again: AgainKeys) {
    super("a", 0, 1);
    this.#again = again;
    this.first = ["a0", Uint8Array.from([1, 0, ...systemRandom(16)])];
  }

  received(phase: string, body: Bytes): Item[] {
    return this.receive(phase, body);
  }

  seal(items: readonly Item[]): Message {
    const [phase, body] = this.sealNext(items);
    const head = phase.number === 1 ? [1, 0] : [];
    return [phaseName(phase), Uint8Array.from([...head, ...body])];
  }

  protected override opened(phase: Phase, body: Bytes): Bytes {
    if (phase.number > 0) return this.open(phase, body);
    this.keys = this.#again.keys(this.first[1], body);
    return this.open(phase, body.slice(HEAD_SIZE + 16));
  }
}

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
