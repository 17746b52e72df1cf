"""The addresses of a host name, resolved in a thread that does not delay the end of the program."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final

from dcsend.net.address import Address

__all__ = ["NameUnknownError", "Resolve", "resolve"]

logger = logging.getLogger(__name__)

_NO_SUCH_NAME: Final = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}
"""Errors of getaddrinfo after a response: the name does not exist, or has no address of a family of
this machine. All others mean that there was no usable response."""


Resolve = Callable[[Address], Awaitable[list[Address]]]
"As `resolve`."


class NameUnknownError(Exception):
    """A name has no usable address.

    Args:
        exists_not: whether a name server responded that there is none; otherwise none responded.
    """

    def __init__(self, *, exists_not: bool) -> None:
        super().__init__("the name does not exist" if exists_not else "no name server answers")
        self.exists_not = exists_not


async def resolve(server: Address) -> list[Address]:
    """Return the addresses of a host name, in the order of preference.

    In a daemon thread: the executor of the loop would delay the end of the program while a name
    server does not respond.

    Args:
        server: name or IP address, and port.

    Raises:
        NameUnknownError: there is no usable address.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[list[Address]] = loop.create_future()

    def deliver(found: list[Address], error: NameUnknownError | None) -> None:
        if result.done():
            return
        if error is None:
            result.set_result(found)
        else:
            result.set_exception(error)

    def look_up() -> None:
        found: dict[Address, None] = {}
        error: NameUnknownError | None = None
        try:
            for _, _, _, _, address in socket.getaddrinfo(
                *server, type=socket.SOCK_DGRAM, flags=socket.AI_ADDRCONFIG
            ):
                found[str(address[0]), int(address[1])] = None
        except OSError as exc:
            error = NameUnknownError(exists_not=exc.errno in _NO_SUCH_NAME)
        except ValueError:  # UnicodeError: a label is too long or empty
            error = NameUnknownError(exists_not=True)
        try:
            loop.call_soon_threadsafe(deliver, list(found), error)
        except RuntimeError:
            return  # the loop has ended

    threading.Thread(target=look_up, name="dcsend-lookup", daemon=True).start()
    try:
        addresses = await result
    except NameUnknownError as exc:
        logger.debug("host name %s: %s", server[0], exc)
        raise
    logger.debug("host name %s: %s", server[0], addresses)
    return addresses
