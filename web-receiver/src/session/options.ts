/** What a run needs, asks and offers: types only. Imports only types. */
import type { Connection } from "../engines/base.ts";
import type { Entry } from "../entry.ts";
import type { DcsendError } from "../errors.ts";
import type { Chosen, Destination, Sink, Source } from "../files/operations.ts";
import type { Emit, Finished, ManifestKnown } from "./events.ts";

/** What a person decided about an offer. */
export interface Decision {
  /** Entries that are not wanted, with reason `declined`. */
  readonly skip: ReadonlyMap<number, string>;
  readonly destination: Destination;
}

/** What a person is asked; each at most once in a run, and maybe never answered. */
export interface Questions {
  /** Take it, and where to? null declines. */
  decide(manifest: ManifestKnown): Promise<Decision | null>;
  /** What to send? null, or nothing, cancels. */
  choose(): Promise<readonly Chosen[] | null>;
}

/** Everything that a run is given. */
export interface RunOptions {
  /** Dial the code; called once, until `signal` says no. Rejects with ConnectionFailed. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>;
  /** When the code expires; seconds since 1970. */
  readonly expires: number;
  /** Told of every event; the last is `done`. */
  readonly emit: Emit;
  readonly questions: Questions;
  /** Name and version of this page, as the peer is told. */
  readonly agent: string;
  /** Whether a path may be saved: empty, or why not. */
  readonly judge: (path: string) => string;
  /** As in files/disk.ts. */
  readonly openSink: (
    destination: Destination,
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
  ) => Promise<Sink>;
  /** As in files/disk.ts. */
  readonly openSource: (chosen: readonly Chosen[], skip: ReadonlySet<number>) => Source;
  /** Monotonic seconds. */
  readonly now: () => number;
  /** Seconds since 1970. */
  readonly wallClock: () => number;
  /** Data-message bytes in flight at most; smaller than the protocol's in tests. */
  readonly window?: number;
}

/** A run that goes on. */
export interface Run {
  /** Send a line to the other side; without effect while nobody is there. */
  say(line: string): void;
  /** The person cancels, or there is another reason. Without effect when it is over. */
  stop(reason?: DcsendError): void;
  /** The page is going away: tell the peer at once, as far as that is possible. */
  leave(): void;
  /** Resolves to the last event, which has been emitted then; never rejects. */
  readonly finished: Promise<Finished>;
}
