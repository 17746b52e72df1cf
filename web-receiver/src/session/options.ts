/** The inputs and questions of a run: types only. */

import type { Entry } from "../entry.ts";
import type { Chosen, Destination, Export, Sink, Source } from "../files/contract.ts";
import type { Connection } from "../peers/contract.ts";
import type { Emit, ManifestKnown } from "./events.ts";

/** A person's answer to an offer. */
export interface Decision {
  /** Entries that are not received, with reason `declined`. */
  readonly skip: ReadonlyMap<number, string>;
  readonly destination: Destination;
}

/** The questions to a person; each at most once in a run, possibly never answered. */
export interface Questions {
  /** Whether to receive it, and to which destination; null declines. */
  decide(manifest: ManifestKnown): Promise<Decision | null>;
  /** What to send; null, or an empty list, cancels. */
  choose(): Promise<readonly Chosen[] | null>;
}

/** The inputs of a run. */
export interface RunOptions {
  /** Dials the code; called once, ends when `signal` aborts. Rejects with ConnectionFailed. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /**
   * Role of this page, which then sends its Hello at once; without one, it is the opposite of the
   * peer's.
   */
  readonly role?: "sender" | "receiver";
  /** When the code expires; seconds since 1970. */
  readonly expires: number;
  /** Called with every event; the last is `done`. */
  readonly emit: Emit;
  readonly questions: Questions;
  /** Name and version of this page, for the peer. */
  readonly agent: string;
  /** Name of this device, for the peer. */
  readonly name: string;
  /** Why a path can't be saved; empty if it can. */
  readonly validate: (path: string) => string;
  /** As in files/disk.ts. */
  readonly openSink: (
    destination: Destination,
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ) => Promise<Sink>;
  /**
   * Passes a complete file to the browser's downloads while others are still arriving; resolves
   * when they have it, or when the run is over. Never rejects. `number` is that of its entry.
   */
  readonly handOver: (file: Export, number: number) => Promise<void>;
  /** As in files/disk.ts. */
  readonly openSource: (chosen: readonly Chosen[], skip: ReadonlySet<number>) => Source;
  /** Monotonic seconds. */
  readonly now: () => number;
  /** Seconds since 1970. */
  readonly wallClock: () => number;
  /** Data-message bytes in flight at most; smaller than the protocol's in tests. */
  readonly window?: number;
}
