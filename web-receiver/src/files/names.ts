/**
 * The only judge of a name that a peer, or a disk, gave for a file: as `dcsend/files/names.py`.
 *
 * The rules are the same on every system. What Windows alone can't store is let in and changed when
 * it is saved (`savedName`), since a browser doesn't tell where it saves. Must not import the rest
 * of `files`.
 */
import { DestinationError } from "../errors.ts";

/** Bytes of a whole path in UTF-8: PATH_MAX of Linux. */
export const MAX_PATH = 4096;
/** Names in a path; each but the last is a folder to be made. */
export const MAX_LEVELS = 128;
/** Bytes of one name in UTF-8: NAME_MAX of nearly every file system. */
export const MAX_COMPONENT = 255;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const DRIVE = /^[A-Za-z]:/;
// Windows opens a device for these whatever the extension, in any folder.
const DEVICE = /^(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$) *([.:]|$)/i;
// Unfinished files of dcsend, and of Chromium, which writes beside the target. Windows drops dots
// and spaces at the end.
const RESERVED = /\.(dcsend-part|dcsend-journal|crswap)[. ]*$/i;
const MAX_KEPT_EXTENSION = 64;

/** A name that could leave the folder, reach a device, or that no system can store; holds no name itself. */
export class UnsafeName extends DestinationError {}

/** The components of `path`, relative and joined by `/`, as the peer said it; or UnsafeName. */
export function safePath(path: string): readonly string[] {
  if (path === "") throw new UnsafeName("the name is empty");
  checkText(path);
  if (path.startsWith("/")) throw new UnsafeName("the path is absolute");
  if (DRIVE.test(path)) throw new UnsafeName("the path names a drive");
  const components = path.split("/");
  for (const component of components) checkComponent(component);
  return components;
}

/** `component`, which `safePath` let through, as every file system and zip program can take it. */
export function savedName(component: string): string {
  return component
    .replace(/[<>:"|?*]/g, "_")
    .replace(/[. ]+$/, (ending) => "_".repeat(ending.length));
}

/** `name` with a number before its extension, within the length of a name: `film (1).mkv`. */
export function numbered(name: string, number: number): string {
  const dot = name.lastIndexOf(".");
  const hidden = /^\.*$/.test(name.slice(0, Math.max(dot, 0)));
  const extension = hidden ? "" : name.slice(dot);
  const kept = byteLength(extension) <= MAX_KEPT_EXTENSION ? extension : "";
  const tail = ` (${number})${kept}`;
  const stem = name.slice(0, name.length - extension.length);
  return cut(stem, MAX_COMPONENT - byteLength(tail)) + tail;
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
  if (isLonger(component, MAX_COMPONENT)) {
    throw new UnsafeName(`a name in the path is longer than ${MAX_COMPONENT} bytes`);
  }
  if (DEVICE.test(component)) throw new UnsafeName("the name is a device on Windows");
  if (RESERVED.test(component)) throw new UnsafeName("the name is reserved for unfinished files");
}

/** Say whether `text` has more than `most` bytes in UTF-8. */
function isLonger(text: string, most: number): boolean {
  // One to three bytes for each UTF-16 unit: that is enough to know of nearly every name, and of a
  // million paths the encoder alone took 7 s, in which the page did nothing else.
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
