/**
 * The destinations that this browser supports for a page from this origin, best first.
 *
 * `probe` tests the browser, `destinations` decides; the second is pure.
 */
import { register } from "./announcing.ts";
import type { Destination } from "./contract.ts";
import { MIN_SIZE } from "./journal.ts";
import { MOST_KEPT } from "./kept.ts";
import type { Packing } from "./packing.ts";
import { type FoundPart, startOf } from "./parts.ts";

/** Bytes above which memory is a risk: phones end a tab at about this size. */
export const MUCH_MEMORY = 500_000_000;

/** The capabilities of browser and origin. */
export interface World {
  /** The origin of the page: untrusted `http`, a file, or a trusted origin. */
  readonly origin: "http" | "file" | "https";
  /** Whether this browser can write to disk for a copy of the page that is opened from a file. */
  readonly copyHelps: boolean;
  readonly savePicker: boolean;
  readonly folderPicker: boolean;
  /**
   * Whether the private file system is usable; some browsers refuse it to file pages, or in private
   * windows.
   */
  readonly private: boolean;
  /** Bytes left in the private file system; null if the browser does not report it. */
  readonly room: number | null;
  /** Whether the service worker is available and runs. */
  readonly stream: boolean;
}

/** A browser that can do nothing. */
export const NOTHING: World = {
  origin: "http",
  copyHelps: false,
  savePicker: false,
  folderPicker: false,
  private: false,
  room: null,
  stream: false,
};

/** Milliseconds for probing the browser; a service worker may start slowly. */
const PROBING = 3000;

/** One destination to offer. */
export interface DestinationChoice {
  readonly type: Destination["type"];
  /** Whether a person has to choose a place first, in a click. */
  readonly asks: boolean;
  /** Whether several files become one zip. */
  readonly zipped: boolean;
  /** Whether several files are saved one by one, with a click each, or one for all. */
  readonly each: boolean;
  /** Whether there are folders among the content of a zip. */
  readonly folders: boolean;
  /** Safe name of the file or the zip. */
  readonly name: string;
  /** If more is kept in memory than may work: what helps, at least one item; otherwise empty. */
  readonly advice: readonly Advice[];
  /** Bytes of parts of earlier transfers that are continued. */
  readonly kept: number;
  /** Whether such a part is not continued, since another tab is writing it. */
  readonly busy: boolean;
  /**
   * Whether a later transfer continues a large file after an interruption, or begins it again; for a
   * page that connects again after it was loaded again: whether it then goes on, or begins it again.
   * Empty if all files are small.
   */
  readonly interrupted: "continues" | "begins" | "goes on" | "reloads" | "";
}

/**
 * What helps against too much in memory, in this browser, from this origin, for these files:
 * another destination that the page offers; a copy of the page from https, or also from a file;
 * more room on the disk; a window that is not private; fewer files at a time; dcsend on a computer.
 */
export type Advice = "another" | "https" | "copy" | "room" | "window" | "fewer" | "computer";

/**
 * Return the destinations for `offered`, best first; memory, the last one, always works. `parts` are
 * those of earlier transfers that offered files can continue. `returns`: the page connects again after
 * it was loaded again.
 */
export function destinations(
  world: World,
  offered: Packing,
  parts: Iterable<FoundPart> = [],
  returns = false,
): readonly DestinationChoice[] {
  const found = offered.form === "nothing" ? [] : onDisk(world, offered, [...parts]);
  // The size of a stream is unknown.
  const risky = offered.bytes === null || offered.bytes > MUCH_MEMORY;
  const advice = risky ? helpful(world, offered, found.length > 0) : [];
  const memory = inDownloads("memory", offered).map((way): DestinationChoice => {
    if (!returns || way.interrupted === "") return { ...way, advice };
    const isKept = !way.zipped && (offered.bytes ?? Number.POSITIVE_INFINITY) <= MOST_KEPT;
    return { ...way, advice, interrupted: isKept ? "goes on" : "reloads" };
  });
  return [...found, ...memory];
}

