/** The worker's side of disk.ts: one sink or one source, behind a port. */
import type { Content } from "../content.ts";
import type { Entry } from "../entry.ts";
import { LocalProtocolError } from "../errors.ts";
import type { Block, Chosen, Destination } from "./contract.ts";
import { loadHashing } from "./hashing.ts";
import { pack } from "./packing.ts";
import { type Answer, answer, type Port } from "./rpc.ts";
import { FileSink } from "./sink.ts";
import { EachPlace } from "./sinks/each.ts";
import { FolderPlace } from "./sinks/folder.ts";
import { MemoryTarget } from "./sinks/memory.ts";
import type { Place, Target } from "./sinks/output.ts";
import { openPicked } from "./sinks/picker.ts";
import { PrivateTarget } from "./sinks/private.ts";
import { SinglePlace } from "./sinks/single.ts";
import { StreamTarget } from "./sinks/stream.ts";
import { ZipPlace } from "./sinks/zip.ts";
import { FileSource } from "./source.ts";
import { explain } from "./trouble.ts";

/** A destination in the form that the worker needs. */
export type Spot =
  | Exclude<Destination, { type: "private" | "stream" }>
  /** `id` of the folder, whose lock the page holds. */
  | { readonly type: "private"; readonly id: string; readonly zipped: boolean }
  /** The writing end of an announced download. */
  | { readonly type: "stream"; readonly port: MessagePort };

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
  answer(port, {
    async openSink(request: SinkRequest): Promise<Answer> {
      sink = await openSink(request);
      return { value: null };
    },
    async apply(portion: readonly Content[]): Promise<Answer> {
      return { value: await inTurn(() => needed(sink).apply(portion)) };
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
    return new FileSink(entries, numbers, await openPlace(spot, entries, numbers), newHasher);
  } catch (error) {
    throw explain(error, "the destination");
  }
}

async function openPlace(
  spot: Spot,
  entries: readonly Entry[],
  wanted: ReadonlySet<number>,
): Promise<Place> {
  if (spot.type === "folder") return new FolderPlace(spot.handle, spot.existing);
  const { form, name, loose } = pack(entries, wanted);
  if (loose && (spot.type === "private" || spot.type === "memory") && !spot.zipped) {
    return new EachPlace((saved, number) => openTarget(spot, saved, `content-${number}`));
  }
  // With nothing to save the target is never written, so it must not be created either.
  const target = form === "nothing" ? new MemoryTarget(name) : await openTarget(spot, name);
  return form === "zip" ? new ZipPlace(target) : new SinglePlace(target);
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
