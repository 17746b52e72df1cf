/** The worker's side of disk.ts: one sink or one source, behind a port. */
import type { Content } from "../content.ts";
import type { Entry } from "../entry.ts";
import { LocalProtocolError } from "../errors.ts";
import type { Block, Chosen, Destination, Findings, Outcome } from "./contract.ts";
import { loadHashing, type NewHasher } from "./hashing.ts";
import { digestsOf, type Point } from "./journal.ts";
import { pack } from "./packing.ts";
import { type Answer, answer, type Port } from "./rpc.ts";
import { FileSink } from "./sink.ts";
import { EachPlace } from "./sinks/each.ts";
import { FolderPlace } from "./sinks/folder.ts";
import { openKeptPart } from "./sinks/kept-part.ts";
import { MemoryTarget } from "./sinks/memory.ts";
import type { Place, Target } from "./sinks/output.ts";
import { PartTarget } from "./sinks/part.ts";
import { openPicked } from "./sinks/picker.ts";
import { PrivateTarget } from "./sinks/private.ts";
import { openPrivatePart } from "./sinks/private-part.ts";
import { SinglePlace } from "./sinks/single.ts";
import { StreamTarget } from "./sinks/stream.ts";
import { ZipPlace } from "./sinks/zip.ts";
import { FileSource } from "./source.ts";
import { explain } from "./trouble.ts";

/** A destination in the form that the worker needs. */
export type Spot =
  | Exclude<Destination, { type: "private" | "stream" | "memory" }>
  /** Of `parts`, content is kept. */
  | {
      readonly type: "memory";
      readonly zipped: boolean;
      readonly parts?: ReadonlyMap<number, PartSpot>;
    }
  /** `id` of the folder, and the parts by the number of the entry; the page holds their locks. */
  | {
      readonly type: "private";
      readonly id: string;
      readonly zipped: boolean;
      readonly parts: ReadonlyMap<number, PartSpot>;
    }
  /** The writing end of an announced download. */
  | { readonly type: "stream"; readonly port: MessagePort };

/** A part that is begun or continued. */
export interface PartSpot {
  readonly id: string;
  /** The lines of its journal that its content has; none of a new one. */
  readonly points: readonly Point[];
}

/** The result of `openSink`, see `Sink`. */
export interface SinkOpened {
  readonly have: ReadonlyMap<number, number>;
  readonly digests: readonly (readonly [number, number, string])[];
}

/** The result of `apply`. */
export interface Applied {
  readonly outcomes: readonly Outcome[];
  readonly findings: Findings;
}

/** The arguments of `openSink`. */
export interface SinkRequest {
  readonly spot: Spot;
  readonly entries: readonly Entry[];
  readonly wanted: readonly number[];
}

/** The arguments of `openSource`. */
export interface SourceRequest {
  readonly chosen: readonly Chosen[];
  readonly skip: readonly number[];
  readonly blockSize: number;
}

/** Serve the requests for one sink or one source that come through `port`. */
export function serve(port: Port): void {
  let sink: FileSink | null = null;
  let source: FileSource | null = null;
  // One portion after another; only close() runs beside them.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(action: () => Promise<T>): Promise<T> => {
    const result = turn.then(action);
    turn = result.catch(() => undefined);
    return result;
  };
  let verifies = false;
  /** Verify parts between two portions. */
  const verify = async () => {
    if (verifies) return;
    verifies = true;
    while (await inTurn(() => needed(sink).advance())) {
      // Messages have their turn.
      await new Promise((resolve) => setTimeout(resolve));
    }
    verifies = false;
  };
  answer(port, {
    async openSink(request: SinkRequest): Promise<Answer> {
      sink = await openSink(request);
      return { value: opened(request) };
    },
    async apply(portion: readonly Content[]): Promise<Answer> {
      const applied = await inTurn(async (): Promise<Applied> => {
        const outcomes = await needed(sink).apply(portion);
        return { outcomes, findings: needed(sink).findings() };
      });
      // An error fails its file, or the next portion.
      verify().catch(() => undefined);
      return { value: applied };
    },
    async finish(): Promise<Answer> {
      return { value: await inTurn(() => needed(sink).finish()) };
    },
    async close(): Promise<Answer> {
      return { value: (await sink?.close()) ?? [] };
    },
    async openSource({ chosen, skip, blockSize }: SourceRequest): Promise<Answer> {
      source = new FileSource(chosen, new Set(skip), blockSize, await loadHashing());
      return { value: null };
    },
    async next(due: number): Promise<Answer> {
      const block: Block | null = await needed(source).next(due);
      return { value: block, transfer: block === null ? [] : [block.payload.buffer] };
    },
  });
}

function needed<T>(opened: T | null): T {
  if (opened === null) throw new LocalProtocolError("nothing has been opened");
  return opened;
}

async function openSink({ spot, entries, wanted }: SinkRequest): Promise<FileSink> {
  const numbers = new Set(wanted);
  const newHasher = await loadHashing();
  try {
    const place = await openPlace(spot, entries, numbers, newHasher);
    return new FileSink(entries, numbers, place, newHasher);
  } catch (error) {
    throw explain(error, "the destination");
  }
}

/** Return what is there of the parts that a sink continues. */
function opened({ spot }: SinkRequest): SinkOpened {
  const have = new Map<number, number>();
  const digests: [number, number, string][] = [];
  const parts = "parts" in spot ? [...(spot.parts ?? [])] : [];
  for (const [number, { points }] of parts.sort(([one], [other]) => one - other)) {
    const last = points.at(-1);
    if (last === undefined) continue;
    have.set(number, last.offset);
    for (const [offset, sha256] of digestsOf(points)) digests.push([number, offset, sha256]);
  }
  return { have, digests };
}

async function openPlace(
  spot: Spot,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
  newHasher: NewHasher,
): Promise<Place> {
  if (spot.type === "folder") return new FolderPlace(spot.handle, spot.existing);
  const { form, name, loose } = pack(entries, wanted);
  const open = async (saved: string, file: Entry | undefined, content?: string) => {
    const number = file === undefined ? -1 : entries.indexOf(file);
    const part = "parts" in spot ? spot.parts?.get(number) : undefined;
    if (part === undefined || file === undefined) return openTarget(spot, saved, content);
    const isPrivate = spot.type === "private";
    const opened = await (isPrivate ? openPrivatePart(part.id) : openKeptPart(part.id, number));
    return PartTarget.open(saved, file, opened, part.points, newHasher);
  };
  if (loose && (spot.type === "private" || spot.type === "memory") && !spot.zipped) {
    return new EachPlace((saved, number, entry) => open(saved, entry, `content-${number}`));
  }
  // With nothing to save the target is never written, so it must not be created either.
  if (form === "nothing") return new SinglePlace(new MemoryTarget(name));
  if (form === "zip") return new ZipPlace(await openTarget(spot, name));
  const only = entries.find(({ kind }, number) => kind === "file" && wanted.has(number));
  return new SinglePlace(await open(name, only));
}

async function openTarget(
  spot: Exclude<Spot, { type: "folder" }>,
  name: string,
  content?: string,
): Promise<Target> {
  if (spot.type === "picker") return openPicked(spot.handle);
  if (spot.type === "private") return PrivateTarget.open(spot.id, name, content);
  if (spot.type === "memory") return new MemoryTarget(name);
  const target = new StreamTarget(name, spot.port);
  await target.started();
  return target;
}
