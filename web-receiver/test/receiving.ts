/** A page that receives files, and a peer in memory that offers them. */
import { type Changes, content, entry, SendingPeer, startPage } from "./parties.ts";

export type Offer = [path: string, bytes: Uint8Array][];

/** Let a peer offer files to a page. */
export function transfer(offer: Offer, changes: Changes = {}, window?: number) {
  const page = startPage(changes);
  const entries = offer.map(([path, bytes]) => entry(path, bytes.length));
  const contents = offer.map(([, bytes], number) => [number, bytes] as const);
  return { page, peer: new SendingPeer(page.peer, entries, contents, window) };
}

/** The verdicts of a page, as `PATH: STATUS`. */
export const verdicts = (page: ReturnType<typeof startPage>) =>
  page.of("file").map(({ path, status }) => `${path}: ${status}`);

/** One file of many frames. */
export const FILM: Offer = [["film.bin", content(1_000_000)]];
