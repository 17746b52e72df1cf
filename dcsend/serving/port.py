"""The TCP port of the page: bound, and listening, long before a server is loaded.

Browsers that are too early wait in the system's queue. Imports the standard library only.
"""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

from dcsend.errors import ConnectionFailed, UsageError

__all__ = ["BACKLOG", "listen", "objection"]

BACKLOG: Final = 64
"Connections that may wait while the server is loaded, half a second."
_TRIES: Final = 8
"Random ports tried until one is free for both address families."
_LOW: Final = 1024
"Chromium sends nothing over UDP to a port below, whatever listens there (measured)."
_BLOCKED: Final = frozenset(
    (
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
        *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)
"The others from which no browser loads a page (Fetch Standard, 2.9 Port blocking)."
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"This machine has the network, but no room."


def objection(port: int, *, served: bool) -> str:
    """Say why browsers don't get to *port*; empty if they do, or if it is 0, a random one.

    Args:
        port: what was asked for.
        served: a page shall come from it, not only a transfer.

    >>> objection(43817, served=True), objection(6000, served=False), objection(0, served=True)
    ('', '', '')
    """
    if 0 < port < _LOW:
        return f"browsers may not connect to port {port}, nor to any below {_LOW}"
    if served and port in _BLOCKED:
        return f"browsers open no page at port {port}"
    return ""


def listen(port: int = 0) -> list[socket.socket]:
    """Return listening sockets, one per address family that works here, all on the same port.

    Args:
        port: 1 to 65535, or 0 for a random one.

    Raises:
        UsageError: the port is taken, or needs rights this user has not.
        ConnectionFailed: this machine has no network at all.
    """
    for attempt in range(_TRIES):
        sockets: list[socket.socket] = []
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                taken = port or next((s.getsockname()[1] for s in sockets), 0)
                if (sock := _listen_family(family, taken)) is not None:
                    sockets.append(sock)
        except OSError as exc:
            for sock in sockets:
                sock.close()
            if port or attempt == _TRIES - 1:
                raise _refusal(port, exc) from exc
            continue
        if sockets:
            return sockets
        break
    raise ConnectionFailed("this machine has no network", "connect it to a network first")


def _listen_family(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Return a listening socket, or None where this machine does not speak *family*."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as exc:
        if exc.errno in _EXHAUSTED:
            raise
        return None
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "win32":
            # Without it, any other program may take the port over.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Connections of an earlier run on the same --port linger for a minute.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None  # IPv6 compiled in but switched off
        raise
    return sock


def _refusal(port: int, exc: OSError) -> UsageError:
    what = f"TCP port {port}" if port else "a TCP port"
    why = "in use by another program" if exc.errno == errno.EADDRINUSE else exc.strerror
    return UsageError(
        f"the page can't be served at {what}: {why}",
        "choose another --port, or serve no page: --no-page",
    )
