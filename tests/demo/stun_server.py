"""A STUN server for tests: returns the source address of each request.

python tests/demo/stun_server.py HOST PORT
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys

HEADER = struct.Struct("!HHI12s")


def answer(data: bytes, host: str, port: int) -> bytes:
    """Return a Binding success response with XOR-MAPPED-ADDRESS (RFC 8489, 14.2)."""
    _, _, cookie, transaction = HEADER.unpack_from(data)
    packed = ipaddress.ip_address(host).packed
    # The key is the magic cookie and the transaction: an IPv4 address takes four bytes of it.
    address = bytes(a ^ b for a, b in zip(packed, data[4:], strict=False))
    family = 1 if len(packed) == 4 else 2
    value = struct.pack("!BBH", 0, family, port ^ (cookie >> 16)) + address
    return (
        HEADER.pack(0x0101, 4 + len(value), cookie, transaction)
        + struct.pack("!HH", 0x0020, len(value))
        + value
    )


def main() -> None:
    """Serve until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((sys.argv[1], int(sys.argv[2])))
        print("ready", flush=True)  # noqa: T201
        while True:
            data, source = sock.recvfrom(2048)
            if len(data) >= HEADER.size and data[:2] == b"\x00\x01":
                sock.sendto(answer(data, *source), source)


if __name__ == "__main__":
    main()
