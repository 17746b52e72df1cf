/**
 * The dial code: everything a dialer must know of a listener, as one short text.
 *
 * As the reading half of `dcsend/signaling/dialcode.py` (layout there and in PROTOCOL.md); this
 * page dials and never listens. forgiving.ts finds the bytes in what people paste; what they mean
 * is judged here. Imports only errors.ts and signaling.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { IncompatibleVersion, MalformedCode } from "../errors.ts";
import { checksum, ipv6, NOT_ONE_COMPUTER } from "./binary.ts";
import { damaged, read } from "./forgiving.ts";

/** The only layout that this module reads. */
const CODE_VERSION = 1;

/** Bytes before the addresses: version, counts, secret (16), fingerprint (32), port, expires. */
const HEAD_SIZE = 56;
const CRC_SIZE = 2;
/** Bytes of an address in each group: plain IPv4, plain IPv6, and with a port of their own. */
const ADDRESS_SIZES = [4, 16, 6, 18];
/** Three addresses of each group. */
const MAX_SIZE = HEAD_SIZE + 3 * (4 + 16 + 6 + 18) + CRC_SIZE;

/** Where a listener can be reached. */
export interface Address {
  /** IPv4 or IPv6 address in its canonical spelling (RFC 5952). */
  readonly host: string;
  /** UDP port, 1 to 65535. */
  readonly port: number;
}

/** What the listener publishes. */
export interface DialCode {
  /** 16 random bytes, used for one code only; who knows them may connect once. */
  readonly secret: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the listener's DTLS certificate (DER), 32 bytes. */
  readonly fingerprint: Uint8Array<ArrayBuffer>;
  /** UDP port of the listener, 1 to 65535. */
  readonly port: number;
  /** Where to dial, in the order of the code; at least one. */
  readonly addresses: readonly Address[];
  /**
   * When the listener stops waiting, by its own clock: seconds since 1970-01-01 00:00 UTC. Clocks
   * differ, so this decides nothing by itself: dial whatever it says, and only if nobody answers
   * take it to say "the code has expired" instead of "nobody there".
   */
  readonly expires: number;
}

/**
 * Read a code from `text`, however it was copied: either form, a whole link, or a whole
 * `dcsend receive …` command. Throws MalformedCode where it is damaged, incomplete, or not a code,
 * IncompatibleVersion where it is whole, but of another version.
 */
export function decode(text: string): DialCode {
  return decodeBytes(read(text, MAX_SIZE, sizeOf));
}

/** Read a code from its bytes; throws as `decode`. */
export function decodeBytes(raw: Uint8Array<ArrayBuffer>): DialCode {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  // Checksum, then version: these two are where they are in every version.
  if (raw.length <= CRC_SIZE || checksum(raw) !== 0) {
    throw damaged("its checksum is wrong");
  }
  if (raw[0] !== CODE_VERSION) {
    throw new IncompatibleVersion(
      `the code has version ${raw[0]}, this page knows version ${CODE_VERSION}`,
      "reload the page, or get the one of a newer dcsend",
    );
  }
  if (raw.length < HEAD_SIZE || raw.length !== sizeOf(raw)) {
    throw damaged(`it has ${raw.length} bytes`);
  }
  const port = view.getUint16(50);
  return {
    secret: raw.slice(2, 18),
    fingerprint: raw.slice(18, 50),
    port,
    addresses: readAddresses(raw, port),
    expires: view.getUint32(52),
  };
}

/** Return the listener's ICE password, which proves that both sides have the code. */
export function icePassword(secret: Uint8Array): string {
  // Not crypto.subtle: a page from plain http has none.
  const digest = hmac(sha256, secret, new TextEncoder().encode("dcsend ice-pwd"));
  return btoa(String.fromCharCode(...digest.subarray(0, 18)));
}

/** Return the bytes of each address of a code, from its counts byte. */
function addressSizes(packed: number): number[] {
  return ADDRESS_SIZES.flatMap((size, group) =>
    Array.from({ length: (packed >> (6 - 2 * group)) & 3 }, () => size),
  );
}

/** Return how many bytes a code has that begins so, null if its version is not ours. */
function sizeOf([version, packed = 0]: Uint8Array): number | null {
  if (version !== CODE_VERSION) return null;
  return addressSizes(packed).reduce((sum, size) => sum + size, HEAD_SIZE + CRC_SIZE);
}

/** Return the addresses of a code whose length fits its counts byte; refuse what is no address. */
function readAddresses(raw: Uint8Array<ArrayBuffer>, ownPort: number): Address[] {
  let offset = HEAD_SIZE;
  const found = addressSizes(raw[1] ?? 0).map((size) => {
    offset += size;
    return readAddress(raw.slice(offset - size, offset), ownPort);
  });
  const distinct = new Set(found.map(({ host, port }) => `${host} ${port}`)).size;
  if (distinct === 0 || distinct < found.length) throw unusable(`${distinct} addresses`);
  return found;
}

function readAddress(bytes: Uint8Array<ArrayBuffer>, ownPort: number): Address {
  const isMapped = bytes.length % 4 !== 0;
  const hostSize = isMapped ? bytes.length - 2 : bytes.length;
  const view = new DataView(bytes.buffer);
  const port = isMapped ? view.getUint16(hostSize) : ownPort;
  const host = hostSize === 4 ? bytes.slice(0, 4).join(".") : ipv6(view);
  // A mapped address at the code's own port has a shorter spelling.
  if (port * ownPort === 0 || (isMapped && port === ownPort) || NOT_ONE_COMPUTER.test(host)) {
    throw unusable(`${host} port ${port}`);
  }
  return { host, port };
}

function unusable(why: string): MalformedCode {
  return new MalformedCode(`the code is not usable: ${why}`);
}
