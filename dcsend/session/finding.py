"""Where the allocator of a short code is: in this network, or on a server.

this network (mDNS) ─► mailbox of a device ──┬─► a0, compared ─► the mailbox of the allocator
server of the code, or of the settings ──────┘

The allocator puts the same a0 into all of its mailboxes. Another device in this network can have
the same number by chance, or with intent; then the server has the code, unless the code names none
although it could.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.printable import printable
from dcsend.session.events import Emit, Warned
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode

if TYPE_CHECKING:
    from dcsend.peers.loading import Peer
    from dcsend.peers.trickle import Trickle
    from dcsend.rendezvous.mailbox import Mailbox
    from dcsend.rendezvous.server_mailbox import ServerMailbox
    from dcsend.rendezvous.servers import Server
    from dcsend.session.entered import EarlyServer

__all__ = ["LINK", "NEW_LINK", "Finding", "allocator", "claim_unless", "find"]

_PATIENCE: Final = 3.0
"Seconds in which an allocator in this network is found: it is announced after 1.5 s at most."
_REACHED: Final = 8.0
"""Seconds until the mailbox of an allocator in this network is open. Its port is open before its
program has loaded what serves the mailbox."""
_RETURN: Final = (0.2, 0.4, 0.8, 1.6)
"Pauses in seconds before each attempt to reach an allocator in this network again."
_POSTED: Final = 5.0
"Seconds for the messages of an open mailbox."
_COMPARED: Final = 1.0
"""Seconds for which a code that was found in this network waits for the server, once this side can
claim the number there."""
_ALIVE: Final = 3.0
"The same for a server that has sent `welcome`, and needs two more round trips."
_HERE_FIRST: Final = 0.35
"""Seconds in which a code that names no server is looked for in this network alone. Responses of
mDNS arrive within 120 ms (RFC 6762, 6); `discovery.GRACE` follows."""
_GUESS: Final = 0.4
"""Seconds for the guess of a side that is ended when it has claimed a number: a program has to end
0.9 s after a signal (`ending.LIMIT`)."""
Finding = asyncio.Task[tuple["Mailbox", bytes]]
"Looks for the allocator in one place; returns its mailbox, and the first message in it."
LINK: Final = "the code in the link was used up, or is wrong"
NEW_LINK: Final = "ask the other side for a new link"


async def find(
    settings: Settings,
    emit: Emit,
    code: ShortCode,
    early: EarlyServer | None,
    opening: asyncio.Task[Trickle[Peer]],
) -> tuple[Mailbox, bytes, asyncio.Task[None]]:
    """Return the mailbox of the allocator, its first message, and a task that closes the other one.

    This network and the server are asked at the same time. A server gives a number to two sides,
    so it is not claimed before *opening* is done: what may fail then does not use the code up.

    Raises:
        DcsendError: neither this network nor the server has the code.
    """
    from dcsend.rendezvous import client
    from dcsend.rendezvous.servers import read_option, server_at

    server = server_at(code.host) if code.host else read_option(settings.server or "none")
    at_server: Finding | None = None
    here: Finding | None = None
    claiming: ServerMailbox | None = None
    if server is not None:
        claiming = early.joiner(server, code.number) if early else client.joiner(server)
    if settings.uses_mdns:
        looking = _in_this_network(code.number, early, server_is_asked=server is not None)
        here = asyncio.create_task(looking)
    # Where a code can name its server, one that names none is probably of this network.
    prefers_here = server is not None and not code.host and server.fits_in_code
    claims = asyncio.create_task(claim_unless(here if prefers_here else None, opening))
    if claiming is not None:
        at_server = asyncio.create_task(_at_server(claiming, code.number, emit, claims))
    tasks = [task for task in (at_server, here) if task is not None]
    errors: list[DcsendError] = []
    try:
        compared = None if prefers_here else claiming
        if (found := await allocator(at_server, here, compared, opening, errors)) is not None:
            other = asyncio.create_task(_discard([task for task in tasks if task is not found]))
            return *found.result(), other
    except BaseException:  # also if this task is cancelled when a mailbox has been found
        try:
            if claiming is not None and claiming.is_claimed and not tasks[0].cancelled():
                await _use_up(tasks[0], opening.result(), code)
        finally:
            await _discard(tasks)
        raise
    finally:
        claims.cancel()
    raise _not_found(code, server, errors, is_link="#" in settings.code)


async def claim_unless(here: Finding | None, opening: asyncio.Future[Any]) -> None:
    """Return when the number may be claimed on the server; never if *here* has found the code.

    A server gives the number to two sides: a claim for a code of this network would take the place
    of the intended joiner of another code.
    """
    if here is not None:
        await asyncio.wait({here}, timeout=_HERE_FIRST)
    await asyncio.wait({opening})
    opening.result()
    if here is not None and _has(here):
        await asyncio.Event().wait()


async def allocator(
    at_server: Finding | None,
    here: Finding | None,
    claiming: ServerMailbox | None,
    opening: asyncio.Future[Any],
    errors: list[DcsendError],
) -> Finding | None:
    """Return the task that has found the allocator, by R-39; None if neither has.

    Args:
        at_server: looks on the server; None if none is asked.
        here: looks in this network; None if it is not asked.
        claiming: the mailbox of *at_server*; None if a code in this network has precedence.
        opening: done when *at_server* can claim the number.
        errors: gets those of the tasks, in their order.
    """
    pending = {task for task in (at_server, here) if task is not None}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if here in done and pending and claiming is not None and _has(here):
            await asyncio.wait({opening})
            await asyncio.wait(pending, timeout=_COMPARED)
            if claiming.is_welcomed:
                await asyncio.wait(pending, timeout=_ALIVE - _COMPARED)
            done |= {task for task in pending if task.done()}
            pending = set()
        failures = [task.exception() for task in done]
        errors += [error for error in failures if isinstance(error, DcsendError)]
        found = [task for task in (at_server, here) if task is not None and _has(task)]
        if found:
            is_same = len({task.result()[1] for task in found}) == 1
            return found[-1] if is_same or claiming is None else found[0]
    return None


def _has(task: Finding) -> bool:
    """Return whether a task has found a mailbox.

    Raises:
        Exception: the task has failed with something else than DcsendError.
    """
    if not task.done() or isinstance(task.exception(), DcsendError):
        return False
    return bool(task.result())


async def _use_up(finding: Finding, trickle: Trickle[Peer], code: ShortCode) -> None:
    """Make the guess of a side that is ended, and send a bye: then the allocator shows a new code.

    The number is claimed, so that no other side can use the code. A server does not report that to
    the allocator.

    Args:
        finding: returns the mailbox on the server.
        trickle: for the offer.
        code: the one that was entered.
    """
    from dcsend.rendezvous.handshake import Joiner
    from dcsend.rendezvous.items import Bye

    with contextlib.suppress(TimeoutError, DcsendError):
        async with asyncio.timeout(_GUESS):
            mailbox, first = await finding
        joiner = Joiner(code.secret(), code.number)
        mailbox.add(*joiner.join(first, [trickle.describe(), Bye("interrupted", "")]))


async def _discard(tasks: Sequence[Finding]) -> None:
    """Cancel tasks of `find`, and close the mailboxes of those that have one."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and task.exception() is None:
            await task.result()[0].close("happy")


