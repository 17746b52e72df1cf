/**
 * The compact binary form of session descriptions, and the two codes of `--signal sdp`. As
 * `dcsend/signaling/blob.py`; PROTOCOL.md has the layout.
 *
 * Of the two codes this page writes the offer, always in the compact form, and reads the answer,
 * also in the form of the Pion demo, base64 of JSON.
 */
import type { Candidate, Description } from "../description.ts";
import { IncompatibleVersion, MalformedCode } from "../errors.ts";
import { checksum, ipv6, NOT_ONE_COMPUTER } from "./binary.ts";
import { base32, DESCRIPTION, damaged, read } from "./forgiving.ts";
import { formatSdp, parseSdp } from "./sdp.ts";

/** The only layout that this module writes and reads. */
const VERSION = 1;
/** Bytes before the credentials: version, length, flags, two lengths, fingerprint (32). */
const HEAD_SIZE = 37;
const CRC_SIZE = 2;
const LARGEST = 255;
/** More would only make the code longer. */
const MAX_CANDIDATES = 8;
const ANSWER = 0x01;
const HEX = 0x08;
const MARKED = 0x10;
const MARK_SIZE = 2;
const SETUPS = ["actpass", "active", "passive"] as const;
const TYPES = ["host", "srflx", "prflx", "relay"] as const;
/** Type preferences of host, srflx, prflx and relay candidates (RFC 8445, 5.1.2.2). */
const PREFERENCES = [126, 100, 110, 0] as const;
/** Bytes of an IPv4 address, an IPv6 address, and the UUID of an mDNS name. */
const ADDRESS_SIZES = [4, 16, 16] as const;
const MDNS = 2;
const ICE_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
type Bytes = Uint8Array<ArrayBuffer>;

/** The attribute with which dcsend ends the SDP of the demo's form. */
const CHECKSUM = "a=dcsend-crc:";
const HEX_CHARS = "0123456789abcdef";
const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\.local$/;

/**
 * Return the compact form of the browser's own offer; candidates that don't fit are omitted, from
 * the end. Throws MalformedCode where the offer lacks a field that the other side needs.
 */
export function encodeOffer(sdp: string): string {
  return base32(pack(parseSdp("offer", sdp)), DESCRIPTION);
}

/**
 * Return the bytes of the compact form, at most 255; the last candidates are omitted if they don't
 * fit. Throws MalformedCode if the credentials alone are too long.
 */
export function pack(description: Description): Bytes {
  const { type, ufrag, password, offerMark } = description;
  const credentials = ufrag + password;
  const isHex = /^[0-9a-f]*$/.test(credentials);
  const isMarked = type === "answer" && offerMark !== null;
  const mark = isMarked ? [offerMark >> 8, offerMark & 0xff] : [];
  const body = [...mark, ...packCharacters(credentials, isHex ? HEX_CHARS : ICE_CHARS)];
  let room = LARGEST - HEAD_SIZE - body.length - CRC_SIZE;
  if (room < 0) {
    throw new MalformedCode("the ice-ufrag and ice-pwd are too long for the compact form");
  }
  for (const candidate of description.candidates.slice(0, MAX_CANDIDATES)) {
    const packed = packCandidate(candidate);
    room -= packed.length;
    if (room < 0) break;
    body.push(...packed);
  }
  const raw = Uint8Array.of(
    VERSION,
    HEAD_SIZE + body.length + CRC_SIZE,
    (type === "answer" ? ANSWER : 0) |
      (SETUPS.indexOf(description.setup) << 1) |
      (isHex ? HEX : 0) |
      (isMarked ? MARKED : 0),
    ufrag.length,
    password.length,
    ...description.fingerprint,
    ...body,
  );
  const crc = checksum(raw);
  return Uint8Array.of(...raw, crc >> 8, crc & 0xff);
}

/**
 * Return the SDP of the answer in `text`, however it was copied, for the media section `mid`.
 *
 * `offer` is the result of `markOf` for our offer. Throws MalformedCode for a damaged text, an
 * offer, or another kind of text, and IncompatibleVersion for a whole description of another
 * version.
 */
export function decodeAnswer(text: string, mid: string, offer: number | null = null): string {
  const json = fromJson(text, offer);
  if (json !== null) return json;
  const description = unpack(read(text, LARGEST, sizeOf, DESCRIPTION));
  if (description.type === "offer") throw wrongHalf();
  if (description.offerMark !== null) checkMark(description.offerMark, offer);
  return formatSdp(description, mid);
}

