/**
 * Formats numbers, names and errors for the user; pure functions, as `dcsend/display/wording.py`.
 *
 * Sizes are decimal (1 MB = 1 000 000 bytes), as in networks, on disks and on phones.
 * Imports strings, leaves and types; no DOM.
 */
import type { Entry, Kind, LeftOut } from "./entry.ts";
import { type DcsendError, type ErrorKind, PeerCannotSave } from "./errors.ts";
import type { DestinationChoice } from "./files/capabilities.ts";
import type { Unsendable } from "./files/choosing.ts";
import { printable } from "./printable.ts";
import type { Connected, FileFinished, Finished, Progressed } from "./session/events.ts";
import {
  AGAIN,
  counts,
  destinations,
  fixed,
  KEPT,
  manyExist,
  NONE,
  type Situation,
  STILL,
  someExist,
  standstills,
  strings,
  type Trouble,
  troubles,
  verdicts,
  ways,
} from "./strings.ts";

/** A no-break space between a number and its unit. */
const GAP = "\u00a0";
const UNITS = ["kB", "MB", "GB", "TB"] as const;

/** Format a number of bytes: `0 B`, `1.5 kB`, `2.3 GB`; null is an unknown size. */
export function size(count: number | null): string {
  if (count === null) return strings.unknownSize;
  if (count < 1000) return `${Math.round(count)}${GAP}B`;
  let value = count;
  let place = -1;
  do {
    value /= 1000;
    place += 1;
  } while (value >= 999.95 && place < UNITS.length - 1);
  return `${value.toFixed(1)}${GAP}${UNITS[place]}`;
}

/** Join the texts that are not empty. */
export function listed(parts: readonly string[], between = ", "): string {
  return parts.filter((part) => part !== "").join(between);
}

