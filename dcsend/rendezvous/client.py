"""Opens mailboxes on a rendezvous server: `allocate` for a new number, `join` for a known one.

A joiner can `prepare` one before the number is known: then the socket is open when the code is
entered.

A server lets two sides have a number. So another attempt at the same code is made by the same side
(`ServerMailbox.kept_side`): the first one may have been cut off after its claim.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any, Final

from dcsend.rendezvous.loading import load_aiohttp
from dcsend.rendezvous.server_mailbox import Pauses, ServerMailbox
from dcsend.rendezvous.servers import Server

__all__ = [
    "FIRST_PAUSE",
    "LONGEST_PAUSE",
    "TIMEOUT",
    "allocate",
    "growing_pauses",
    "join",
    "joiner",
    "prepare",
]

TIMEOUT: Final = 15.0
"Seconds until a server must have opened a mailbox."
FIRST_PAUSE: Final = 1.0
_GROWTH: Final = 1.5
LONGEST_PAUSE: Final = 30.0


async def allocate(
    server: Server, number: str = "", *, timeout: float = TIMEOUT, pauses: Pauses | None = None
) -> ServerMailbox:
    """Allocate a number, and return its open mailbox.

    Args:
        server: to use.
        number: that the user has chosen; empty for one that the server chooses.
        timeout: seconds until the mailbox must be open.
        pauses: before each attempt to connect again; None for `growing_pauses`.

    Raises:
        ConnectionFailed: the server can't be reached, is silent or slow, or refuses.
        RemoteProtocolError: it violates the protocol.
    """
    mailbox = ServerMailbox(server, number, timeout, pauses or growing_pauses, allocates=True)
    return await _opened(mailbox)


def prepare(
    server: Server, *, side: str = "", timeout: float = TIMEOUT, pauses: Pauses | None = None
) -> ServerMailbox:
    """Return a mailbox for `join`, and begin to connect; failures are not reported before that.

    The server learns that a client is there, and nothing else.

    Args:
        server: to use.
        side: of an earlier mailbox; empty for a new one.
        timeout: seconds until a mailbox must be open.
        pauses: before each attempt to connect again; None for `growing_pauses`.
    """
    mailbox = joiner(server, side=side, timeout=timeout, pauses=pauses)
    mailbox.connect()
    return mailbox


def joiner(
    server: Server,
    prepared: ServerMailbox | None = None,
    *,
    side: str = "",
    timeout: float = TIMEOUT,
    pauses: Pauses | None = None,
) -> ServerMailbox:
    """Return a mailbox for `join`, not open yet; the arguments are those of `join`, `prepare`."""
    if prepared is not None and prepared.is_prepared and prepared.server == server:
        return prepared
    pauses = pauses or growing_pauses
    return ServerMailbox(server, "", timeout, pauses, allocates=False, side=side)


async def join(
    server: Server,
    number: str,
    *,
    timeout: float = TIMEOUT,
    pauses: Pauses | None = None,
    prepared: ServerMailbox | None = None,
    ready: asyncio.Future[Any] | None = None,
) -> ServerMailbox:
    """Return the open mailbox of a number; it is empty if there is no such code.

    Args:
        server: to use.
        number: of the short code.
        timeout: seconds until the mailbox must be open.
        pauses: before each attempt to connect again; None for `growing_pauses`.
        prepared: used if it is for *server* and has no number yet; it has its own times.
        ready: the number is not claimed before this is done; None to claim it at once.

    Raises:
        CodeUsed: two others use the number.
        ConnectionFailed: the server can't be reached, is silent or slow, or refuses.
        RemoteProtocolError: it violates the protocol.
        Exception: that of *ready*.
    """
    mailbox = joiner(server, prepared, timeout=timeout, pauses=pauses)
    return await _opened(mailbox, number, ready)


def growing_pauses() -> Iterator[float]:
    """Yield pauses of about 1, 1.5, 2.25 … 30 s.

    They are random, so that the clients of a server that restarts do not all return at once.
    """
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * _GROWTH, LONGEST_PAUSE)


async def _opened(
    mailbox: ServerMailbox, number: str = "", ready: asyncio.Future[Any] | None = None
) -> ServerMailbox:
    try:
        await load_aiohttp()
        await mailbox.open(number, ready)
    except BaseException:
        await mailbox.close("errory")
        raise
    return mailbox
