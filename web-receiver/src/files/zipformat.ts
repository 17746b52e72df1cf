/**
 * The zip format, written from its first byte to its last: the records before, between and after
 * the content of the members. Without compression.
 *
 * Source: PKWARE APPNOTE.TXT 6.3.10. A number that does not fit into its field of 2 or 4 bytes is
 * written as all ones there, and as 8 bytes in a zip64 field or record (4.3.14, 4.5.3).
 */
import type { Bytes } from "../content.ts";
import { crc32 } from "../crc32.ts";

/** The largest values of fields of 2 and 4 bytes, which refer to zip64. */
const ALL_16 = 0xffff;
const ALL_32 = 0xffff_ffff;
/** "Version needed": plain, with folders, with zip64 (4.4.3). */
const PLAIN = 10;
const ZIP64 = 45;
/** "Made by" Unix, so that readers use the permission bits (4.4.2). */
const UNIX = 3 << 8;
/** Flags: sizes and CRC follow the content; the name is UTF-8 (4.4.4). */
const SIZES_FOLLOW = 1 << 3;
const UTF8 = 1 << 11;
const REGULAR = 0o100000;
const FOLDER = 0o040000;
const MS_DOS_FOLDER = 0x10;
/** Bytes of one piece of the directory. */
const PIECE = 1 << 20;

/** A member before its content. */
export interface Member {
  /** Path with `/` between the components; that of a folder ends with one. */
  readonly name: string;
  /** Permission bits, 0 to 0o777. */
  readonly mode: number;
  /** Zip programs read it as local time; years 1980 to 2107. */
  readonly time: Date;
}

/** The size and the CRC of a content. */
export interface Sum {
  readonly size: number;
  readonly crc: number;
}

/** The state of a zip that is being written. */
export class ZipFormat {
  readonly #directory = new Collector();
  #position: number;
  #members = 0;
  #open: { member: Member; name: Bytes; offset: number; wide: boolean; sum: Sum } | null = null;

  /** `position`: bytes before the zip in its file. */
  constructor(position = 0) {
    this.#position = position;
  }

  /**
   * Add a member with its whole `content`; return the record before the content. None follows it.
   */
  whole(member: Member, content: readonly Uint8Array[]): Bytes {
    const sum = content.reduce(added, { size: 0, crc: 0 });
    const name = new TextEncoder().encode(member.name);
    const header = localHeader(member, name, sum, false);
    this.#list(member, name, this.#position, sum, 0);
    this.#position += header.length + sum.size;
    return header;
  }

  /**
   * Begin a member whose content comes piece by piece; return the record before the content.
   *
   * `most`: bytes of content at most; null if not known. It determines the width of the sizes after
   * the content (4.3.9.2).
   */
  begin(member: Member, most: number | null): Bytes {
    const name = new TextEncoder().encode(member.name);
    const wide = most === null || most >= ALL_32;
    this.#open = { member, name, offset: this.#position, wide, sum: { size: 0, crc: 0 } };
    const header = localHeader(member, name, null, wide);
    this.#position += header.length;
    return header;
  }

  /** Count a piece of the content, before it is written. */
  count(piece: Uint8Array): void {
    const open = this.#opened();
    this.#open = { ...open, sum: added(open.sum, piece) };
  }

  /** End the member that was begun; return the record after the content. */
  end(): Bytes {
    const { member, name, offset, wide, sum } = this.#opened();
    this.#open = null;
    const record = new Fields(wide ? 24 : 16).u32(0x08074b50).u32(sum.crc);
    for (let copy = 0; copy < 2; copy++) wide ? record.u64(sum.size) : record.u32(sum.size);
    this.#list(member, name, offset, sum, SIZES_FOLLOW);
    this.#position += sum.size + record.bytes.length;
    return record.bytes;
  }

