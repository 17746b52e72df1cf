"""Several datagrams to one address in one system call, where Linux can (UDP_SEGMENT, "GSO").

One call for 16 datagrams costs little more than one for one, and whoever receives is woken once
and not sixteen times. Knows sockets only.
"""

from __future__ import annotations

import errno
import itertools
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.engines.origins import Control

__all__ = ["BURST", "Segmentation"]

BURST: Final = 16
"""Datagrams in one call, at most. The kernel takes 64, but a receiver with the usual 208 KiB of
buffer has room for about 90 full ones: several bursts must fit."""
_MOST: Final = 65_000
"Bytes in one call, at most; the kernel takes 65,507."
_UDP_SEGMENT: Final = 103
"From linux/udp.h; Python has no name for it."
_UNSUPPORTED: Final = frozenset(
    {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}
)
"""What kernels before 4.18, network cards without checksums (EIO), and paths whose MTU is smaller
than a datagram answer: there it will never work, or not for this size."""


class Segmentation:
    """Sends over one socket, which stays its owner's."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.works = sys.platform == "linux"
        "False from the first refusal on."

    def send(
        self,
        datagrams: Sequence[bytes],
        target: tuple[str, int],
        control: Sequence[Control] = (),
    ) -> int:
        """Send as many of *datagrams* as it can; return how many, from the first on.

        What is left has to be sent one by one: the system can't do this, or has no room now.

        Args:
            datagrams: of whatever sizes.
            target: where to.
            control: what else to tell the kernel, such as the address to send from.
        """
        sent = 0
        for run in _runs(datagrams):
            if not self.works:
                break
            size = (socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", len(run[0])))
            try:
                self._sock.sendmsg(run, (size, *control), 0, target)
            except OSError as exc:
                if exc.errno in _UNSUPPORTED:
                    self.works = False
                break
            sent += len(run)
        return sent


def _runs(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut into what one call can take: one size, but for a shorter last one.

    >>> [len(run) for run in _runs([b"aa", b"aa", b"a", b"aa", b"aaa"])]
    [3, 1, 1]
    """
    start = 0
    for end in itertools.count(1):
        if end < len(datagrams) and end - start < BURST:
            size = len(datagrams[start])
            if (end - start + 1) * size <= _MOST and len(datagrams[end]) <= size == len(
                datagrams[end - 1]
            ):
                continue
        if start < end <= len(datagrams):
            yield datagrams[start:end]
        if end >= len(datagrams):
            return
        start = end
