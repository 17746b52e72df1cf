/**
 * Carry out operations on entries, in the worker: as `dcsend/files/sink.py`.
 *
 * Each file is put in place when its digest matches. Trouble with one file fails that file alone; a
 * destination that is full or gone ends the run. Texts are kept in memory.
 */
import type { Entry } from "../entry.ts";
import { DcsendError, DestinationError, LocalProtocolError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { NewHasher } from "./hashing.ts";
import { Intake } from "./intake.ts";
import type { End, Export, Operation, Outcome } from "./operations.ts";
import type { Bytes, Output, Place } from "./sinks/output.ts";
import { TextOutput } from "./sinks/text.ts";
import { DestinationLost, explain } from "./trouble.ts";

/** Bytes of neighbouring frames that are written in one go. */
const MAX_PENDING = 1 << 20;

/** The file that is arriving: the protocol sends one after another. */
interface Current {
  readonly number: number;
  readonly entry: Entry;
  readonly intake: Intake;
  readonly output: Output;
  pending: Bytes[];
  size: number;
}

/** Receives the entries whose numbers are in `wanted` into a place. */
export class FileSink {
  readonly #entries: readonly Entry[];
  readonly #wanted: ReadonlySet<number>;
  readonly #place: Place;
  readonly #newHasher: NewHasher;
  readonly #ended = new Set<number>();
  #current: Current | null = null;
  #outcomes: Outcome[] = [];
  #withheld: Outcome[] = [];
  #lost: Error | null = null;

  constructor(
    entries: readonly Entry[],
    wanted: ReadonlySet<number>,
    place: Place,
    newHasher: NewHasher,
  ) {
    this.#entries = entries;
    this.#wanted = wanted;
    this.#place = place;
    this.#newHasher = newHasher;
  }

  /** See `Sink.apply`. */
  async apply(batch: readonly Operation[]): Promise<readonly Outcome[]> {
    for (const operation of batch) await this.#carryOut(operation);
    await this.#guard(this.#current?.number, () => this.#flush());
    return this.#take();
  }

  /** See `Sink.finish`. */
  async finish(): Promise<{ outcomes: readonly Outcome[]; exports: readonly Export[] }> {
    if (this.#lost !== null) throw this.#lost;
    if (this.#current !== null) {
      const { number, entry } = this.#current;
      await this.#fail(
        number,
        new DestinationError(`${printable(entry.path)} never came to its end`),
      );
    }
    for (const number of this.#wanted) await this.#make(number);
    try {
      const exports = await this.#place.finish();
      // No spread: a hundred thousand arguments are more than a call can have.
      for (const outcome of this.#withheld) this.#outcomes.push(outcome);
      return { outcomes: this.#take(), exports };
    } catch (error) {
      throw this.#lose(explain(error, "the download"));
    }
  }

  /** See `Sink.close`. */
  async close(): Promise<void> {
    this.#lost ??= new DestinationLost("the destination was closed");
    await this.#current?.output.discard();
    await this.#place.discard();
  }

  async #carryOut(operation: Operation): Promise<void> {
    const { number } = operation;
    if (this.#lost !== null) throw this.#lost;
    const kind = this.#wanted.has(number) ? this.#entries[number]?.kind : undefined;
    if (kind !== "file" && kind !== "text") {
      throw new LocalProtocolError(`bytes for entry ${number}, which was not accepted`);
    }
    if (this.#ended.has(number)) return;
    await this.#guard(number, async () => {
      if (operation.type === "abort") await this.#abort(number, operation.reason);
      else await this.#write(await this.#open(number), operation);
    });
  }

  /** Run `action` for a file; what goes wrong fails the file, or all. */
  async #guard(number: number | undefined, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (number === undefined || error instanceof LocalProtocolError) throw error;
      const trouble =
        error instanceof DcsendError ? error : explain(error, this.#entries[number]?.path ?? "");
      if (trouble instanceof DestinationLost) throw this.#lose(trouble);
      await this.#fail(number, trouble);
    }
  }

  async #open(number: number): Promise<Current> {
    if (this.#current !== null) {
      if (this.#current.number === number) return this.#current;
      throw new LocalProtocolError(`entry ${number} came before the end of another`);
    }
    const entry = this.#entries[number];
    if (entry === undefined) throw new LocalProtocolError(`no entry ${number}`);
    if (this.#place.spoiled !== "") throw new DestinationError(this.#place.spoiled);
    const output = entry.kind === "text" ? new TextOutput() : await this.#place.open(entry);
    const intake = new Intake(entry, this.#newHasher());
    this.#current = { number, entry, intake, output, pending: [], size: 0 };
    return this.#current;
  }

  async #write(current: Current, operation: Exclude<Operation, { type: "abort" }>): Promise<void> {
    const { intake, output } = current;
    if (operation.type === "write") {
      intake.check(operation.offset, operation.payload.length);
      intake.count(operation.payload);
      current.pending.push(operation.payload);
      current.size += operation.payload.length;
      if (current.size >= MAX_PENDING) await this.#flush();
      return;
    }
    if (operation.type === "hole") intake.check(operation.offset, operation.length);
    await this.#flush();
    if (operation.type === "hole") {
      intake.countZeros(operation.length);
      await output.skip(operation.length);
    } else {
      await this.#end(current, operation);
    }
  }

  async #flush(): Promise<void> {
    const current = this.#current;
    if (current === null || current.size === 0) return;
    const pieces = current.pending;
    current.pending = [];
    current.size = 0;
    await current.output.write(pieces);
  }

  async #end({ number, intake, output }: Current, end: End): Promise<void> {
    const mismatch = intake.mismatch(end);
    if (mismatch !== "") {
      await this.#fail(number, new DestinationError(mismatch), "mismatch");
      return;
    }
    await output.finish();
    this.#current = null;
    this.#ended.add(number);
    const text = output instanceof TextOutput ? output.text() : null;
    const outcome = {
      ...failed(number),
      status: "ok" as const,
      saved: output.saved,
      size: intake.position,
      sha256: intake.sha256(),
      text,
    };
    (this.#place.withholds && text === null ? this.#withheld : this.#outcomes).push(outcome);
  }

  async #abort(number: number, given: string): Promise<void> {
    const name = printable(this.#entries[number]?.path ?? "");
    const reason = `${name}: the sender gave it up: ${printable(given) || "no reason given"}`;
    await this.#fail(number, new DestinationError(reason), "aborted");
  }

  /** End one entry for good, and remove what there is of it. */
  async #fail(number: number, error: Error, status: Outcome["status"] = "failed"): Promise<void> {
    this.#ended.add(number);
    const current = this.#current?.number === number ? this.#current : null;
    const outcome = { ...failed(number), status, reason: error.message };
    if (current === null) {
      this.#outcomes.push(outcome);
      return;
    }
    this.#current = null;
    const { intake, output } = current;
    await output.discard();
    this.#outcomes.push({ ...outcome, size: intake.position, sha256: intake.sha256() });
    const reason = this.#place.spoiled;
    if (reason === "") return;
    // What it has spoiled is told at once: nothing can save it any more.
    for (const good of this.#withheld) {
      this.#outcomes.push({ ...good, status: "failed", saved: "", reason });
    }
    this.#withheld = [];
  }

  /** Make the folder `number`; links, which a browser can't make, fail. */
  async #make(number: number): Promise<void> {
    const entry = this.#entries[number];
    await this.#guard(number, async () => {
      if (entry?.kind === "directory") await this.#place.makeFolder(entry);
      if (entry?.kind === "link") throw new DestinationError("a browser can't make links");
    });
  }

  #lose(error: Error): Error {
    this.#lost ??= error;
    return this.#lost;
  }

  #take(): readonly Outcome[] {
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    return outcomes;
  }
}

function failed(number: number): Outcome {
  return { number, status: "failed", saved: "", size: 0, sha256: "", reason: "", text: null };
}
