/**
 * The session descriptions of `--signal sdp`. As `dcsend/signaling/blob.py`; PROTOCOL.md has the
 * layout.
 *
 * This page writes the offer, always in the compact form, and reads the answer, also in the form of
 * the Pion demo, base64 of JSON.
 */
import { IncompatibleVersion, MalformedCode } from "../errors.ts";
import { checksum, ipv6, NOT_ONE_COMPUTER } from "./binary.ts";
import { base32, DESCRIPTION, damaged, read } from "./forgiving.ts";

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
/** The attribute with which dcsend ends the SDP of the demo's form. */
const CHECKSUM = "a=dcsend-crc:";
const HEX_CHARS = "0123456789abcdef";
const UUID = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\.local$/;

/** Component 1, UDP: host, port and type. */
const CANDIDATE = /^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (host|srflx|prflx|relay)\b/gim;

/**
 * Return the compact form of the browser's own offer; candidates that don't fit are omitted, from
 * the end. Throws MalformedCode where the offer lacks a field that the other side needs.
 */
export function encodeOffer(sdp: string): string {
  const ufrag = attribute(sdp, "ice-ufrag");
  const password = attribute(sdp, "ice-pwd");
  const fingerprint = attribute(sdp, "fingerprint", "sha-256 ([0-9A-Fa-f:]{95})").split(":");
  const credentials = ufrag + password;
  const isHex = /^[0-9a-f]*$/.test(credentials);
  const body = packCharacters(credentials, isHex ? HEX_CHARS : ICE_CHARS);
  let count = 0;
  for (const [, host = "", port, type = ""] of sdp.matchAll(CANDIDATE)) {
    const packed = packCandidate(type, host.toLowerCase(), Number(port));
    if (packed.length === 0) continue;
    if (count === MAX_CANDIDATES || HEAD_SIZE + body.length + packed.length + CRC_SIZE > LARGEST) {
      break;
    }
    count += 1;
    body.push(...packed);
  }
  const flags = isHex ? HEX : 0;
  const length = HEAD_SIZE + body.length + CRC_SIZE;
  const head = [VERSION, length, flags, ufrag.length, password.length];
  const raw = Uint8Array.from([
    ...head,
    ...fingerprint.map((pair) => Number.parseInt(pair, 16)),
    ...body,
  ]);
  const crc = checksum(raw);
  return base32(Uint8Array.from([...raw, crc >> 8, crc & 0xff]), DESCRIPTION);
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
  return json ?? unpackAnswer(read(text, LARGEST, sizeOf, DESCRIPTION), mid, offer);
}

