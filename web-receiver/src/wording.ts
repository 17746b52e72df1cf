/**
 * How numbers, names and errors are said to a person: pure text, as `dcsend/display/wording.py`.
 *
 * Sizes are decimal (1 MB = 1 000 000 bytes), as networks, disks and phones count.
 * Imports strings, leaves and types; no DOM.
 */
import type { Entry } from "./entry.ts";
import type { DcsendError, ErrorKind } from "./errors.ts";
import { printable } from "./printable.ts";
import type { Connected, FileFinished, Finished, Progressed } from "./session/events.ts";
import {
  AGAIN,
  counts,
  type Situation,
  STILL,
  strings,
  troubles,
  verdicts,
  ways,
} from "./strings.ts";

/** A no-break space: a number and its unit stay together. */
const GAP = "\u00a0";
const UNITS = ["kB", "MB", "GB", "TB"] as const;

/** Say a number of bytes: `0 B`, `1.5 kB`, `2.3 GB`; null is an unknown size. */
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

/** Join those that aren't empty. */
export function listed(parts: readonly string[], between = ", "): string {
  return parts.filter((part) => part !== "").join(between);
}

/** Say a time span: `0.4 s`, `10 s`, `1 min 15 s`, `1 h 2 min`, `3 d 1 h`. */
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

