/** Common parts of the binary forms of dial code and session description. */

/** Unspecified, multicast, broadcast, or IPv4-mapped IPv6 addresses. */
export const NOT_ONE_COMPUTER =
  /^(0\.0\.0\.0|255\.255\.255\.255|(22[4-9]|23\d)\..*|::|ff\w\w:.*|::ffff:\w+:\w+)$/;

/** CRC-16/CCITT-FALSE; 0 over bytes that end with their own checksum. */
export function checksum(bytes: Uint8Array): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x11021 : 0);
  }
  return crc;
}

/** Return an IPv6 address as text (RFC 5952), as URLs have it. */
export function ipv6(view: DataView): string {
  const groups = Array.from({ length: 8 }, (_, place) => view.getUint16(2 * place).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
