/**
 * Validates the names of files from a peer or a disk; no other module does. As
 * `dcsend/files/names.py`.
 *
 * A name that is invalid only on Windows is accepted, and changed when it is saved (`savedName`),
 * since a browser does not report where it saves.
 */
import { DestinationError } from "../errors.ts";

/** Bytes of a whole path in UTF-8: PATH_MAX of Linux. */
export const MAX_PATH = 4096;
/** Names in a path; each but the last is a folder to be created. */
export const MAX_LEVELS = 128;
/** Bytes of one name in UTF-8: NAME_MAX of Linux, and of most file systems of Unix. */
export const MAX_COMPONENT = 255;
/** UTF-16 code units of one name: the limit of NTFS, exFAT, VFAT and APFS. */
const MAX_UNITS = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const DRIVE = /^[A-Za-z]:/;
// Windows opens a device for these names, with any extension, in any folder.
const DEVICE = /^(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *([.:]|$)/i;
// Unfinished files of dcsend, and of Chromium, which writes them beside the target. Windows drops
// dots and spaces at the end.
const RESERVED = /\.(dcsend-part|dcsend-journal|crswap)[. ]*$/i;
const MAX_KEPT_EXTENSION = 64;

/**
 * A name that could lead out of the folder, reach a device, or that no system can store; the
 * message does not contain it.
 */
export class UnsafeName extends DestinationError {}

/**
 * Return the components of `path`, which the peer sent: relative and joined by `/`. Throws
 * UnsafeName.
 */
export function safePath(path: string): readonly string[] {
  if (path === "") throw new UnsafeName("the name is empty");
  checkText(path);
  if (path.startsWith("/")) throw new UnsafeName("the path is absolute");
  if (DRIVE.test(path)) throw new UnsafeName("the path names a drive");
  const components = path.split("/");
  for (const component of components) checkComponent(component);
  return components;
}

/** Return `component`, accepted by `safePath`, in a form for every file system and zip program. */
export function savedName(component: string): string {
  return component
    .replace(DEVICE, "_$&")
    .replace(/[<>:"|?*]/g, "_")
    .replace(/[. ]+$/, (ending) => "_".repeat(ending.length));
}

/** Return `name` with a number before its extension, within the length limit: `film (1).mkv`. */
export function numbered(name: string, number: number): string {
  const dot = name.lastIndexOf(".");
  const hidden = /^\.*$/.test(name.slice(0, Math.max(dot, 0)));
  const extension = hidden ? "" : name.slice(dot);
  const kept = byteLength(extension) <= MAX_KEPT_EXTENSION ? extension : "";
  const tail = ` (${number})${kept}`;
  const stem = name.slice(0, name.length - extension.length);
  return cut(stem, MAX_COMPONENT - byteLength(tail)) + tail;
}

/**
 * Returns each name once. `savedName` may make two names equal, and some systems treat different
 * names as one.
 */
export class FreeNames {
  /** The last number that each name was given. */
  readonly #taken = new Map<string, number>();

  /** Return `path`, with a number in its last name if it was returned before. */
  take(path: string): string {
    const slash = path.lastIndexOf("/") + 1;
    const wanted = folded(path);
    let name = path;
    let number = this.#taken.get(wanted) ?? 0;
    // From the last number on: of a million equal names each would otherwise try all others.
    for (; this.#taken.has(folded(name)); number++) {
      name = path.slice(0, slash) + numbered(path.slice(slash), number + 1);
    }
    this.#taken.set(folded(name), 0);
    if (number > 0) this.#taken.set(wanted, number);
    return name;
  }
}

/** Return `name` as a file system without case and normalization has it. */
export function folded(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

function checkText(path: string): void {
  if (/\p{Cs}/u.test(path)) throw new UnsafeName("the name is not valid Unicode");
  if (isLonger(path, MAX_PATH)) {
    throw new UnsafeName(`the path is longer than ${MAX_PATH} bytes`);
  }
  if (CONTROL.test(path)) throw new UnsafeName("the name holds a control character");
  if (path.includes("\\")) throw new UnsafeName("the name holds a backslash");
  if (path.split("/", MAX_LEVELS + 1).length > MAX_LEVELS) {
    throw new UnsafeName(`the path is more than ${MAX_LEVELS} levels deep`);
  }
}

function checkComponent(component: string): void {
  if (component === "") throw new UnsafeName("the path holds an empty name");
  if (component === "." || component === "..") {
    throw new UnsafeName(`the path holds '${component}'`);
  }
  if (component.length > MAX_UNITS) {
    throw new UnsafeName(`a name in the path is longer than ${MAX_UNITS} characters`);
  }
  if (RESERVED.test(component)) throw new UnsafeName("the name is reserved for unfinished files");
}

/** Return whether `text` has more than `most` bytes in UTF-8. */
function isLonger(text: string, most: number): boolean {
  // One to three bytes for each UTF-16 unit: this decides nearly every name. For a million paths
  // the encoder alone took 7 s, during which the page was blocked.
  return text.length > most || (3 * text.length > most && byteLength(text) > most);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function cut(text: string, room: number): string {
  let kept = "";
  let left = room;
  for (const character of text) {
    left -= byteLength(character);
    if (left < 0) break;
    kept += character;
  }
  return kept;
}

/** Return why a path may not be saved; empty if it may. */
export function whyUnsafe(path: string): string {
  try {
    safePath(path);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "not a valid name";
  }
}