/** Say the time left, in steps that grow with it, so that it doesn't flicker. */
export function timeLeft(seconds: number): string {
  if (seconds <= 59) return `${Math.max(1, Math.ceil(seconds))}${GAP}s`;
  if (seconds < 600) return duration(Math.ceil(seconds / 5) * 5);
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes}${GAP}min` : duration(60 * minutes);
}

/** Say how many: `1 file`, `3 folders`. */
export function counted(number: number, word: keyof typeof counts): string {
  return `${grouped(number)} ${counts[word][number === 1 ? 0 : 1]}`;
}

/** Say a large number readably: `99 800`. */
export function grouped(number: number): string {
  // As ISO 80000-1 has it; a comma or a point means the opposite elsewhere.
  return String(number).replace(/\B(?=(\d{3})+$)/g, GAP);
}

/** Bytes of all entries together; null if one is not known. */
export function total(entries: readonly Entry[]): number | null {
  let sum = 0;
  for (const entry of entries) {
    if (entry.size === null) return null;
    sum += entry.size;
  }
  return sum;
}

/** Say what a list of entries is made of: `2 files, 1 folder`. */
export function describeEntries(entries: readonly Entry[]): string {
  const found = { file: 0, directory: 0, link: 0, text: 0 };
  for (const entry of entries) found[entry.kind] += 1;
  // The folders that files are in go without saying.
  const folders = found.file > 0 ? 0 : found.directory;
  return (
    listed([
      found.file > 0 ? counted(found.file, "file") : "",
      folders > 0 ? counted(folders, "folder") : "",
      found.link > 0 ? counted(found.link, "link") : "",
      found.text > 0 ? counted(found.text, "text") : "",
    ]) || strings.nothing
  );
}

/** Hidden names that are said. */
const MAX_HIDDEN = 5;

/** Say which names begin with a dot, those at the top first; empty if none does. */
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

/** Say what one entry measures. */
export function measure(entry: Entry): string {
  if (entry.kind === "directory") return strings.folder;
  return entry.kind === "link" ? `→ ${printable(entry.target)}` : size(entry.size);
}

/** Say the name for a tab's title: what all entries have in common at the top. */
export function titleOf(entries: readonly Entry[]): string {
  const named = entries.filter((entry) => entry.kind !== "text");
  const first = named[0]?.path.split("/")[0];
  if (first === undefined) return counted(entries.length, "text");
  const together = named.every(
    (entry) => entry.path === first || entry.path.startsWith(`${first}/`),
  );
  return together ? printable(first) : describeEntries(entries);
}

/** Say by which way the other side is reached. */
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

/** The whole percents that are done, 0 to 100, and 100 only if all is; null if nobody knows. */
export function percent(event: Progressed): number | null {
  if (event.total === null) return null;
  return event.total === 0 ? 100 : Math.min(100, Math.floor((100 * event.bytes) / event.total));
}

/** Say how far it is, how fast it goes and how long it will take. */
export function describeProgress(event: Progressed): string {
  const complete = event.total !== null && event.bytes >= event.total;
  const share = percent(event);
  return listed(
    [
      share === null ? "" : `${share}${GAP}%`,
      event.total === null ? size(event.bytes) : strings.of(size(event.bytes), size(event.total)),
      event.rate > 0 && !complete ? strings.rate(size(event.rate)) : "",
      event.eta !== null && !complete ? strings.left(timeLeft(event.eta)) : "",
      complete ? strings.checking : "",
    ],
    " · ",
  );
}

/** Say the verdict over one file, with its name here if that is another. */
export function describeFile(file: FileFinished): string {
  const verdict = verdicts[file.status];
  if (file.status === "ok") {
    const renamed = file.saved !== "" && file.saved !== file.path;
    const saved = renamed ? strings.savedAs(printable(file.saved)) : "";
    return listed([size(file.bytes), verdict, saved]);
  }
  // Most reasons name the file themselves; once is enough.
  const name = `${printable(file.path)}: `;
  const reason = file.reason.startsWith(name) ? file.reason.slice(name.length) : file.reason;
  return reason === "" ? verdict : `${verdict}: ${reason}`;
}

/** Say in one line what came over, and how fast; `texts` are the paths of those that are texts. */
export function describeResult(event: Finished, texts: ReadonlySet<string>): string {
  const good = event.files.filter((file) => file.status === "ok");
  const written = good.filter((file) => texts.has(file.path)).length;
  const what = listed([
    good.length > written ? counted(good.length - written, "file") : "",
    written > 0 ? counted(written, "text") : "",
  ]);
  const spent = duration(event.seconds);
  const summary = strings.summary(what || strings.everything, size(event.bytes), spent);
  if (event.seconds <= 0.05) return sentence(summary);
  return strings.rated(summary, strings.rate(size(event.bytes / event.seconds)));
}

/** What the page knows when something goes wrong, beside the error. */
export interface Circumstances {
  /** Whether the other side was ever there. */
  readonly connected: boolean;
  /** Whether nothing had been heard from it for a while. */
  readonly silent: boolean;
  /** Whether the person here said no. */
  readonly declined: boolean;
  /** Whether the code is not used up, since nothing has been accepted. */
  readonly canRetry: boolean;
  /** Whether the browser says that this device has a network. */
  readonly online: boolean;
  /** Whether the browser had put the page to sleep shortly before. */
  readonly slept: boolean;
}

/** What a person is told of an error. */
export interface Problem {
  readonly kind: ErrorKind | Situation;
  readonly title: string;
  /** What exactly happened; empty if the title says it all. */
  readonly detail: string;
  /** What to do, a sentence each. */
  readonly advice: readonly string[];
}

/** Kinds after which the same code may work, unless it is used up. */
const REPEATABLE: readonly string[] = [
  ...["unreachable", "offline", "connection", "peer-gone", "suspended", "timeout", "interrupted"],
];

/** Say whether the same code may work after such a problem, unless it is used up. */
export function isRepeatable(kind: Problem["kind"]): boolean {
  return REPEATABLE.includes(kind);
}

/** Kinds whose title says it all. */
const PLAIN: readonly string[] = ["declined", "interrupted", "offline"];

/** Say what happened and what to do. */
export function explain(error: DcsendError, circumstances: Circumstances): Problem {
  const kind = situation(error, circumstances);
  const { title } = troubles[kind];
  const again = circumstances.canRetry && isRepeatable(kind) ? STILL : AGAIN;
  const advice = troubles[kind].advice.map((line) => (line === AGAIN ? again : line));
  if (PLAIN.includes(kind)) return { kind, title, detail: "", advice };
  const detail = sentence(error.message);
  // What the error itself knows to do is better than what is said of its kind.
  if (error.hint === "") return { kind, title, detail, advice };
  const hint = sentence(error.hint);
  const last = advice.filter((line) => line === again && !/again|new/.test(hint));
  return { kind, title, detail, advice: [hint, ...last] };
}

/** Tell apart what one class of error has in common but a person deals with differently. */
function situation(error: DcsendError, now: Circumstances): ErrorKind | Situation {
  if (error.kind === "refused" && now.declined) return "declined";
  if (error.kind !== "connection" && error.kind !== "timeout") return error.kind;
  if (!now.online) return "offline";
  if (!now.connected) return "unreachable";
  if (now.slept) return "suspended";
  return now.silent ? "peer-gone" : error.kind;
}

/** Say what `kind` of trouble it is without an error. */
export function trouble(kind: Situation): Problem {
  return { kind, detail: "", ...troubles[kind] };
}

/** Bytes of a name: Chromium fails to save a download whose name is longer than about 244. */
const MAX_DOWNLOAD_NAME = 240;

/** Shorten a name so that any browser can download under it; its extension stays. */
export function downloadName(name: string): string {
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && name.length - dot <= 20 ? name.slice(dot) : "";
  const stem = [...name.slice(0, name.length - extension.length)];
  const whole = () => stem.join("") + extension;
  while (new TextEncoder().encode(whole()).length > MAX_DOWNLOAD_NAME) stem.pop();
  return whole();
}

/** Turn `some message` of an error into `Some message.` */
export function sentence(message: string): string {
  const end = message === "" || /[.!?]$/.test(message) ? "" : ".";
  return message.charAt(0).toUpperCase() + message.slice(1) + end;
}
