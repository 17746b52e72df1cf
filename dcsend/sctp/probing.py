"""How large packets may be, found out by trying (RFC 8899, packetization layer path MTU discovery).

A probe is a HEARTBEAT and a PAD chunk as long as a packet with the size in question; the peer sends
the HEARTBEAT back if it got through. Nothing depends on a size before that.

A path may take less later, with or without an ICMP message, and a chunk that has a TSN can't be cut
again (RFC 9260, 6.9). So what is in flight then must fit smaller packets, too. Between two dcsends
a chunk may be as large as a packet, and is sent again in parts (`parts`). To another implementation
a large packet carries two chunks of at most `BASE_PAYLOAD` bytes, which are sent again one by one.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import Final

from dcsend.sctp import wire

__all__ = ["BASE_PAYLOAD", "MAX_PAYLOAD", "MAX_STANDARD_PAYLOAD", "Probing", "payloads"]

logger = logging.getLogger(__name__)

BASE_PAYLOAD: Final = 1160
"""Bytes of a message in one packet that every path takes: 1280 with IPv6, DTLS and SCTP. aiortc and
browsers use the same."""
MAX_STANDARD_PAYLOAD: Final = 1404
"""Bytes, at most, towards peers without the bulk extension: packets of an Ethernet over IPv4. Some
implementations read a datagram into a small buffer: libwebrtc 2048 bytes, Pion 8192. aiortc reads
1500 bytes of a DTLS record and takes the rest for the next packet, after which it cannot decode
any."""
_PAUSES: Final = (0.0, 0.3, 1.2)
"Seconds before each of the three probes of a size (RFC 8899, 5.1.2: MAX_PROBES)."
_BLACK_HOLE: Final = 3
"Losses of large packets, with none acknowledged in between, that count as a black hole."
_AGAIN: Final = 5.0
"""Seconds from a black hole until larger packets are probed again, since an outage of some seconds
looks the same. RFC 8899, 5.1.1 has 600 (PMTU_RAISE_TIMER); three probes are cheap."""

_OVERHEAD: Final = {False: 20 + 8 + 37 + 12 + 16, True: 40 + 8 + 37 + 12 + 16}
'By "is IPv6": bytes of IP, UDP, DTLS 1.2 with AES-GCM, common header and DATA header.'
_ETHERNET: Final = 1500
_USUAL: Final = (9000, _ETHERNET, 1492, 1420)
"MTUs of links behind the first one: jumbo frames, Ethernet, PPPoE, WireGuard."
MAX_PAYLOAD: Final = 16_384 - 12 - 16
"The payload that fits the largest DTLS record (RFC 6347, 4.1)."
_WORTH: Final = 64
"A larger packet is probed only if it carries so many bytes more."


def payloads(mtu: int | None, *, is_ipv6: bool) -> list[int]:
    """Return the payloads to probe, in bytes, largest first; multiples of 4.

    Args:
        mtu: of the route, in bytes; None if the system does not report it.
        is_ipv6: whether packets have the header of IPv6.

    >>> payloads(1500, is_ipv6=False), payloads(1280, is_ipv6=True), payloads(65536, is_ipv6=False)
    ([1404, 1396, 1324], [], [16356, 8904, 1404, 1396, 1324])
    """
    known = mtu or _ETHERNET
    overhead = _OVERHEAD[is_ipv6]
    sizes = {(size - overhead) & ~3 for size in (known, *_USUAL) if size <= known}
    sizes = {min(size, MAX_PAYLOAD) for size in sizes}
    return sorted((size for size in sizes if size > BASE_PAYLOAD + _WORTH), reverse=True)


class Probing:
    """Path MTU discovery for one path (RFC 8899)."""

    def __init__(self) -> None:
        self.payload = BASE_PAYLOAD
        "Bytes of a message in one packet: the largest size that a probe has confirmed."
        self.deadline: float | None = None
        "When the next probes are due; None for never."
        self._arrived = 0.0
        "When the newest large packet that was acknowledged was sent."
        self._losses = 0
        "Losses of large packets since."
        self._longest = 0
        "Bytes of the largest of them."
        self._counted = 0.0
        "When `_losses` was last increased."
        self._token = secrets.token_bytes(8)
        self._sizes: Sequence[int] = ()
        self._pauses: list[float] = []

    def begin(self, sizes: Sequence[int], now: float) -> None:
        """Probe payloads of these sizes, in bytes, multiples of 4, largest first."""
        self._sizes = sizes
        self._pauses = list(_PAUSES[1:])
        self.deadline = now

    def probes(self, now: float) -> list[bytes]:
        """Return the probes that are due, each the content of a packet."""
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = now + self._pauses.pop(0) if self._pauses else None
        return [self._probe(size) for size in self._sizes if size > self.payload]

    def _probe(self, size: int) -> bytes:
        info = wire.parameter(wire.HEARTBEAT_INFO, self._token + size.to_bytes(4))
        heartbeat = wire.chunk(wire.HEARTBEAT, 0, info)
        room = wire.DATA_HEADER.size + size - len(heartbeat)
        return heartbeat + wire.chunk(wire.PAD, 0, bytes(room - wire.HEADER.size))

    def on_heartbeat_ack(self, value: bytes) -> bool:
        """Accept a HEARTBEAT ACK; return whether it confirms a larger packet.

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

    def arrived(self, sent: float, size: int) -> None:
        """Note that a large packet of *size* bytes, sent at time *sent*, was acknowledged."""
        if size < self._longest:
            return  # smaller than those that were lost
        self._arrived = max(self._arrived, sent)
        self._losses = self._longest = 0

    def moved(self, now: float) -> None:
        """Ignore the losses of what was sent before: it was on another path."""
        self._arrived = now
        self._losses = self._longest = 0

    def lost(self, sent: float, size: int, sends: int, now: float) -> bool:
        """Note the loss of a chunk in a large packet; return whether that is a black hole.

        Small packets may still arrive, so acknowledgements of those do not count. Packets that were
        in flight together count once, since an outage loses all of them.

        Args:
            sent: when the packet was sent, in seconds.
            size: bytes of the packet.
            sends: transmissions of the chunk, all in large packets.
            now: seconds.
        """
        if sent <= self._arrived:
            return False
        if sent >= self._counted:
            self._losses += 1
            self._longest = max(self._longest, size)
            self._counted = now
        if max(self._losses, sends) < _BLACK_HOLE:
            return False
        self.black_hole(now)
        return True

    def black_hole(self, now: float) -> None:
        """Use the size that every path takes (RFC 8899, 4.3), and probe again later."""
        logger.debug("black hole: packets of %d bytes are lost", self._longest)
        self.payload = BASE_PAYLOAD
        self._losses = self._longest = 0
        self._pauses = list(_PAUSES[1:])
        self.deadline = now + _AGAIN
