"""Several datagrams to one address in one system call (UDP_SEGMENT, generic segmentation offload).

On Linux a call for 16 datagrams costs little more than one for a single datagram, and the receiving
process is woken once instead of 16 times.
"""

from __future__ import annotations

import errno
import itertools
import logging
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from dcsend.net.address import Address
from dcsend.net.source_address import Control

__all__ = ["BURST", "Segmentation"]

logger = logging.getLogger(__name__)

BURST: Final = 16
"""Datagrams in one call, at most. The kernel takes 64, but a receive buffer of the usual 208 KiB
has room for about 90 full datagrams, so that several bursts must fit."""
_MAX_BYTES: Final = 65_000
"Bytes in one call; the kernel takes 65,507."
_UDP_SEGMENT: Final = 103
"From linux/udp.h; Python has no name for it."
_UNSUPPORTED: Final = frozenset(
    {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}
)
"""Errors of kernels before 4.18, of network cards without checksums (EIO), and of paths with an MTU
that is smaller than a datagram. They would be the same for the next call."""


class Segmentation:
    """Sends over one socket, which it does not close."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.works = sys.platform == "linux"
        "False after the first error in `_UNSUPPORTED`."

    def send(
        self, datagrams: Sequence[bytes], target: Address, control: Sequence[Control] = ()
    ) -> int:
        """Send the first datagrams of a sequence; return how many.

        The caller sends the rest one by one: the system does not support more, or its buffer is
        full.

        Args:
            datagrams: of any sizes.
            target: the remote address.
            control: further control messages, such as the source address.
        """
        sent = 0
        if sys.platform == "win32":
            return sent
        for run in _runs(datagrams):
            if not self.works:
                break
            size = (socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", len(run[0])))
            try:
                self._sock.sendmsg(run, (size, *control), 0, target)
            except OSError as exc:
                if exc.errno in _UNSUPPORTED:
                    self.works = False
                    logger.debug("datagrams are sent one by one from now on: %s", exc)
                break
            sent += len(run)
        return sent


def _runs(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Split into runs for one call: datagrams of one size, of which the last may be shorter.

    >>> [len(run) for run in _runs([b"aa", b"aa", b"a", b"aa", b"aaa"])]
    [3, 1, 1]
    """
    start = 0
    for end in itertools.count(1):
        if end < len(datagrams) and end - start < BURST:
            size = len(datagrams[start])
            if (end - start + 1) * size <= _MAX_BYTES and len(datagrams[end]) <= size == len(
                datagrams[end - 1]
            ):
                continue
        if start < end <= len(datagrams):
            yield datagrams[start:end]
        if end >= len(datagrams):
            return
        start = end
