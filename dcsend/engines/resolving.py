"""The addresses of a server's name, looked up in a thread that does not delay the program's end."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Final

from dcsend.engines.udp import Address

__all__ = ["NameUnknownError", "resolve"]

_NO_SUCH_NAME: Final = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}
"""Errors of getaddrinfo after an answer: the name, or an address of our families for it, does not
exist. All others mean that there was no usable answer."""


class NameUnknownError(Exception):
    """A name has no address that can be used here.

    Args:
        exists_not: a name server has answered so; otherwise none has answered.
    """

    def __init__(self, *, exists_not: bool) -> None:
        super().__init__("the name does not exist" if exists_not else "no name server answers")
        self.exists_not = exists_not


async def resolve(server: Address) -> list[Address]:
    """Return the addresses of a host name, in the order in which they are to be tried.

    In a daemon thread: a name server that does not answer must not hold up the end of the program,
    as the loop's own executor would.

    Args:
        server: name or IP address, and port.

    Raises:
        NameUnknownError: there is no address.
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
        except ValueError:  # UnicodeError: a label of the name is too long or empty
            error = NameUnknownError(exists_not=True)
        try:
            loop.call_soon_threadsafe(deliver, list(found), error)
        except RuntimeError:
            return  # the loop has ended; the result is not needed any more

    threading.Thread(target=look_up, name="dcsend-lookup", daemon=True).start()
    return await result
