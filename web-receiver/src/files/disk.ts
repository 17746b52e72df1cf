/**
 * The page's side of sinks and sources: each has a worker, which does all the work.
 *
 * Payloads are transferred, not copied: the caller can't use them afterwards.
 */
import type { Content } from "../content.ts";
import type { Entry } from "../entry.ts";
import { DcsendError, DestinationError, SourceError } from "../errors.ts";
import { announce } from "./announcing.ts";
import type {
  Block,
  Chosen,
  Destination,
  Export,
  Findings,
  Outcome,
  Sink,
  Source,
} from "./contract.ts";
import { wantsJournal } from "./journal.ts";
import { keptParts } from "./kept.ts";
import { claim, privateParts, release } from "./leftovers.ts";
import { pack } from "./packing.ts";
import { matching } from "./parts.ts";
import { Caller } from "./rpc.ts";
import {
  type Applied,
  type PartSpot,
  type SinkOpened,
  type SinkRequest,
  type SourceRequest,
  type Spot,
  serve,
} from "./serving.ts";
import { explain } from "./trouble.ts";
import { trustedUrl } from "./trusted.ts";

export { cleanPrivate } from "./leftovers.ts";

/** Bytes of a block: 16 frames, each with room for a digest. */
export const BLOCK_SIZE = 16 * 64904;

/**
 * Seconds for the browser to open its private file system, where no person is asked. Firefox 153
 * has not done it in 150 s once, on a busy machine.
 */
const OPENING = 60;

/** What the page provides to sinks and sources. */
export interface DiskHooks {
  /** Navigate a hidden frame to `url`, which is a download. */
  startDownload?(url: string): void;
  /** The page's own script, which serves the disk when run in a worker (src/start.ts). */
  readonly script?: string;
}

/** Options of a source. */
export interface SourceOptions extends DiskHooks {
  /** Bytes of a block at most; default BLOCK_SIZE. */
  readonly blockSize?: number;
  /** Blocks that are read ahead; default 2. */
  readonly readAhead?: number;
}

/** A worker, or its replacement in the page. */
interface Helper {
  readonly caller: Caller;
  end(): void;
}

/**
 * Open `destination` for the entries whose numbers are in `wanted`. Rejects with DestinationError
 * if it can't be written, or if the browser does not open its private file system in time.
 */
export function openSink(
  destination: Destination,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
  hooks: DiskHooks = {},
): Promise<Sink> {
  const starting = start(hooks);
  const opening = open(starting, destination, entries, wanted, hooks);
  return destination.type === "private" ? inTime(starting, opening) : opening;
}

/** Return the sink that is being opened, or reject after OPENING. */
async function inTime(starting: Promise<Helper>, opening: Promise<Sink>): Promise<Sink> {
  let waited = "start a worker";
  starting.then(() => {
    waited = "open its storage";
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      starting.then((helper) => helper.end());
      const message = `the browser did not ${waited} in ${OPENING} s`;
      reject(new DestinationError(message, "reload the page and use a new code"));
    }, OPENING * 1000);
  });
  return Promise.race([opening, late]).finally(() => clearTimeout(timer));
}

async function open(
  starting: Promise<Helper>,
  destination: Destination,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
  hooks: DiskHooks,
): Promise<Sink> {
  const helper = await starting;
  let stop: Prepared["stop"] = () => undefined;
  try {
    const ready = await prepare(destination, entries, wanted, hooks);
    stop = ready.stop;
    const request: SinkRequest = { spot: ready.spot, entries, wanted: [...wanted] };
    const transfer = ready.spot.type === "stream" ? [ready.spot.port] : [];
    const opened = helper.caller.call("openSink", request, transfer);
    opened.catch(() => undefined);
    // The worker waits for the download to begin, so the browser must navigate first.
    ready.begin();
    return new WorkerSink(helper, stop, (await opened) as SinkOpened);
  } catch (error) {
    helper.end();
    await stop();
    throw error instanceof DcsendError ? error : explain(error, "the destination");
  }
}

/** Read `chosen` in order, without those whose numbers are in `skip`. */
export function openSource(
  chosen: readonly Chosen[],
  skip: ReadonlySet<number>,
  options: SourceOptions = {},
): Source {
  return new WorkerSource(chosen, skip, options);
}

/** Bytes of a buffer that is transferred rather than copied. */
const MIN_TRANSFERRED = 4096;

class WorkerSink implements Sink {
  readonly have: SinkOpened["have"];
  readonly digests: SinkOpened["digests"];
  readonly #helper: Helper;
  readonly #stop: Prepared["stop"];
  #findings: Findings = { damage: [], checked: null };
  #closed = false;

  constructor(helper: Helper, stop: Prepared["stop"], { have, digests }: SinkOpened) {
    this.have = have;
    this.digests = digests;
    this.#helper = helper;
    this.#stop = stop;
  }

  get findings(): Findings {
    return this.#findings;
  }

  async apply(portion: readonly Content[]): Promise<readonly Outcome[]> {
    // Payloads may be views of one buffer, which can be transferred once. Small ones are copied:
    // Chromium looks each one up in the list of transferred buffers.
    const buffers = new Set<ArrayBuffer>();
    for (const content of portion) {
      if (!("payload" in content)) continue;
      const { buffer } = content.payload;
      if (buffer.byteLength >= MIN_TRANSFERRED) buffers.add(buffer);
    }
    const applied = await this.#helper.caller.call("apply", portion, [...buffers]);
    const { outcomes, findings } = applied as Applied;
    this.#findings = findings;
    return outcomes;
  }

