/**
 * Short codes in this page: which server is used, which text is one, and what completes it.
 */
import { UsageError } from "./errors.ts";
import { ownServer, readOption, type Server } from "./rendezvous/servers.ts";
import { completed, resemblesShortCode, type ShortCode } from "./signaling/shortcode.ts";

/** A number and a letter: more like a short code than a dial code, also if no word is right. */
const NUMBERED = /^\W*\d{1,6}[\s\p{P}]+[a-z]/iu;
/** A number and one word, after which another word follows. */
const ONE_WORD = /^\W*\d+[^a-z]*[a-z]+$/i;

/** Return the rendezvous server that is written into the page; null if there is none. */
export function namedServer(): Server | null {
  const meta = document.querySelector<HTMLMetaElement>("meta[name=dcsend-server]");
  const name = meta?.content ?? "";
  return name === "" ? null : readOption(name);
}

/** Return the server of `code`: its own, that of the page, or the origin of the page. */
export function serverFor({ host }: ShortCode): Server {
  const server = host === "" ? (namedServer() ?? ownServer(location)) : readOption(host);
  if (server !== null) return server;
  throw new UsageError(
    "this page names no rendezvous server, and neither does the code",
    "ask for the whole code, with @ and the server, or scan the QR code of the other side",
  );
}

/** Return whether `text` is a short code, perhaps with errors. */
export function isShort(text: string): boolean {
  return resemblesShortCode(text) || NUMBERED.test(text);
}

/** Return texts that complete the last word of `typed`, if that is a short code. */
export function complete(typed: string): string[] {
  if (!NUMBERED.test(typed)) return [];
  return completed(typed)
    .map((text) => (ONE_WORD.test(text) ? `${text}-` : text))
    .filter((text) => text !== typed);
}
