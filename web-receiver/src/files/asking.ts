/**
 * The dialogs in which a person chooses a destination. Call in a click handler: browsers open no
 * dialog otherwise.
 */
import type { DestinationChoice } from "./capabilities.ts";
import type { Destination } from "./contract.ts";
import type { Packing } from "./packing.ts";

/** Methods that TypeScript's DOM types lack, because only Chromium has them. */
interface Pickers {
  showSaveFilePicker(options: {
    suggestedName: string;
    startIn: string;
  }): Promise<FileSystemFileHandle>;
  showDirectoryPicker(options: {
    id: string;
    mode: string;
    startIn: string;
  }): Promise<FileSystemDirectoryHandle>;
}

/** Open the dialog of a destination, if it has one; AbortError if the person closes it. */
export async function ask(way: DestinationChoice, packing: Packing): Promise<Destination> {
  const { type, zipped } = way;
  const browser = globalThis as unknown as Pickers;
  const startIn = "downloads";
  if (type === "picker") {
    const options = { suggestedName: packing.name, startIn };
    return { type, handle: await browser.showSaveFilePicker(options) };
  }
  if (type === "folder") {
    const options = { id: "dcsend", mode: "readwrite", startIn };
    // Unless the person chooses otherwise, no file is replaced.
    return { type, handle: await browser.showDirectoryPicker(options), existing: "rename" };
  }
  return type === "stream" ? { type } : { type, zipped };
}
