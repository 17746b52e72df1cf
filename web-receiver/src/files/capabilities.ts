/**
 * Which destinations this browser and this page's origin can do, best first.
 *
 * `probe` looks, `destinations` decides; the second is pure.
 */
import { register } from "./announcing.ts";
import type { Destination } from "./operations.ts";
import type { Packing } from "./packing.ts";

/** Bytes above which memory is a risk: tabs of phones end somewhere there. */
export const MUCH_MEMORY = 500_000_000;

/** What the browser can do for this page. */
export interface World {
  readonly savePicker: boolean;
  readonly folderPicker: boolean;
  /** The private file system can be used; some refuse it to file pages, or in private windows. */
  readonly private: boolean;
  /** Bytes that the private file system may still take; null if the browser doesn't say. */
  readonly room: number | null;
  /** The service worker is beside the page and runs. */
  readonly stream: boolean;
}

/** One way to receive. */
export interface DestinationChoice {
  readonly type: Destination["type"];
  /** Whether a person has to choose a place first, in answer to a click. */
  readonly asks: boolean;
  /** Several things become one zip. */
  readonly zipped: boolean;
  /** More is to be kept in memory than may work. */
  readonly risky: boolean;
}

/** The ways to receive what `offered` comes to, best first; memory, which is last, always works. */
export function destinations(world: World, offered: Packing): readonly DestinationChoice[] {
  const { form, bytes } = offered;
  const zipped = form === "zip";
  const choice = (type: Destination["type"], asks: boolean): DestinationChoice => ({
    type,
    asks,
    zipped: zipped && type !== "folder",
    // Nobody knows what a stream comes to.
    risky: type === "memory" && (bytes === null || bytes > MUCH_MEMORY),
  });
  const fits = world.room === null || (bytes ?? 0) <= world.room;
  const found: DestinationChoice[] = [];
  if (form !== "nothing") {
    if (world.savePicker && form === "file") found.push(choice("picker", true));
    if (world.folderPicker && zipped) found.push(choice("folder", true));
    if (world.private && fits) found.push(choice("private", false));
    if (world.stream) found.push(choice("stream", false));
  }
  return [...found, choice("memory", false)];
}

/** Find out what works here. `hosted`: whether the service worker's script may be beside the page. */
export async function probe(hosted = location.protocol === "https:"): Promise<World> {
  const secure = globalThis.isSecureContext === true;
  const usable = secure && (await privateWorks());
  return {
    savePicker: secure && "showSaveFilePicker" in globalThis,
    folderPicker: secure && "showDirectoryPicker" in globalThis,
    private: usable,
    room: usable ? await roomLeft() : null,
    stream: secure && hosted && (await streamWorks()),
  };
}

async function privateWorks(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    // Without it no worker could write there synchronously either.
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
