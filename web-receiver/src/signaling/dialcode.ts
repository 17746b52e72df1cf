/**
 * The dial code: everything that a dialer needs to connect to a listener, as one short text.
 *
 * As the reading half of `dcsend/signaling/dialcode.py`; PROTOCOL.md has the layout. forgiving.ts
 * finds the bytes in a pasted text; this module parses and validates them.
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
/** Bytes of an address in each group: plain IPv4, plain IPv6, and both with a port of their own. */
const ADDRESS_SIZES = [4, 16, 6, 18];
/** Three addresses of each group. */
const MAX_SIZE = HEAD_SIZE + 3 * (4 + 16 + 6 + 18) + CRC_SIZE;

/** An address of a listener. */
export interface Address {
  /** IPv4 or IPv6 address in its canonical spelling (RFC 5952). */
  readonly host: string;
  /** UDP port, 1 to 65535. */
  readonly port: number;
}

/** The content of a dial code. */
export interface DialCode {
  /** 16 random bytes, used for one code only; a dialer with the secret may connect once. */
  readonly secret: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the listener's DTLS certificate (DER), 32 bytes. */
  readonly fingerprint: Uint8Array<ArrayBuffer>;
  /** UDP port of the listener, 1 to 65535. */
  readonly port: number;
  /** Addresses to dial, in the order of the code; at least one. */
  readonly addresses: readonly Address[];
  /**
   * When the listener stops waiting, by its clock: seconds since 1970-01-01 00:00 UTC. Clocks
   * differ, so it only explains a failure: dial in any case, and report an expired code only if
   * there is no answer.
   */
  readonly expires: number;
}

/**
 * Read a code from `text`, however it was copied: either form, a whole link, or a whole `dcsend
 * receive …` command. Throws MalformedCode for a damaged or incomplete code or another text,
 * IncompatibleVersion for a whole code of another version.
 */
export function decode(text: string): DialCode {
  return decodeBytes(read(text, MAX_SIZE, sizeOf));
}

/** Read a code from its bytes; throws as `decode`. */
export function decodeBytes(raw: Uint8Array<ArrayBuffer>): DialCode {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  // Checksum, then version: they have the same place in every version.
  if (raw.length <= CRC_SIZE || checksum(raw) !== 0) {
    throw damaged("its checksum is wrong");
  }
  if (raw[0] !== CODE_VERSION) {
    throw new IncompatibleVersion(
      `the code has version ${raw[0]}, this page supports version ${CODE_VERSION}`,
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
  // Not crypto.subtle, which a page from plain http does not have.
  const digest = hmac(sha256, secret, new TextEncoder().encode("dcsend ice-pwd"));
  return btoa(String.fromCharCode(...digest.subarray(0, 18)));
}

/** Return the number of bytes of each address of a code, from its counts byte. */
function addressSizes(packed: number): number[] {
  return ADDRESS_SIZES.flatMap((size, group) =>
    Array.from({ length: (packed >> (6 - 2 * group)) & 3 }, () => size),
  );
}

/** Return the length of a code from its first bytes; null if it has another version. */
function sizeOf([version, packed = 0]: Uint8Array): number | null {
  if (version !== CODE_VERSION) return null;
  return addressSizes(packed).reduce((sum, size) => sum + size, HEAD_SIZE + CRC_SIZE);
}

/** Return the addresses of a code whose length fits its counts byte; throws for an invalid one. */
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
  // A mapped address at the code's own port has a shorter form.
  if (port * ownPort === 0 || (isMapped && port === ownPort) || NOT_ONE_COMPUTER.test(host)) {
    throw unusable(`${host} port ${port}`);
  }
  return { host, port };
}

function unusable(why: string): MalformedCode {
  return new MalformedCode(`the code is not usable: ${why}`);
}