/** Return 16 bits that identify the browser's own offer; the answer of a dcsend repeats them. */
export function markOf(sdp: string): number {
  return mark(parseSdp("offer", sdp));
}

/** Return 16 bits that identify an offer; its answer contains them. */
export function mark({ fingerprint, ufrag, password }: Description): number {
  return checksum(Uint8Array.of(...fingerprint, ...new TextEncoder().encode(ufrag + password)));
}

/** Refuse an answer with a mark other than that of `offer`, if both are known. */
function checkMark(mark: number, offer: number | null): void {
  if (offer === null || mark === offer) return;
  throw new MalformedCode(
    "this answer belongs to another code",
    "paste the code that you see here on the other side; the answer to it goes here",
  );
}

/** Return `text` without the command around it, and without characters that copying adds. */
function unwrapped(text: string): string {
  const bare = text.replace(
    /^\W*dcsend(?:\.exe)?\s+(?:chat|receive|send\s[\s\S]{0,999}?--to)[\s=]+/,
    "",
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences begin with one
  return bare.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, "").replace(/^[\s'"`<>«»‹›“”„‟‘’‚‛]+/, "");
}

/** Return the SDP of an answer in the demo's form; null if it has another form. */
function fromJson(text: string, offer: number | null): string | null {
  let plain = unwrapped(text);
  if (!/^(\{|e[wy][\w+/-]{6})/.test(plain)) return null;
  if (!plain.startsWith("{")) {
    const digits = plain.replace(/[\s'"`<>«»‹›“”„‟‘’‚‛\u200b-\u200f\u2060\ufeff]/g, "");
    try {
      plain = atob(digits.replace(/-/g, "+").replace(/_/g, "/"));
    } catch {
      throw damaged("a part of it is missing, or was changed");
    }
  }
  let fields: { readonly type?: unknown; readonly sdp?: unknown };
  try {
    fields = JSON.parse(plain);
  } catch {
    throw damaged("a part of it is missing, or was changed");
  }
  if (fields?.type === "offer") throw wrongHalf();
  if (fields?.type !== "answer" || typeof fields.sdp !== "string") {
    throw damaged("it contains no session description");
  }
  checkSum(fields.sdp);
  const mark = /^a=dcsend-offer:([0-9a-f]{4})\s*$/m.exec(fields.sdp)?.[1];
  if (mark !== undefined) checkMark(Number.parseInt(mark, 16), offer);
  return fields.sdp;
}

/** Refuse a damaged SDP of a dcsend; that of other programs has no checksum. */
function checkSum(sdp: string): void {
  const at = sdp.lastIndexOf(CHECKSUM);
  if (at < 0) return;
  const crc = checksum(new TextEncoder().encode(sdp.slice(0, at)));
  const given = sdp.slice(at + CHECKSUM.length).trim();
  if (given !== crc.toString(16).padStart(4, "0")) throw damaged("its checksum is wrong");
}

function wrongHalf(): MalformedCode {
  return new MalformedCode(
    "this is a code of step 1, as this page shows one, and not the answer to it",
    "give the code of step 1 to the other side, and paste here the code that it then shows",
  );
}

/** Return the length of a description from its first bytes; null if it has another version. */
function sizeOf([version, length = 0]: Uint8Array): number | null {
  return version === VERSION ? length : null;
}

/**
 * Read the bytes of the compact form. Throws MalformedCode if the checksum, the length or a field is
 * wrong, and IncompatibleVersion for a whole description of another version.
 */
export function unpack(raw: Bytes): Description {
  if (raw.length <= CRC_SIZE || checksum(raw) !== 0) throw damaged("its checksum is wrong");
  const [version, length, flags = 0, ufragSize = 0, passwordSize = 0] = raw;
  if (version !== VERSION) {
    throw new IncompatibleVersion(
      `the code has version ${version}, this page supports version ${VERSION}`,
      "reload the page, or get the one of a newer dcsend",
    );
  }
  if (raw.length < HEAD_SIZE || length !== raw.length) throw damaged(`it has ${raw.length} bytes`);
  const description = unpackFields(raw, flags, ufragSize, passwordSize);
  if (pack(description).join() !== raw.join()) {
    throw new MalformedCode("the code is not usable: it is not in its shortest form");
  }
  return description;
}

function unpackFields(
  raw: Bytes,
  flags: number,
  ufragSize: number,
  passwordSize: number,
): Description {
  const type = flags & ANSWER ? "answer" : "offer";
  const setup = SETUPS[(flags >> 1) & 3];
  if (setup === undefined || (type === "answer" && setup === "actpass")) {
    throw damaged("its setup is unknown");
  }
  const alphabet = flags & HEX ? HEX_CHARS : ICE_CHARS;
  const count = ufragSize + passwordSize;
  const start = HEAD_SIZE + (flags & MARKED ? MARK_SIZE : 0);
  const end = start + Math.ceil((count * Math.log2(alphabet.length)) / 8);
  if (ufragSize < 4 || passwordSize < 22 || end > raw.length - CRC_SIZE) {
    throw damaged("its ice-ufrag and ice-pwd are not ones");
  }
  const credentials = unpackCharacters(raw.subarray(start, end), count, alphabet);
  return {
    type,
    ufrag: credentials.slice(0, ufragSize),
    password: credentials.slice(ufragSize),
    fingerprint: raw.slice(5, HEAD_SIZE),
    setup,
    candidates: unpackCandidates(raw.slice(end, -CRC_SIZE)),
    offerMark: flags & MARKED ? ((raw[HEAD_SIZE] ?? 0) << 8) | (raw[HEAD_SIZE + 1] ?? 0) : null,
  };
}

function packCharacters(text: string, alphabet: string): number[] {
  const width = Math.log2(alphabet.length);
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const character of text) {
    held = ((held << width) | alphabet.indexOf(character)) & 0xffff;
    bits += width;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 0xff);
    }
  }
  if (bits > 0) bytes.push((held << (8 - bits)) & 0xff);
  return bytes;
}

function unpackCharacters(raw: Uint8Array, count: number, alphabet: string): string {
  const width = Math.log2(alphabet.length);
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of raw) {
    held = ((held << 8) | byte) & 0xffff;
    for (bits += 8; bits >= width && text.length < count; bits -= width) {
      text += alphabet[(held >> (bits - width)) & (alphabet.length - 1)];
    }
  }
  return text;
}

/**
 * Return the bytes of a candidate: head, address and port; none for a name that is not the UUID of
 * mDNS.
 */
export function packCandidate({ type, host, port }: Candidate): number[] {
  const uuid = UUID.exec(host);
  let family = MDNS;
  let address: number[];
  if (uuid !== null) {
    address = (uuid.slice(1).join("").match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  } else if (host.includes(":")) {
    family = 1;
    address = ipv6Bytes(host);
  } else {
    family = 0;
    address = host.split(".").map(Number);
  }
  if (address.length !== ADDRESS_SIZES[family]) return [];
  return [(TYPES.indexOf(type) << 2) | family, ...address, port >> 8, port & 0xff];
}

/** Return the 16 bytes of an IPv6 address. */
function ipv6Bytes(host: string): number[] {
  const [before = "", after] = host.split("::");
  const left = before === "" ? [] : before.split(":");
  const right = after === undefined || after === "" ? [] : after.split(":");
  const zeros = after === undefined ? [] : Array(8 - left.length - right.length).fill("0");
  return [...left, ...zeros, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function unpackCandidates(bytes: Bytes): Candidate[] {
  const candidates: Candidate[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const size = candidateSize(rest);
    const candidate = size > rest.length ? null : unpackCandidate(rest.slice(0, size));
    if (candidate === null) throw damaged("an address in it is invalid");
    // RFC 8445, 5.1.2.1
    const preference = PREFERENCES[TYPES.indexOf(candidate.type)] ?? 0;
    const priority = preference * 2 ** 24 + (65_535 - candidates.length) * 256 + 255;
    candidates.push({ ...candidate, priority });
    rest = rest.slice(size);
  }
  return candidates;
}

/** Return the bytes of head, address and port from the head; Infinity if it is unknown. */
export function candidateSize([head = 0]: Uint8Array): number {
  return 1 + (ADDRESS_SIZES[head & 3] ?? Number.POSITIVE_INFINITY) + 2;
}

/** Read head, address and port of a candidate, with priority 0; null if one is invalid. */
export function unpackCandidate(raw: Bytes): Candidate | null {
  const [head = 0] = raw;
  const type = TYPES[head >> 2];
  const portAt = raw.length - 2;
  if (type === undefined || raw.length !== candidateSize(raw)) return null;
  const port = new DataView(raw.buffer, raw.byteOffset, raw.length).getUint16(portAt);
  const host = hostOf(raw.slice(1, portAt), head & 3);
  if (port === 0 || NOT_ONE_COMPUTER.test(host)) return null;
  return { type, host, port, priority: 0 };
}

function hostOf(address: Bytes, family: number): string {
  if (family === 0) return address.join(".");
  if (family === 1) return ipv6(new DataView(address.buffer));
  const hex = Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}.local`;
}
