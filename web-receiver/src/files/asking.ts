/**
 * The dialogs in which a person chooses a place. Call from a click: browsers open none otherwise.
 *
 * Imports types and packing.ts only.
 */
import type { Destination } from "./operations.ts";
import type { Packing } from "./packing.ts";

/** What the types of the standard library lack: Chromium alone has it. */
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

/** Open the dialog that `type` needs, if any; AbortError if the person closes it. */
export async function ask(type: Destination["type"], packing: Packing): Promise<Destination> {
  const browser = globalThis as unknown as Pickers;
  const startIn = "downloads";
  if (type === "picker") {
    const options = { suggestedName: packing.name, startIn };
    return { type, handle: await browser.showSaveFilePicker(options) };
  }
  if (type === "folder") {
    const options = { id: "dcsend", mode: "readwrite", startIn };
    return { type, handle: await browser.showDirectoryPicker(options) };
  }
  return { type };
}
