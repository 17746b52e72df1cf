/**
 * A part in the origin's private file system: content and journal in a folder of its own, each
 * written through a synchronous handle, which the browser opens once.
 */
import type { Bytes } from "../../content.ts";
import type { OpenPart } from "../parts.ts";
import { DestinationLost } from "../trouble.ts";
import { COMPLETE, CONTENT, JOURNAL, privateTop } from "./private.ts";

/** Open the part in the folder `id`, which may be new. */
export async function openPrivatePart(id: string): Promise<OpenPart> {
  const top = await privateTop(true);
  const folder = await top.getDirectoryHandle(id, { create: true });
  const file = await folder.getFileHandle(CONTENT, { create: true });
  const content = await file.createSyncAccessHandle();
  let journal: FileSystemSyncAccessHandle;
  try {
    const lines = await folder.getFileHandle(JOURNAL, { create: true });
    journal = await lines.createSyncAccessHandle();
  } catch (error) {
    content.close();
    throw error;
  }
  const put = (handle: FileSystemSyncAccessHandle, at: number, piece: Bytes) => {
    // A full disk may cause a smaller number instead of an error.
    if (handle.write(piece, { at }) === piece.length) return;
    throw new DestinationLost("no room on the disk", "make room, then try again");
  };
  // In Chromium 103 to 107 these methods return promises.
  const flush = async () => {
    await content.flush();
    await journal.flush();
  };
  const close = async () => {
    for (const handle of [content, journal]) {
      try {
        await handle.close();
      } catch {
        // It is gone already.
      }
    }
  };
  return {
    flush,
    close,
    async read(offset, length) {
      const block = new Uint8Array(length);
      return block.subarray(0, content.read(block, { at: offset }));
    },
    async write(offset, piece) {
      put(content, offset, piece);
    },
    async truncate(size) {
      await content.truncate(size);
    },
    async note(end, text) {
      await journal.truncate(end);
      put(journal, end, new TextEncoder().encode(text));
    },
    async remove() {
      await close();
      await top.removeEntry(id, { recursive: true }).catch(() => undefined);
    },
    async complete() {
      await flush();
      await close();
      // Before the journal is removed: a file that can't be read has not been received.
      const blob = await file.getFile();
      await folder.getFileHandle(COMPLETE, { create: true });
      await folder.removeEntry(JOURNAL);
      return blob;
    },
  };
}