/** Format a time span: `0.4 s`, `10 s`, `1 min 15 s`, `1 h 2 min`, `3 d 1 h`. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)}${GAP}s`;
  if (seconds < 59.5) return `${seconds.toFixed(0)}${GAP}s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}${GAP}min ${whole % 60}${GAP}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours}${GAP}h ${minutes % 60}${GAP}min`
    : `${Math.floor(hours / 24)}${GAP}d ${hours % 24}${GAP}h`;
}

/** Format a remaining time, in steps that grow with it, so that it changes rarely. */
export function timeLeft(seconds: number): string {
  if (seconds <= 59) return `${Math.max(1, Math.ceil(seconds))}${GAP}s`;
  if (seconds < 600) return duration(Math.ceil(seconds / 5) * 5);
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes}${GAP}min` : duration(60 * minutes);
}

/** Format a number with its noun: `1 file`, `3 folders`. */
export function counted(number: number, word: keyof typeof counts): string {
  return `${grouped(number)} ${counts[word][number === 1 ? 0 : 1]}`;
}

/** Format a large number: `99 800`. */
export function grouped(number: number): string {
  // As in ISO 80000-1; comma and point have different meanings in different countries.
  return String(number).replace(/\B(?=(\d{3})+$)/g, GAP);
}

/** Return the bytes of all entries; null if a size is unknown. */
export function total(entries: readonly Entry[]): number | null {
  let sum = 0;
  for (const entry of entries) {
    if (entry.size === null) return null;
    sum += entry.size;
  }
  return sum;
}

/** Describe a list of entries: `2 files`; `1 of 20 files` if it is a part of `all`. */
export function describeEntries(entries: readonly Entry[], all = entries): string {
  const [some, every] = [numbers(entries), numbers(all)];
  const share = (kind: Kind, word: keyof typeof counts) => {
    if (some[kind] === 0) return "";
    const whole = counted(every[kind], word);
    return some[kind] < every[kind] ? strings.of(grouped(some[kind]), whole) : whole;
  };
  // Folders are counted only if there are no files.
  const folders = every.file > 0 ? "" : share("directory", "folder");
  const parts = [share("file", "file"), folders, share("link", "link"), share("text", "text")];
  const alone = some.directory > 0 ? counted(some.directory, "folder") : strings.nothing;
  return listed(parts) || alone;
}

/** Return how many entries of each kind there are. */
function numbers(entries: readonly Entry[]): Record<Kind, number> {
  const found = { file: 0, directory: 0, link: 0, text: 0 };
  for (const { kind } of entries) found[kind] += 1;
  return found;
}

/** Describe what the sender does not send; empty if it sends everything. */
export function describeLeftOut({ links, others, unreadable }: LeftOut): string {
  const parts = listed([
    links > 0 ? counted(links, "symlink") : "",
    others > 0 ? counted(others, "special") : "",
    unreadable > 0 ? strings.unreadable(grouped(unreadable)) : "",
  ]);
  return parts === "" ? "" : strings.leftOut(parts);
}

/** Return the heading of an offer: the selected entries and their size. */
export function offerTitle(wanted: readonly Entry[], all: readonly Entry[]): string {
  if (wanted.length === 0) return strings.offeredNone(describeEntries(all));
  return strings.offered(`${describeEntries(wanted, all)}, ${size(total(wanted))}`);
}

/** Describe the peer: the name of the device, or its kind. */
export function describePeer({ name, isBrowser }: Pick<Connected, "name" | "isBrowser">): string {
  return printable(name) || (isBrowser ? strings.aBrowser : strings.aComputer);
}

/** Hidden names that are listed. */
const MAX_HIDDEN = 5;

/** List the hidden names, which begin with a dot, top-level names first; empty if there are none. */
export function hiddenNames(entries: readonly Entry[]): string {
  const found = new Set<string>();
  for (const { path, kind } of entries) {
    if (kind === "text" || !(path.startsWith(".") || path.includes("/."))) continue;
    const parts = path.split("/");
    const first = parts.findIndex(isHidden);
    if (first >= 0) found.add(parts.slice(0, first + 1).join("/"));
  }
  if (found.size === 0) return "";
  const [tops, deeper] = [[], []] as [string[], string[]];
  for (const name of found) (name.includes("/") ? deeper : tops).push(name);
  const names = [...tops, ...deeper].slice(0, MAX_HIDDEN).map(printable).join(", ");
  const more = found.size > MAX_HIDDEN ? ` ${strings.more(grouped(found.size - MAX_HIDDEN))}` : "";
  return strings.hiddenNames(names + more);
}

function isHidden(name: string): boolean {
  return name.startsWith(".") && name !== "." && name !== "..";
}

/** Return the size of an entry, or its kind. */
export function measure(entry: Entry): string {
  if (entry.kind === "directory") return strings.folder;
  return entry.kind === "link" ? `→ ${printable(entry.target)}` : size(entry.size);
}

/** Describe a way to save, as an alternative to the others in `ways`. */
export function describeWay(way: DestinationChoice, ways: readonly DestinationChoice[]): string {
  const either = ways.some(({ each }) => each);
  const form = way.each ? strings.oneByOne : way.zipped && either ? strings.asZip : "";
  const place = destinations[way.type];
  if (form === "") return place;
  // The place is described only if there is a choice.
  const alone = ways.every(({ type }) => type === way.type);
  return alone ? form : strings.wayTo(form, place);
}

/** Describe what follows after accepting; empty if a file goes to the downloads. */
export function describeSaving(way: DestinationChoice): string {
  if (way.each) return strings.saveEach;
  if (way.type === "folder") return strings.saveInFolder;
  if (way.type === "picker") return strings.saveThere;
  if (!way.zipped) return "";
  const name = printable(way.name);
  return way.folders ? strings.saveFolderZip(name) : strings.saveZip(name);
}

/** Return the title of the tab: the top-level name that all entries share, or a description. */
export function titleOf(entries: readonly Entry[]): string {
  const named = entries.filter((entry) => entry.kind !== "text");
  const first = named[0]?.path.split("/")[0];
  if (first === undefined) return counted(entries.length, "text");
  const together = named.every(
    (entry) => entry.path === first || entry.path.startsWith(`${first}/`),
  );
  return together ? printable(first) : describeEntries(entries);
}

/** Describe the route to the other side. */
export function describeRoute(event: Connected): string {
  const way = ways[event.path] ?? printable(event.path);
  return listed([
    event.family === "" ? way : strings.over(way, event.family),
    printable(event.address),
    event.rtt === null ? "" : strings.roundTrip(milliseconds(event.rtt)),
  ]);
}

function milliseconds(seconds: number): string {
  return seconds < 0.001 ? `<1${GAP}ms` : `${(seconds * 1000).toFixed(0)}${GAP}ms`;
}

/** Return the progress in whole percents, 100 only if complete; null if the total is unknown. */
export function percent(event: Progressed): number | null {
  if (event.total === null) return null;
  return event.total === 0 ? 100 : Math.min(100, Math.floor((100 * event.bytes) / event.total));
}

/** Seconds without progress after which rate and remaining time are not shown. */
const STANDSTILL = 3;

/** Describe amount, rate and remaining time, or that there is no progress. */
export function describeProgress(event: Progressed, role: Connected["role"]): string {
  const complete = event.total !== null && event.bytes >= event.total;
  const share = percent(event);
  const stands = event.still >= STANDSTILL && !complete;
  const moves = !stands && !complete;
  return listed(
    [
      share === null ? "" : `${share}${GAP}%`,
      event.total === null ? size(event.bytes) : strings.of(size(event.bytes), size(event.total)),
      event.rate > 0 && moves ? strings.rate(size(event.rate)) : "",
      event.eta !== null && moves ? strings.left(timeLeft(event.eta)) : "",
      stands ? standstills[event.waits][role](`${Math.floor(event.still)}${GAP}s`) : "",
      complete ? strings.checking : "",
    ],
    " · ",
  );
}

/** A file of the result: with a verdict, or with none because the transfer ended before. */
export type Listed = Pick<FileFinished, "path" | "bytes" | "saved" | "reason"> & {
  readonly status: keyof typeof verdicts;
};

/** Add the files and texts without a verdict to those with one, if the transfer had begun. */
export function allFiles(
  { files }: Finished,
  entries: readonly Entry[],
  last: Progressed | null,
): readonly Listed[] {
  if (last === null) return files;
  const ended = new Set(files.map(({ path }) => path));
  const left = entries.filter(({ kind, path }) => kind !== "directory" && !ended.has(path));
  const rest = left.map(({ path, size: whole }): Listed => {
    const part = strings.of(size(last.done), size(whole));
    const reason = path === last.path && last.done !== whole ? strings.stopped(part) : "";
    return { path, status: "none", bytes: 0, saved: "", reason };
  });
  return [...files, ...rest];
}

/** Describe where a file is: the zip or folder that has it, or its name if it differs. */
function describePlace({ path, saved }: Listed): string {
  if (saved === "" || saved === path) return "";
  if (!saved.endsWith(`/${path}`)) return strings.savedAs(printable(saved));
  return strings.savedIn(printable(saved.slice(0, -path.length - 1)));
}

/** Describe the verdict of a file, with its local name if it differs. */
export function describeFile(file: Listed): string {
  const verdict = verdicts[file.status];
  if (file.status === "ok") {
    return listed([size(file.bytes), verdict, describePlace(file)]);
  }
  // Most reasons begin with the path, which is already shown.
  const name = `${printable(file.path)}: `;
  const reason = file.reason.startsWith(name) ? file.reason.slice(name.length) : file.reason;
  return reason === "" ? verdict : `${verdict}: ${reason}`;
}

/**
 * Describe the result in one line; `texts` has the paths of text entries. Bytes of incomplete files
 * do not count.
 */
export function describeResult(event: Finished, texts: ReadonlySet<string>): string {
  const good = event.files.filter((file) => file.status === "ok");
  const written = good.filter((file) => texts.has(file.path)).length;
  const what = listed([
    good.length > written ? counted(good.length - written, "file") : "",
    written > 0 ? counted(written, "text") : "",
  ]);
  const spent = duration(event.seconds);
  const bytes = event.ok ? event.bytes : good.reduce((sum, file) => sum + file.bytes, 0);
  const summary = strings.summary(what || strings.everything, size(bytes), spent);
  if (!event.ok || event.seconds <= 0.05) return sentence(summary);
  return strings.rated(summary, strings.rate(size(event.bytes / event.seconds)));
}

/** The circumstances of an error. */
export interface Circumstances {
  /** Whether there was a connection. */
  readonly connected: boolean;
  /** Whether no message had arrived for some seconds. */
  readonly silent: boolean;
  /** Whether the user of this page declined. */
  readonly declined: boolean;
  /** Whether at least one file is complete and verified. */
  readonly some: boolean;
  /** Whether the code has neither been used nor expired. */
  readonly canRetry: boolean;
  /** How to continue what this side has stopped; empty if it can't be, or that is unknown. */
  readonly rest: string;
  /** Whether this device was online at the time of the error (`navigator.onLine`). */
  readonly online: boolean;
  /** Whether it is online now. */
  readonly isOnline: boolean;
  /** Whether the browser had suspended the page shortly before. */
  readonly slept: boolean;
  /** Whether this page has shown the code, so that it can show another one. */
  readonly shown: boolean;
}

/** The description of an error for the user. */
export interface Problem {
  readonly kind: ErrorKind | Situation;
  readonly title: string;
  /** Details; empty if the title is sufficient. */
  readonly detail: string;
  /** What to do, one sentence each. */
  readonly advice: readonly string[];
  /** Whether to offer another try with the same code. */
  readonly again: boolean;
  /** The text of the button for that. */
  readonly retry: string;
  /** Whether that is the recommended action. */
  readonly leads: boolean;
}

/** Kinds for which no details are shown. */
const PLAIN: readonly string[] = ["declined", "interrupted", "offline", "was-offline"];

/** The circumstances of a code that can't be read. */
export const NOWHERE: Circumstances = {
  ...{ connected: false, silent: false, declined: false, some: false, canRetry: false, rest: "" },
  ...{ online: true, isOnline: true, slept: false, shown: false },
};

/** Describe an error and what to do. */
export function explain(error: DcsendError, circumstances: Circumstances): Problem {
  const kind = situation(error, circumstances);
  const words = wordsFor(kind, error, circumstances);
  const { shown, canRetry } = circumstances;
  const { title, leads = true } = words;
  const again = canRetry && (words.again || shown);
  const retry = (shown ? fixed.another : (words.retry ?? fixed.retry)) ?? "";
  const works = again && !shown;
  const instead: Readonly<Record<string, string>> = {
    // The button shows another code here.
    [AGAIN]: shown ? "" : works ? (words.still ?? STILL) : AGAIN,
    // If the code still works, no transfer had begun, and there is nothing to keep.
    [KEPT]: works ? "" : circumstances.some ? KEPT : NONE,
  };
  const advice = words.advice.map((line) => instead[line] ?? line).filter((line) => line !== "");
  if (PLAIN.includes(kind)) return { kind, title, detail: "", advice, again, retry, leads };
  const detail = sentence(error.message);
  // The hint of an error is more specific than the advice for its kind.
  if (error.hint === "") return { kind, title, detail, advice, again, retry, leads };
  const hint = sentence(error.hint);
  const last = advice.filter((line) => line === instead[AGAIN] && !/again|new/.test(hint));
  return { kind, title, detail, advice: [hint, ...last], again, retry, leads };
}

/** Return the text for an error. */
function wordsFor(kind: ErrorKind | Situation, error: DcsendError, now: Circumstances): Trouble {
  // A page that has shown the code shows another one instead.
  if (kind === "interrupted" && now.rest !== "" && !now.shown) {
    return { ...troubles[kind], advice: [KEPT, now.rest] };
  }
  const exist = error instanceof PeerCannotSave && error.existing.length > 0;
  return exist ? (error.unnamed > 0 ? manyExist : someExist) : troubles[kind];
}

/** Return the kind of an error, or a situation if the circumstances are more specific. */
function situation(error: DcsendError, now: Circumstances): ErrorKind | Situation {
  if (error.kind === "refused" && now.declined) return "declined";
  if (error.kind === "timeout" && now.slept) return "suspended";
  if (error.kind !== "connection") return error.kind;
  if (!now.online) return now.isOnline ? "was-offline" : "offline";
  if (!now.connected) return "unreachable";
  if (now.slept) return "suspended";
  return now.silent ? "peer-gone" : error.kind;
}

/** Describe a situation without an error. */
export function trouble(kind: Situation): Problem {
  return { kind, detail: "", retry: fixed.retry ?? "", leads: true, ...troubles[kind] };
}

/** Bytes of a name: Chromium fails to save a download with a name of more than about 244. */
const MAX_DOWNLOAD_NAME = 240;

/** Shorten a name so that all browsers can save a download with it; its extension is kept. */
export function downloadName(name: string): string {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && name.length - dot <= 20 ? name.slice(dot) : "";
  const stem = [...name.slice(0, name.length - extension.length)];
  const whole = () => stem.join("") + extension;
  while (new TextEncoder().encode(whole()).length > MAX_DOWNLOAD_NAME) stem.pop();
  return whole();
}

/** Describe what can't be sent: the first entry and how many more; empty if there is none. */
export function describeProblems(problems: readonly Unsendable[]): string {
  const [first] = problems;
  if (first === undefined) return "";
  const text = sentence(strings.notSent(listed([printable(first.path), first.reason], ": ")));
  return problems.length > 1
    ? `${text} ${sentence(strings.more(grouped(problems.length - 1)))}`
    : text;
}

/**
 * Turn `some message` of an error into `Some message.` The message must not begin with a file name,
 * an address or text from the peer, whose first letter would be capitalised.
 */
export function sentence(message: string): string {
  const end = message === "" || /[.!?]$/.test(message) ? "" : ".";
  return message.charAt(0).toUpperCase() + message.slice(1) + end;
}