async def _at_server(
    mailbox: ServerMailbox, number: str, emit: Emit, ready: asyncio.Future[Any]
) -> tuple[Mailbox, bytes]:
    from dcsend.rendezvous import client

    server = mailbox.server
    await client.join(server, number, prepared=mailbox, ready=ready)
    if mailbox.motd:
        emit(Warned("server", f"{server.name}: {printable(mailbox.motd)}"))
    return await _first(mailbox)


async def _in_this_network(
    number: str, early: EarlyServer | None, *, server_is_asked: bool
) -> tuple[Mailbox, bytes]:
    from dcsend.rendezvous import client, discovery
    from dcsend.rendezvous.loading import load_aiohttp
    from dcsend.rendezvous.servers import local_server

    if server_is_asked:  # not before it: both need aiohttp
        await load_aiohttp()
    places = await discovery.find(number, patience=_PATIENCE)
    # This run answers itself if it shows a code with that number, on another server.
    if not places or (early is not None and early.own_number == number):
        raise _NotFound
    if len(places) > 1:
        raise ConnectionFailed(
            f"two devices in this network have shown a code with the number {number}",
            "ask the other side for a new code",
        )
    place = places[0]
    try:
        server = local_server(place.hosts, place.port)
        mailbox = await client.join(server, number, timeout=_REACHED, pauses=_returning)
    except ConnectionFailed:
        raise ConnectionFailed(
            f"the device that shows the code, {place.hosts[0]}, can't be reached at TCP port "
            f"{place.port}",
            "open that port in its firewall, or use a code with a server: --server URL there",
        ) from None
    return await _first(mailbox)


def _returning() -> Iterator[float]:
    """Yield the pauses before a lost mailbox in this network is given up: its program has ended."""
    yield from _RETURN


class _NotFound(ConnectionFailed):
    """No allocator has this number."""

    def __init__(self) -> None:
        super().__init__("no side that shows the code was found")


async def _first(mailbox: ServerMailbox) -> tuple[Mailbox, bytes]:
    """Return a mailbox with the first message of the allocator; close it if there is no valid one.

    That message has been there since the code was shown. A server makes a mailbox for any number,
    so an unknown number has no other sign; a server that does not answer gives none.
    """
    from dcsend.rendezvous.handshake import check_first

    try:
        async with asyncio.timeout(_POSTED):
            posted = await mailbox.posted()
        if posted is None or posted[0] != "a0":
            raise _NotFound
        check_first(posted[1])
    except BaseException as exc:
        late = mailbox.unanswered(_POSTED)
        await mailbox.close("lonely")
        if isinstance(exc, TimeoutError):
            raise late from None
        raise
    return mailbox, posted[1]


def _not_found(
    code: ShortCode, server: Server | None, errors: list[DcsendError], *, is_link: bool
) -> DcsendError:
    """Return the error if neither this network nor the server has the code."""
    for error in errors:
        if not isinstance(error, _NotFound):
            return error
    where = f"on {server.name}" if server is not None else "in this network"
    message = f"there is no code with the number {code.number} {where}"
    hint = "check the number with the other side; it may have a new code by now"
    if is_link:
        message, hint = f"{LINK}: {message}", NEW_LINK
    if server is None:
        hint += "; between two networks, both sides need the same --server"
    return ConnectionFailed(message, hint)