  async finish(): ReturnType<Sink["finish"]> {
    return (await this.#helper.caller.call("finish", null)) as Awaited<ReturnType<Sink["finish"]>>;
  }

  async close(): Promise<readonly Export[]> {
    if (this.#closed) return [];
    this.#closed = true;
    // A worker that has ended holds no resources.
    const left = await this.#helper.caller.call("close", null).catch(() => []);
    this.#helper.end();
    await this.#stop();
    return left as readonly Export[];
  }
}

class WorkerSource implements Source {
  readonly #helper: Promise<Helper>;
  readonly #readAhead: number;
  readonly #ahead: Promise<Block | null>[] = [];

  constructor(chosen: readonly Chosen[], skip: ReadonlySet<number>, options: SourceOptions) {
    const { blockSize = BLOCK_SIZE, readAhead = 2 } = options;
    this.#readAhead = readAhead;
    const request: SourceRequest = { chosen, skip: [...skip], blockSize };
    this.#helper = start(options).then(async (helper) => {
      await helper.caller.call("openSource", request);
      return helper;
    });
    this.#helper.catch(() => undefined);
  }

  next(due: number): Promise<Block | null> {
    while (this.#ahead.length <= this.#readAhead) this.#ahead.push(this.#ask(due));
    const [block] = this.#ahead.splice(0, 1);
    return block ?? Promise.resolve(null);
  }

  close(): void {
    this.#helper.then(
      ({ caller, end }) => {
        end();
        caller.fail(new SourceError("reading was stopped"));
      },
      () => undefined,
    );
  }

  #ask(due: number): Promise<Block | null> {
    const block = this.#helper.then(({ caller }) => caller.call("next", due));
    block.catch(() => undefined);
    return block as Promise<Block | null>;
  }
}

/** Start a worker; where that fails, do its work in the page. */
async function start({ script }: DiskHooks): Promise<Helper> {
  try {
    if (script === undefined) throw new DestinationError("no script for a worker");
    const helper = startWorker(script);
    await helper.caller.ready;
    return helper;
  } catch {
    const { port1, port2 } = new MessageChannel();
    const caller = new Caller(port1);
    serve(port2);
    return { caller, end: () => port1.close() };
  }
}

function startWorker(script: string): Helper {
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(trustedUrl(url), { type: "module" });
  const caller = new Caller(worker);
  worker.onerror = (event) => {
    event.preventDefault();
    caller.fail(new DestinationError("the page's disk worker has stopped", "reload the page"));
  };
  worker.onmessageerror = () => {
    caller.fail(new DestinationError("the browser doesn't let a worker write there"));
  };
  const forget = () => URL.revokeObjectURL(url);
  caller.ready.then(forget, forget);
  return { caller, end: () => worker.terminate() };
}

/** What the page prepares before the worker can open a destination. */
interface Prepared {
  readonly spot: Spot;
  begin(): void;
  /** Release what was prepared; never rejects. */
  stop(): void | Promise<void>;
}

async function prepare(
  destination: Destination,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
  { startDownload }: DiskHooks,
): Promise<Prepared> {
  const nothing = { begin: () => undefined, stop: () => undefined };
  if (destination.type === "private") {
    const id = randomId();
    const { zipped } = destination;
    const parts = zipped ? new Map<number, PartSpot>() : await claimParts(entries, wanted);
    await claim(id);
    const stop = async () => {
      for (const part of [id, ...[...parts.values()].map((one) => one.id)]) await release(part);
    };
    return { spot: { type: "private", id, zipped, parts }, ...nothing, stop };
  }
  if (destination.type === "memory") {
    const { zipped, run = "" } = destination;
    if (zipped || run === "") return { spot: { type: "memory", zipped }, ...nothing };
    const parts = await keptParts(run, entries, wanted).catch(() => new Map<number, PartSpot>());
    return { spot: { type: "memory", zipped, parts }, ...nothing };
  }
  if (destination.type !== "stream") return { spot: destination, ...nothing };
  const { form, name, bytes } = pack(entries, wanted);
  if (form === "nothing") return { spot: { type: "memory", zipped: true }, ...nothing };
  if (startDownload === undefined) throw new DestinationError("this page starts no downloads");
  const size = form === "file" ? bytes : null;
  const { url, port, stop } = await announce({ id: randomId(), name, size });
  return { spot: { type: "stream", port }, begin: () => startDownload(url), stop };
}

/** Find or make the part of each file that gets one, and hold their locks. */
async function claimParts(
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
): Promise<ReadonlyMap<number, PartSpot>> {
  const parts = new Map<number, PartSpot>();
  const found = matching(await privateParts.list(), entries, wanted);
  for (const number of wanted) {
    const entry = entries[number];
    if (entry === undefined || !wantsJournal(entry)) continue;
    const part = found.get(number);
    if (part !== undefined && (await claim(part.id))) parts.set(number, part);
    else {
      const id = randomId();
      await claim(id);
      parts.set(number, { id, points: [] });
    }
  }
  // The browser may ask the person, who need not answer: without it, parts are deleted when the
  // disk is full.
  if (parts.size > 0) void navigator.storage?.persist?.().catch(() => undefined);
  return parts;
}

function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