  /** Return the directory, which ends the zip, in pieces. */
  finish(): readonly Bytes[] {
    const directory = this.#directory.take();
    const size = directory.reduce((sum, { length }) => sum + length, 0);
    return [...directory, endRecords(this.#members, size, this.#position)];
  }

  #opened() {
    if (this.#open === null) throw new Error("no member has been begun");
    return this.#open;
  }

  /** Add a member to the directory (4.3.12). */
  #list({ name: path, mode, time }: Member, name: Bytes, offset: number, sum: Sum, flags: number) {
    const isFolder = path.endsWith("/");
    const sizeWide = sum.size >= ALL_32;
    const offsetWide = offset >= ALL_32;
    // Only those of the three numbers that need it may be present, in this order.
    const wide = [...(sizeWide ? [sum.size, sum.size] : []), ...(offsetWide ? [offset] : [])];
    const extra = wide.length > 0 ? 4 + 8 * wide.length : 0;
    const record = new Fields(46 + name.length + extra)
      .u32(0x02014b50)
      .u16(UNIX | ZIP64)
      .u16(wide.length > 0 ? ZIP64 : needed(isFolder))
      .u16(flags | UTF8)
      .u16(0)
      .u32(dosTime(time))
      .u32(sum.crc)
      .u32(sizeWide ? ALL_32 : sum.size)
      .u32(sizeWide ? ALL_32 : sum.size)
      .u16(name.length)
      .u16(extra)
      .u16(0)
      .u16(0)
      .u16(0)
      .u16(isFolder ? MS_DOS_FOLDER : 0)
      .u16(mode | (isFolder ? FOLDER : REGULAR))
      .u32(offsetWide ? ALL_32 : offset)
      .raw(name);
    if (extra > 0) record.u16(1).u16(extra - 4);
    for (const number of wide) record.u64(number);
    this.#directory.add(record.bytes);
    this.#members += 1;
  }
}

/**
 * Return the records that end a zip of `members` members, with a directory of `size` bytes at
 * `offset`; with a zip64 record and its locator where one of the three needs it (4.3.14 to 4.3.16).
 */
export function endRecords(members: number, size: number, offset: number): Bytes {
  const wide = members >= ALL_16 || size >= ALL_32 || offset >= ALL_32;
  const fields = new Fields(wide ? 98 : 22);
  if (wide) {
    fields
      .u32(0x06064b50)
      .u64(44)
      .u16(UNIX | ZIP64)
      .u16(ZIP64)
      .u32(0)
      .u32(0);
    fields.u64(members).u64(members).u64(size).u64(offset);
    fields
      .u32(0x07064b50)
      .u32(0)
      .u64(offset + size)
      .u32(1);
  }
  const short = Math.min(members, ALL_16);
  fields.u32(0x06054b50).u16(0).u16(0).u16(short).u16(short);
  return fields.u32(Math.min(size, ALL_32)).u32(Math.min(offset, ALL_32)).u16(0).bytes;
}

/**
 * Return the record before a content (4.3.7); `sum` is null where it follows, 8 bytes wide if
 * `wide`.
 */
function localHeader(
  { name: path, time }: Member,
  name: Bytes,
  sum: Sum | null,
  wide: boolean,
): Bytes {
  const size = wide ? ALL_32 : (sum?.size ?? 0);
  const fields = new Fields(30 + name.length + (wide ? 20 : 0))
    .u32(0x04034b50)
    .u16(wide ? ZIP64 : needed(path.endsWith("/")))
    .u16(UTF8 | (sum === null ? SIZES_FOLLOW : 0))
    .u16(0)
    .u32(dosTime(time))
    .u32(sum?.crc ?? 0)
    .u32(size)
    .u32(size)
    .u16(name.length)
    .u16(wide ? 20 : 0)
    .raw(name);
  // Its presence means that the sizes after the content have 8 bytes; here they are unknown.
  return (wide ? fields.u16(1).u16(16).u64(0).u64(0) : fields).bytes;
}

function needed(isFolder: boolean): number {
  return isFolder ? 20 : PLAIN;
}

function added({ size, crc }: Sum, piece: Uint8Array): Sum {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  return { size: size + piece.length, crc: crc32(view, 0, piece.length, crc) };
}

/** Return time and date in the format of MS-DOS, in steps of two seconds (4.4.6). */
function dosTime(time: Date): number {
  const date = ((time.getFullYear() - 1980) << 9) | ((time.getMonth() + 1) << 5) | time.getDate();
  const clock = (time.getHours() << 11) | (time.getMinutes() << 5) | (time.getSeconds() >> 1);
  return date * 65536 + clock;
}

/** The fields of a record in order, little-endian. */
class Fields {
  readonly bytes: Bytes;
  readonly #view: DataView;
  #at = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  u64(value: number): this {
    this.#view.setBigUint64(this.#at, BigInt(value), true);
    this.#at += 8;
    return this;
  }

  raw(value: Uint8Array): this {
    this.bytes.set(value, this.#at);
    this.#at += value.length;
    return this;
  }
}

/** Collects bytes: a million small records in few buffers. */
class Collector {
  #full: Bytes[] = [];
  #last = new Uint8Array(PIECE);
  #used = 0;

  /** Append `record`, of at most 1 MiB. */
  add(record: Bytes): void {
    if (this.#used + record.length > PIECE) this.#turn();
    this.#last.set(record, this.#used);
    this.#used += record.length;
  }

  /** Return everything, in order. */
  take(): readonly Bytes[] {
    this.#turn();
    return this.#full;
  }

  #turn(): void {
    this.#full.push(this.#last.slice(0, this.#used));
    this.#last = new Uint8Array(PIECE);
    this.#used = 0;
  }
}
