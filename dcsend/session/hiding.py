"""`--relay-only`: a side that hides its addresses connects by short codes and relays only.

Must not import `peers`: it decides before anything is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from dcsend.errors import UsageError
from dcsend.rendezvous.servers import NONE, read_option
from dcsend.settings import Settings

__all__ = ["refuse_direct", "require_relay", "unless"]

T = TypeVar("T")


def refuse_direct(settings: Settings, message: str) -> None:
    """Refuse a code that needs an address of this side, with *message*.

    Raises:
        UsageError: this side hides its addresses.
    """
    if settings.relay_only:
        raise UsageError(message, "ask for the short code, or leave out --relay-only")


async def require_relay(settings: Settings) -> None:
    """Return if a side that hides its addresses can be reached, before it shows a code.

    A rendezvous server may offer TURN servers when a joiner is there (M-14).

    Raises:
        UsageError: no rendezvous server or no TURN server is named or offered.
        DcsendError: the rendezvous server can't be used.
    """
    if not settings.relay_only:
        return
    server = read_option(settings.server or NONE)
    if server is None:
        raise UsageError(
            "--relay-only needs a rendezvous server: in this network, a short code is found by the "
            "addresses of this machine",
            "name one: --server URL",
        )
    if settings.turn:
        return
    from dcsend.rendezvous import client

    mailbox = await client.allocate(server)
    await mailbox.close("lonely")
    if not mailbox.offers_servers:
        raise UsageError(
            f"--relay-only needs a TURN server, and the server {server.name} offers none",
            "name one: --ice-server turn:USER:PASSWORD@HOST",
        )


async def unless(ends: asyncio.Task[None] | None, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of *work*; if *ends* fails before that, raise its error."""
    working = asyncio.create_task(work)
    try:
        tasks: set[asyncio.Task[Any]] = {working} if ends is None else {working, ends}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if ends is not None and not working.done():
            await ends
        return await working
    finally:
        working.cancel()
        await asyncio.wait({working})
