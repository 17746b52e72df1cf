"""How large packets may be, found out by trying (RFC 8899, packetization layer path MTU discovery).

A probe is a HEARTBEAT and a PAD chunk as long as a packet with the size in question; the peer
sends the HEARTBEAT back if it got through. Nothing depends on a size before that.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from dcsend.sctp import wire

__all__ = ["BASE_PAYLOAD", "FOREIGN_PAYLOAD", "Probing", "payloads"]

BASE_PAYLOAD: Final = 1160
"""Bytes of a message in one packet that every path takes: 1280 with IPv6, DTLS, SCTP. What aiortc
and browsers send, too."""
FOREIGN_PAYLOAD: Final = 1404
"Bytes, at most, towards another implementation: packets of an Ethernet, over IPv4."
_PAUSES: Final = (0.0, 0.3, 1.2)
"Seconds between the tries, three for each size (RFC 8899, 5.1.2: MAX_PROBES)."

_OVERHEAD: Final = {False: 20 + 8 + 37 + 12 + 16, True: 40 + 8 + 37 + 12 + 16}
'By "is IPv6": bytes of IP, UDP, DTLS 1.2 with AES-GCM, common header and DATA header.'
_ETHERNET: Final = 1500
_USUAL: Final = (9000, _ETHERNET, 1492, 1420)
"MTUs that lie behind a larger one and don't show there: jumbo frames, PPPoE, WireGuard."
_LARGEST: Final = 16_384 - 12 - 16
"A DTLS record has no more (RFC 6347, 4.1)."
_WORTH: Final = 64
"Bytes more that make a larger packet worth a probe."


def payloads(mtu: int | None, *, is_ipv6: bool) -> list[int]:
    """Return the payloads worth probing, in bytes, largest first; multiples of 4.

    Args:
        mtu: of the route, as far as this machine knows; None if it can't tell.
        is_ipv6: whether IP's header is the longer one.

    >>> payloads(1500, is_ipv6=False), payloads(1280, is_ipv6=True), payloads(65536, is_ipv6=False)
    ([1404, 1396, 1324], [], [16356, 8904, 1404, 1396, 1324])
    """
    known = mtu or _ETHERNET
    overhead = _OVERHEAD[is_ipv6]
    sizes = {(size - overhead) & ~3 for size in (known, *_USUAL) if size <= known}
    sizes = {min(size, _LARGEST) for size in sizes}
    return sorted((size for size in sizes if size > BASE_PAYLOAD + _WORTH), reverse=True)


class Probing:
    """The search for one path."""

    def __init__(self) -> None:
        self.payload = BASE_PAYLOAD
        "Bytes of a message in one packet: the largest proven."
        self.deadline: float | None = None
        "When to send the next probes."
        self._token = secrets.token_bytes(8)
        self._sizes: Sequence[int] = ()
        self._pauses: list[float] = []

    def begin(self, sizes: Sequence[int], now: float) -> None:
        """Try payloads of these sizes, in bytes, multiples of 4, largest first."""
        self._sizes = sizes
        self._pauses = list(_PAUSES[1:])
        self.deadline = now

    def probes(self, now: float) -> list[bytes]:
        """Return what is due: the content of a packet each."""
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = now + self._pauses.pop(0) if self._pauses else None
        return [self._probe(size) for size in self._sizes if size > self.payload]

    def _probe(self, size: int) -> bytes:
        info = wire.parameter(wire.HEARTBEAT_INFO, self._token + size.to_bytes(4))
        heartbeat = wire.chunk(wire.HEARTBEAT, 0, info)
        room = wire.DATA_HEADER.size + size - len(heartbeat)
        return heartbeat + wire.chunk(wire.PAD, 0, bytes(room - wire.HEADER.size))

    def echoed(self, value: bytes) -> bool:
        """Take a HEARTBEAT ACK; tell whether larger packets are proven by it.

        Raises:
            Malformed: its length is wrong.
        """
        before = self.payload
        for kind, info in wire.parameters(value):
            size = int.from_bytes(info[-4:])
            if kind == wire.HEARTBEAT_INFO and info[:-4] == self._token and size in self._sizes:
                self.payload = max(self.payload, size)
        if self.payload == max(self._sizes, default=0):
            self.deadline = None
        return self.payload > before

    def black_hole(self) -> bool:
        """Go back to what every path takes (RFC 8899, 4.3); tell whether that is smaller."""
        was_larger = self.payload > BASE_PAYLOAD
        self.payload = BASE_PAYLOAD
        self.deadline = None
        return was_larger