/** Return 16 bits that identify the browser's own offer; the answer of a dcsend repeats them. */
export function markOf(sdp: string): number {
  const fingerprint = attribute(sdp, "fingerprint", "sha-256 ([0-9A-Fa-f:]{95})").split(":");
  const credentials = attribute(sdp, "ice-ufrag") + attribute(sdp, "ice-pwd");
  return checksum(
    Uint8Array.from([
      ...fingerprint.map((pair) => Number.parseInt(pair, 16)),
      ...new TextEncoder().encode(credentials),
    ]),
  );
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

/** Return the SDP of an answer from the bytes of the compact form. */
function unpackAnswer(raw: Uint8Array<ArrayBuffer>, mid: string, offer: number | null): string {
  if (raw.length <= CRC_SIZE || checksum(raw) !== 0) throw damaged("its checksum is wrong");
  const [version, length, flags = 0, ufragSize = 0, passwordSize = 0] = raw;
  if (version !== VERSION) {
    throw new IncompatibleVersion(
      `the code has version ${version}, this page supports version ${VERSION}`,
      "reload the page, or get the one of a newer dcsend",
    );
  }
  if (raw.length < HEAD_SIZE || length !== raw.length) throw damaged(`it has ${raw.length} bytes`);
  if ((flags & ANSWER) === 0) throw wrongHalf();
  const setup = SETUPS[(flags >> 1) & 3];
  if (setup === undefined || setup === "actpass") throw damaged("its setup is unknown");
  const alphabet = flags & HEX ? HEX_CHARS : ICE_CHARS;
  const count = ufragSize + passwordSize;
  const start = HEAD_SIZE + (flags & MARKED ? MARK_SIZE : 0);
  const end = start + Math.ceil((count * Math.log2(alphabet.length)) / 8);
  if (ufragSize < 4 || passwordSize < 22 || end > raw.length - CRC_SIZE) {
    throw damaged("its ice-ufrag and ice-pwd are not ones");
  }
  if (flags & MARKED) checkMark(((raw[HEAD_SIZE] ?? 0) << 8) | (raw[HEAD_SIZE + 1] ?? 0), offer);
  const credentials = unpackCharacters(raw.subarray(start, end), count, alphabet);
  const pairs = Array.from(raw.subarray(5, HEAD_SIZE), (byte) =>
    byte.toString(16).padStart(2, "0"),
  );
  const lines = [
    "v=0",
    "o=- 0 0 IN IP4 0.0.0.0",
    "s=-",
    "t=0 0",
    `a=group:BUNDLE ${mid}`,
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=mid:${mid}`,
    `a=ice-ufrag:${credentials.slice(0, ufragSize)}`,
    `a=ice-pwd:${credentials.slice(ufragSize)}`,
    `a=fingerprint:sha-256 ${pairs.join(":").toUpperCase()}`,
    `a=setup:${setup}`,
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    ...unpackCandidates(raw.slice(end, -CRC_SIZE)),
    "a=end-of-candidates",
  ];
  return `${lines.join("\r\n")}\r\n`;
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

/** Return the bytes of a candidate; none for a name that is not the UUID of mDNS. */
function packCandidate(type: string, host: string, port: number): number[] {
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
  const kind = TYPES.indexOf(type as (typeof TYPES)[number]);
  return [(kind << 2) | family, ...address, port >> 8, port & 0xff];
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

/** Return the lines of the candidates. */
function unpackCandidates(bytes: Uint8Array<ArrayBuffer>): string[] {
  const lines: string[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const [head = 0] = rest;
    const type = TYPES[head >> 2];
    const size = ADDRESS_SIZES[head & 3];
    if (type === undefined || size === undefined || rest.length < size + 3) {
      throw damaged("an address in it is invalid");
    }
    const view = new DataView(rest.buffer, rest.byteOffset + 1, size + 2);
    const port = view.getUint16(size);
    const host = hostOf(rest.slice(1, 1 + size), head & 3);
    if (port === 0 || NOT_ONE_COMPUTER.test(host)) throw damaged("an address in it is invalid");
    const number = lines.length;
    // RFC 8445, 5.1.2.1
    const priority =
      PREFERENCES[(head >> 2) as 0 | 1 | 2 | 3] * 2 ** 24 + (65_535 - number) * 256 + 255;
    const anywhere = host.includes(":") ? "::" : "0.0.0.0";
    const base = type === "host" ? "" : ` raddr ${anywhere} rport 9`;
    lines.push(`a=candidate:${number} 1 udp ${priority} ${host} ${port} typ ${type}${base}`);
    rest = rest.slice(size + 3);
  }
  return lines;
}

function hostOf(address: Uint8Array<ArrayBuffer>, family: number): string {
  if (family === 0) return address.join(".");
  if (family === 1) return ipv6(new DataView(address.buffer));
  const hex = Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}.local`;
}

/** Return the value of the first attribute of this form. */
function attribute(sdp: string, name: string, form = "(\\S+)"): string {
  const found = new RegExp(`^a=${name}:${form}[ \\t]*$`, "im").exec(sdp)?.[1];
  if (found === undefined) throw new MalformedCode(`the browser's offer has no usable ${name}`);
  return found;
}
