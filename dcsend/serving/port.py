"""The listening sockets of the page.

They listen before aiohttp is imported; a browser that connects early waits in the kernel's accept
queue. Imports leaf modules and the standard library only.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
from typing import Final

from dcsend.errors import ConnectionFailed, UsageError
from dcsend.printable import system_reason

__all__ = ["BACKLOG", "blocked_port", "listen"]

logger = logging.getLogger(__name__)

BACKLOG: Final = 64
"Connections in the accept queue while aiohttp is imported, about 0.5 s."
_TRIES: Final = 8
"Random ports to try until one is free in both address families."
_LOW: Final = 1024
"Lowest UDP port to which Chromium sends ICE checks (measured)."
_BLOCKED: Final = frozenset(
    (
        *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
        *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)
"Ports of 1024 or above from which browsers load no page (Fetch Standard, 2.9 Port blocking)."
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"Errors of a limit of this machine, not of a missing address family."


def blocked_port(port: int, *, served: bool) -> str:
    """Return the reason why browsers refuse *port*; empty if they don't.

    Args:
        port: 1 to 65535, or 0 for a random port, which browsers never refuse.
        served: whether the page is served at this port, too, beside the transfer.

    >>> blocked_port(43817, served=True), blocked_port(6000, served=False)
    ('', '')
    """
    if 0 < port < _LOW:
        return f"browsers refuse port {port}, like every port below {_LOW}"
    if served and port in _BLOCKED:
        return f"browsers load no page from port {port}"
    return ""


def listen(port: int = 0) -> list[socket.socket]:
    """Return listening sockets on one port, one for each address family that this machine has.

    Args:
        port: 1 to 65535, or 0 for a random one.

    Raises:
        UsageError: the port is in use, or binding to it is not permitted.
        ConnectionFailed: this machine has neither IPv4 nor IPv6.
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
                raise _listen_error(port, exc) from exc
            continue
        if sockets:
            logger.debug("listening on %s", [sock.getsockname()[:2] for sock in sockets])
            return sockets
        break
    raise ConnectionFailed("this machine has no network", "connect it to a network first")


def _listen_family(family: socket.AddressFamily, port: int) -> socket.socket | None:
    """Return a listening socket, or None if this machine has no *family*."""
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
            # Otherwise any other program could bind to the same port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # Otherwise connections in TIME_WAIT would block the port for a minute.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        if exc.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return None  # IPv6 is compiled in but disabled
        raise
    return sock


def _listen_error(port: int, exc: OSError) -> UsageError:
    what = f"TCP port {port}" if port else "a TCP port"
    why = "in use by another program" if exc.errno == errno.EADDRINUSE else system_reason(exc)
    return UsageError(
        f"the page can't be served at {what}: {why}",
        "choose another --port, or serve no page: --no-page",
    )
