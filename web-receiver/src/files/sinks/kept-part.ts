/**
 * A part in memory, of which pieces are copied to IndexedDB in the background: a page that is loaded
 * again continues there. Where that fails, the transfer goes on without it.
 */
import { behind, inStore, PIECE } from "../kept.ts";
import type { OpenPart } from "../parts.ts";

/** Open the part of the file `number` of the transfer `run`. */
export async function openKeptPart(run: string, number: number): Promise<OpenPart> {
  const all = behind(run, number);
  const pieces: Blob[] = [];
  let journal = "";
  let isKept = true;
  try {
    const kept: Blob[] = await inStore("content", (store) => store.getAll(all));
    // Firefox 153 downloads no Blob whose parts are deleted from IndexedDB.
    for (const piece of kept) pieces.push(new Blob([await piece.arrayBuffer()]));
    journal = String((await inStore("content", (store) => store.get([run, number]))) ?? "");
  } catch {
    // What was there is missing, as if it was changed: it is received again.
    pieces.length = 0;
    isKept = false;
  }
  /** The bytes behind the pieces. */
  const tail = new Uint8Array(PIECE);
  let used = 0;
  const keep = <T>(ask: (store: IDBObjectStore) => IDBRequest<T>) => {
    if (!isKept) return;
    inStore("content", ask).catch(() => {
      isKept = false;
    });
  };
  const put = (place: number, content: Uint8Array<ArrayBuffer>) => {
    const piece = new Blob([content]);
    pieces[place] = piece;
    keep((store) => store.put(piece, [run, number, place]));
  };
  const load = async (place: number) => {
    const piece = pieces[place];
    return piece === undefined ? tail : new Uint8Array(await piece.arrayBuffer());
  };
  const remove = async () => {
    keep((store) => store.delete(all));
    keep((store) => store.delete([run, number]));
  };
  const part: OpenPart = {
    remove,
    async read(offset, length) {
      const found = new Uint8Array(length);
      const end = Math.min(offset + length, pieces.length * PIECE + used);
      for (let at = offset; at < end; ) {
        const from = at % PIECE;
        const block = (await load(Math.floor(at / PIECE))).subarray(from, from + end - at);
        found.set(block, at - offset);
        at += block.length;
      }
      return found.subarray(0, Math.max(0, end - offset));
    },
    async write(offset, piece) {
      for (let done = 0; done < piece.length; ) {
        const place = Math.floor((offset + done) / PIECE);
        const from = (offset + done) % PIECE;
        const block = piece.subarray(done, done + PIECE - from);
        const content = await load(place);
        content.set(block, from);
        done += block.length;
        if (content !== tail) put(place, content);
        else {
          used = Math.max(used, from + block.length);
          if (used < PIECE) continue;
          put(place, tail.slice());
          used = 0;
        }
      }
    },
    async truncate(size) {
      const place = Math.floor(size / PIECE);
      if (place < pieces.length) {
        tail.set((await load(place)).subarray(0, size % PIECE));
        pieces.length = place;
        used = size % PIECE;
        keep((store) => store.delete(IDBKeyRange.bound([run, number, place], [run, number, []])));
        return;
      }
      const end = pieces.length * PIECE + used;
      const zeros = new Uint8Array(Math.min(PIECE, Math.max(0, size - end)));
      for (let at = end; at < size; at += zeros.length) {
        await part.write(at, zeros.subarray(0, size - at));
      }
      used = size % PIECE;
    },
    async note(end, text) {
      journal = journal.slice(0, end) + text;
      keep((store) => store.put(journal, [run, number]));
    },
    async flush() {},
    async close() {},
    async complete() {
      const content = new Blob([...pieces, tail.subarray(0, used)]);
      await remove();
      return content;
    },
  };
  return part;
}
