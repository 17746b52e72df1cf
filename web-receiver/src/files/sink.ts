/**
 * Writes content into a place, in the worker. As `dcsend/files/directory_sink.py`.
 *
 * Each file is put in place when its digest matches. An error of one file fails that file alone; a
 * destination that is full or gone ends the run. Texts are kept in memory.
 */
import type { Bytes, Content, Data, End, Hole } from "../content.ts";
import type { Entry } from "../entry.ts";
import { DcsendError, DestinationError, LocalProtocolError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Export, Outcome } from "./contract.ts";
import type { NewHasher } from "./hashing.ts";
import { Intake } from "./intake.ts";
import type { Output, Place } from "./sinks/output.ts";
import { TextOutput } from "./sinks/text.ts";
import { DestinationLost, explain } from "./trouble.ts";

/** Bytes of consecutive frames that are written together. */
const MAX_PENDING = 1 << 20;

/** The file that is being received: the protocol sends one after another. */
interface Current {
  readonly number: number;
  readonly entry: Entry;
  readonly intake: Intake;
  readonly output: Output;
}

/** Receives the entries whose numbers are in `wanted` into a place. */
export class FileSink {
  readonly #entries: readonly Entry[];
  readonly #wanted: ReadonlySet<number>;
  readonly #place: Place;
  readonly #newHasher: NewHasher;
  readonly #ended = new Set<number>();
  #current: Current | null = null;
  /** Content of it that is not written yet, and its length in bytes. */
  #pending: Bytes[] = [];
  #size = 0;
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
  async apply(portion: readonly Content[]): Promise<readonly Outcome[]> {
    for (const content of portion) await this.#apply(content);
    await this.#guard(this.#current?.number, () => this.#flush());
    return this.#take();
  }

  /** See `Sink.finish`. */
  async finish(): Promise<{ outcomes: readonly Outcome[]; exports: readonly Export[] }> {
    if (this.#lost !== null) throw this.#lost;
    if (this.#current !== null) {
      const { number, entry } = this.#current;
      const reason = `${printable(entry.path)}: its end was not received`;
      await this.#fail(number, new DestinationError(reason));
    }
    for (const number of this.#wanted) await this.#make(number);
    try {
      const exports = await this.#place.finish();
      // No spread: a call can't have a hundred thousand arguments.
      for (const outcome of this.#withheld) this.#outcomes.push(outcome);
      return { outcomes: this.#take(), exports };
    } catch (error) {
      throw this.#lose(explain(error, "the download"));
    }
  }

  /** See `Sink.close`. */
  async close(): Promise<readonly Export[]> {
    this.#lost ??= new DestinationLost("the destination was closed");
    await this.#current?.output.discard();
    return this.#place.discard();
  }

  async #apply(content: Content): Promise<void> {
    const { number } = content;
    if (this.#lost !== null) throw this.#lost;
    const kind = this.#wanted.has(number) ? this.#entries[number]?.kind : undefined;
    if (kind !== "file" && kind !== "text") {
      throw new LocalProtocolError(`content for entry ${number}, which was not accepted`);
    }
    if (this.#ended.has(number)) return;
    // Only of a part, and the page keeps none.
    if (content.type === "restart") throw new LocalProtocolError(`restart of entry ${number}`);
    await this.#guard(number, async () => {
      if (content.type === "abort") await this.#abort(number, content.reason);
      else await this.#write(await this.#open(number), content);
    });
  }

  /** Run `action` for a file; an error fails the file, or ends the run. */
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
      throw new LocalProtocolError(`content of entry ${number} before the end of another`);
    }
    const entry = this.#entries[number];
    if (entry === undefined) throw new LocalProtocolError(`no entry ${number}`);
    if (this.#place.spoiled !== "") throw new DestinationError(this.#place.spoiled);
    const output = entry.kind === "text" ? new TextOutput() : await this.#place.open(entry);
    const intake = new Intake(entry, this.#newHasher());
    this.#pending = [];
    this.#size = 0;
    this.#current = { number, entry, intake, output };
    return this.#current;
  }

  async #write(current: Current, content: Data | Hole | End): Promise<void> {
    const { intake, output } = current;
    if (content.type === "hole") {
      intake.check(content.offset, content.length);
      await this.#flush();
      intake.countZeros(content.length);
      await output.skip(content.length);
      return;
    }
    const { payload } = content;
    if (payload.length > 0) {
      const isEnd = content.type === "end";
      intake.check(isEnd ? content.size - payload.length : content.offset, payload.length);
      intake.count(payload);
      this.#pending.push(payload);
      this.#size += payload.length;
    }
    if (content.type === "end" || this.#size >= MAX_PENDING) await this.#flush();
    if (content.type === "end") await this.#end(current, content);
  }

  async #flush(): Promise<void> {
    const current = this.#current;
    if (current === null || this.#size === 0) return;
    const pieces = this.#pending;
    this.#pending = [];
    this.#size = 0;
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
    const download = await this.#place.handOver?.(output);
    const outcome = {
      ...failed(number),
      status: "ok" as const,
      saved: output.saved,
      size: intake.position,
      sha256: intake.sha256(),
      text,
      ...(download === undefined ? {} : { download }),
    };
    (this.#place.withholds && text === null ? this.#withheld : this.#outcomes).push(outcome);
  }

  async #abort(number: number, given: string): Promise<void> {
    const name = printable(this.#entries[number]?.path ?? "");
    const reason = `${name}: the sender aborted it: ${printable(given) || "no reason given"}`;
    await this.#fail(number, new DestinationError(reason), "aborted");
  }

  /** End an entry, and remove what was written of it. */
  async #fail(number: number, error: Error, status: Outcome["status"] = "failed"): Promise<void> {
    this.#ended.add(number);
    const current = this.#current?.number === number ? this.#current : null;
    const outcome = { ...failed(number), status, reason: error.message };
    if (current === null) this.#outcomes.push(outcome);
    else {
      this.#current = null;
      const { intake, output } = current;
      await output.discard();
      this.#outcomes.push({ ...outcome, size: intake.position, sha256: intake.sha256() });
    }
    const reason = this.#place.spoiled;
    if (reason === "") return;
    // The entries that are lost with it are reported at once.
    for (const good of this.#withheld) {
      this.#outcomes.push({ ...good, status: "failed", saved: "", reason });
    }
    this.#withheld = [];
  }

  /** Create the folder `number`; links fail, because a browser can't create them. */
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