/** Return the destinations that need no memory. */
function onDisk(world: World, offered: Packing, parts: readonly FoundPart[]): DestinationChoice[] {
  const several = offered.form === "zip";
  const busy = parts.some((part) => part.busy);
  const kept = parts.reduce((sum, part) => sum + (part.busy ? 0 : startOf(part)), 0);
  const fits = world.room === null || (offered.bytes ?? 0) - kept <= world.room;
  const picker = { ...way("picker", offered), asks: true };
  const folder = { ...way("folder", offered), asks: true, zipped: false };
  const downloads = world.private && fits ? inDownloads("private", offered) : [];
  const continued = downloads.map((each): DestinationChoice => {
    const interrupted = each.interrupted && "continues";
    return each.zipped ? each : { ...each, interrupted, kept, busy };
  });
  const ways = [
    ...(world.savePicker && !several ? [picker] : []),
    ...(world.folderPicker && several ? [folder] : []),
    ...continued,
    ...(world.stream ? [way("stream", offered)] : []),
  ];
  // What is there is of use in one way only.
  const isOfUse = (way: DestinationChoice) => Number(way.kept > 0 || way.busy);
  return ways.sort((one, other) => isOfUse(other) - isOfUse(one));
}

/** Return one destination, or two for loose files: one by one, or as a zip. */
function inDownloads(type: "private" | "memory", offered: Packing): DestinationChoice[] {
  const whole = way(type, offered);
  return offered.loose ? [{ ...whole, zipped: false, each: true }, whole] : [whole];
}

function way(
  type: Destination["type"],
  { form, name, nested, largest }: Packing,
): DestinationChoice {
  const zipped = form === "zip";
  const interrupted = largest !== null && largest < MIN_SIZE ? "" : "begins";
  const common = {
    asks: false,
    each: false,
    advice: [],
    kept: 0,
    busy: false,
    interrupted,
  } as const;
  return { type, zipped, folders: nested, name, ...common };
}

function helpful(world: World, { files, largest }: Packing, hasOther: boolean): Advice[] {
  const advice: Advice[] = [];
  if (hasOther) advice.push("another");
  else if (world.origin === "http") advice.push(world.copyHelps ? "copy" : "https");
  else if (world.private) advice.push("room");
  else advice.push(world.origin === "file" ? "https" : "window");
  if (files > 1 && largest !== null && largest <= MUCH_MEMORY) advice.push("fewer");
  return [...advice, "computer"];
}

/** Return whether a page from a file can write to disk in the browser with this user agent. */
export function copyHelps(userAgent: string): boolean {
  return !/Android|iPhone|iPad|Mobile/.test(userAgent) && /Chrome\/|Firefox\//.test(userAgent);
}

/** Test the browser. `hosted`: whether the service worker's script may be beside the page. */
export async function probe(hosted = location.protocol === "https:"): Promise<World> {
  const secure = globalThis.isSecureContext === true;
  const usable = secure && (await privateWorks());
  return {
    origin: originOf(secure),
    copyHelps: copyHelps(globalThis.navigator?.userAgent ?? ""),
    savePicker: secure && "showSaveFilePicker" in globalThis,
    folderPicker: secure && "showDirectoryPicker" in globalThis,
    private: usable,
    room: usable ? await roomLeft() : null,
    stream: secure && hosted && (await streamWorks()),
  };
}

/** Test the browser for a limited time. */
export function probeSoon(): Promise<World> {
  const late = new Promise<World>((resolve) => setTimeout(resolve, PROBING, NOTHING));
  return Promise.race([probe(), late]);
}

function originOf(secure: boolean): World["origin"] {
  if (!secure) return "http";
  return globalThis.location?.protocol === "file:" ? "file" : "https";
}

async function privateWorks(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    // Only workers can write there synchronously.
    return typeof Worker === "function";
  } catch {
    return false;
  }
}

async function roomLeft(): Promise<number | null> {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined ? null : quota - (usage ?? 0);
  } catch {
    return null;
  }
}

async function streamWorks(): Promise<boolean> {
  try {
    await register();
    return true;
  } catch {
    return false;
  }
}
