/**
 * Writes content into a place, in the worker. As `dcsend/files/directory_sink.py`.
 *
 * Each file is put in place when its digest matches. A part that is continued waits for that until
 * what was there is verified. An error of one file fails that file alone; a
 * destination that is full or gone ends the run. Texts are kept in memory.
 */
import type { Bytes, Content, Data, End, Hole, Repair } from "../content.ts";
import type { Entry } from "../entry.ts";
import { DcsendError, DestinationError, LocalProtocolError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Export, Findings, Outcome } from "./contract.ts";
import type { NewHasher } from "./hashing.ts";
import { Intake } from "./intake.ts";
import type { Output, Place } from "./sinks/output.ts";
import { PartTarget } from "./sinks/part.ts";
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
  /** The output, if a later transfer can continue it. */
  readonly part: PartTarget | null;
}

/** Receives the entries whose numbers are in `wanted` into a place. */
export class FileSink {
  readonly #entries: readonly Entry[];
  readonly #wanted: ReadonlySet<number>;
  readonly #place: Place;
  readonly #newHasher: NewHasher;
  readonly #ended = new Set<number>();
  #current: Current | null = null;
  /** Files that were received to their end, with bytes that were changed on the disk. */
  readonly #damaged = new Map<number, Current & { readonly end: End }>();
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

  /** Verify a little more of the current part, between two portions; return whether that goes on. */
  async advance(): Promise<boolean> {
    const current = this.#current;
    if (this.#lost !== null || !current?.part) return false;
    let goesOn = false;
    await this.#guard(current.number, async () => {
      goesOn = (await current.part?.advance()) === true;
    });
    return goesOn;
  }

  /** See `Sink.findings`; for changed ranges to be called once. */
  findings(): Findings {
    const damage: Findings["damage"][number][] = [];
    let checked: Findings["checked"] = null;
    for (const { number, part } of this.#open()) {
      const found = part?.takeDamage() ?? null;
      if (found !== null) damage.push([number, found]);
      checked ??= part?.checked ?? null;
    }
    return { damage, checked };
  }

  /** See `Sink.finish`. */
  async finish(): Promise<{ outcomes: readonly Outcome[]; exports: readonly Export[] }> {
    if (this.#lost !== null) throw this.#lost;
    for (const { number, entry } of this.#open()) {
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
    for (const { output } of this.#open()) await output.discard();
    return this.#place.discard();
  }

  /** The files that are open. */
  #open(): readonly Current[] {
    const current = this.#current === null ? [] : [this.#current];
    return [...this.#damaged.values(), ...current];
  }

  async #apply(content: Content): Promise<void> {
    const { number } = content;
    if (this.#lost !== null) throw this.#lost;
    const kind = this.#wanted.has(number) ? this.#entries[number]?.kind : undefined;
    if (kind !== "file" && kind !== "text") {
      throw new LocalProtocolError(`content for entry ${number}, which was not accepted`);
    }
    if (this.#ended.has(number)) return;
    await this.#guard(number, async () => {
      if (content.type === "abort") await this.#abort(number, content.reason);
      else if (content.type === "repair") await this.#repair(content);
      else if (content.type === "restart") await this.#restart(number);
      else await this.#write(await this.#opened(number), content);
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

  async #opened(number: number): Promise<Current> {
    if (this.#current !== null) {
      if (this.#current.number === number) return this.#current;
      throw new LocalProtocolError(`content of entry ${number} before the end of another`);
    }
    const entry = this.#entries[number];
    if (entry === undefined) throw new LocalProtocolError(`no entry ${number}`);
    if (this.#place.spoiled !== "") throw new DestinationError(this.#place.spoiled);
    const output = entry.kind === "text" ? new TextOutput() : await this.#place.open(entry);
    return this.#begin(number, entry, output);
  }

  #begin(number: number, entry: Entry, output: Output): Current {
    const part = output instanceof PartTarget ? output : null;
    const intake = new Intake(entry, part?.hasher ?? this.#newHasher(), part?.position);
    this.#pending = [];
    this.#size = 0;
    this.#current = { number, entry, intake, output, part };
    return this.#current;
  }

  /** Begin a part again, since the sender has another file. */
  async #restart(number: number): Promise<void> {
    const { entry, output, part } = await this.#opened(number);
    if (part === null) throw new LocalProtocolError(`restart of entry ${number}`);
    await part.restart();
    this.#begin(number, entry, output);
  }

  /** Write bytes that were changed on the disk; end the file if it waits for them. */
  async #repair(content: Repair): Promise<void> {
    const { number } = content;
    const damaged = this.#damaged.get(number);
    if (damaged === undefined) {
      if (this.#current?.number === number) await this.#current.part?.repair(content);
      return;
    }
    await damaged.part?.repair(content);
    if (await damaged.part?.verify()) await this.#complete(damaged, damaged.end);
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

  async #end(current: Current, end: End): Promise<void> {
    const { number, part } = current;
    if (part !== null && !(await part.verify())) {
      this.#damaged.set(number, { ...current, end });
      this.#current = null;
    } else await this.#complete(current, end);
  }

  async #complete({ number, intake, output }: Current, end: End): Promise<void> {
    const mismatch = intake.mismatch(end);
    if (mismatch !== "") {
      await this.#fail(number, new DestinationError(mismatch), "mismatch");
      return;
    }
    await output.finish();
    this.#drop(number);
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

  /** Forget an open file, and return it. */
  #drop(number: number): Current | null {
    const current = this.#damaged.get(number) ?? this.#current;
    if (current?.number !== number) return null;
    if (!this.#damaged.delete(number)) this.#current = null;
    return current;
  }

  /**
   * End an entry, and remove what was written of it; a part stays if it could not be written or
   * verified.
   */
  async #fail(number: number, error: Error, status: Outcome["status"] = "failed"): Promise<void> {
    this.#ended.add(number);
    const current = this.#drop(number);
    const outcome = { ...failed(number), status, reason: error.message };
    if (current === null) this.#outcomes.push(outcome);
    else {
      const { intake, output, part } = current;
      if (status === "failed") await part?.fail();
      else await part?.remove();
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
