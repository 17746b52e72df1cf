"""UDP sockets and handlers for the tests of `dcsend.net`."""

from __future__ import annotations

import socket
from typing import Any

from dcsend.net.address import Address

__all__ = ["Counting", "Full", "Log", "WithoutGro", "bound"]


class Log:
    """A handler that stores the datagrams with which it is called."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, Address]] = []

    def handle(self, data: bytes, source: Address) -> None:
        """Store a datagram."""
        self.got.append((data, source))


class Full(socket.socket):
    """A socket whose send buffer a test can make full."""

    full = False

    def sendto(self, data: bytes, target: Address) -> int:  # type: ignore[override]
        """Refuse, or send."""
        if self.full:
            raise BlockingIOError
        return super().sendto(data, target)

    def sendmsg(self, *arguments: Any) -> int:  # noqa: ANN401 - those of socket
        """Refuse, or send."""
        if self.full:
            raise BlockingIOError
        return super().sendmsg(*arguments)


class Counting(socket.socket):
    """A socket that counts the datagrams and trains that are read from it."""

    reads = 0

    def recvmsg_into(self, *arguments: Any) -> Any:  # noqa: ANN401 - those of socket
        """Read, and count."""
        result = super().recvmsg_into(*arguments)
        self.reads += 1
        return result


class WithoutGro(Counting):
    """A socket of a kernel without UDP_GRO."""

    def setsockopt(self, level: int, *arguments: Any) -> None:  # noqa: ANN401 - those of socket
        """Refuse all options of UDP."""
        if level == socket.IPPROTO_UDP:
            raise OSError(92, "Protocol not available")
        super().setsockopt(level, *arguments)


def bound(kind: type[socket.socket] = socket.socket) -> socket.socket:
    """Return a non-blocking socket on loopback with a large receive buffer."""
    sock = kind(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    return sock
