"""The side that has entered a short code: finds the allocator, proves the words, connects.

code ─┬─ this network (mDNS) ─► mailbox of a device ──┬─► a0, compared ─► b0 ─► a1 ─► connected
      └─ server of the code, or of the settings ──────┘

The allocator puts the same a0 into all of its mailboxes. Another device in this network can have
the same number by chance, or with intent; then the server has the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Generic

from dcsend.description import Description
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    RemoteProtocolError,
    TimedOut,
    UsageError,
)
from dcsend.peers.loading import Make, Peer
from dcsend.printable import printable
from dcsend.session.conclusion import reported_first
from dcsend.session.events import Emit, Warned
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode

if TYPE_CHECKING:
    from dcsend.peers.trickle import Trickle
    from dcsend.rendezvous.mailbox import Mailbox
    from dcsend.rendezvous.server_mailbox import ServerMailbox
    from dcsend.rendezvous.servers import Server
    from dcsend.session.entered import EarlyServer

__all__ = ["ANSWER", "Joined", "join", "joined", "load"]

logger = logging.getLogger(__name__)

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
"The same for a server that has sent `welcome`: it lacks two round trips."
_GUESS: Final = 0.4
"""Seconds for the guess of a side that is ended when it has claimed a number: a program has to end
0.9 s after a signal (`ending.LIMIT`)."""
ANSWER: Final = 15.0
"Seconds from our message to the allocator's confirmation; its program imports aiortc meanwhile."
_Finding = asyncio.Task[tuple["Mailbox", bytes]]
"Looks for the allocator in one place; returns its mailbox, and the first message in it."
_LINK: Final = "the code in the link was used up, or is wrong"
_NEW_LINK: Final = "ask the other side for a new link"


def load() -> None:
    """Import the libraries that `joined` needs, in a thread of the caller: it takes a second.

    Raises:
        Exception: one of them can't be imported.
    """
    import dcsend.peers.transfer
    import dcsend.rendezvous.dns_sd
    import dcsend.rendezvous.websocket  # noqa: F401


class Joined(Generic[Peer]):
    """The connection to an allocator, and its mailbox, which is being closed."""

    def __init__(self, peer: Peer, mailbox: Mailbox, other: asyncio.Task[None]) -> None:
        """Begin to close the mailbox.

        Args:
            peer: the connection.
            mailbox: that has led to it.
            other: closes the mailbox that was not used.
        """
        self.peer = peer
        self._closing = [asyncio.create_task(mailbox.close("happy")), other]

    async def close(self) -> None:
        """Close the connection."""
        await self.peer.close()
        await asyncio.gather(*self._closing)


@asynccontextmanager
async def joined(
    settings: Settings,
    emit: Emit,
    code: ShortCode,
    make: Make[Peer],
    early: EarlyServer | None = None,
) -> AsyncIterator[Peer]:
    """Yield a connection to the side that shows *code*; closed at the end.

    Args:
        settings: as `join`.
        emit: gets notes about servers, and an error before the connection is closed because of it.
        code: as `join`.
        make: as `join`.
        early: as `join`.

    Raises:
        DcsendError: as `join`.
    """
    with reported_first(emit):
        made = await join(settings, emit, code, make, early)
    try:
        with reported_first(emit):
            yield made.peer
    finally:
        await made.close()


async def join(
    settings: Settings,
    emit: Emit,
    code: ShortCode,
    make: Make[Peer],
    early: EarlyServer | None = None,
) -> Joined[Peer]:
    """Connect to the side that shows *code*.

    Args:
        settings: servers, ports, timeouts; and whether the code came with a link.
        emit: gets notes about servers.
        code: what the person has entered.
        make: of `loading`: makes the connection.
        early: of this run, if another code can be entered in it.

    Raises:
        AuthenticationFailed: the words are wrong, or the other side is not the allocator.
        DcsendError: the code does not exist, or there is no path.
    """
    if not (code.host or settings.server or settings.uses_mdns):
        if settings.relay_only:
            raise UsageError(
                "with --relay-only, a short code needs a server",
                "name that of the other side: --server URL",
            )
        raise UsageError(
            "a short code needs a server or this network",
            "leave out --no-mdns, or name the server: --server URL",
        )
    from dcsend.peers.trickle import Trickle
    from dcsend.rendezvous.handshake import WrongWords
    from dcsend.rendezvous.loading import load_aiohttp
    from dcsend.session.ice_settings import servers_of

    is_link = "#" in settings.code

    async def open_trickle() -> Trickle[Peer]:
        # While the server is waited for, there is time to import aiortc.
        await load_aiohttp()
        return await Trickle.open(
            servers_of(settings),
            make,
            port=settings.port,
            addresses=settings.addresses,
            relay_only=settings.relay_only,
        )

    opening = asyncio.create_task(open_trickle())
    mailbox: Mailbox | None = None
    try:
        mailbox, first, other = await _found(settings, emit, code, early, opening)
        return Joined(await _connect(await opening, mailbox, first, code), mailbox, other)
    except BaseException as exc:
        opening.cancel()
        await asyncio.wait({opening})
        if mailbox is not None:
            await mailbox.close("errory")
            await other
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().close()
        if is_link and isinstance(exc, WrongWords):  # they were not typed
            raise WrongWords(_LINK, _NEW_LINK) from None
        raise


async def _connect(trickle: Trickle[Peer], mailbox: Mailbox, first: bytes, code: ShortCode) -> Peer:
    """Send our share and the offer; connect when the answer is there."""
    from dcsend.rendezvous.handshake import Joiner
    from dcsend.rendezvous.items import Bye
    from dcsend.session.ice_settings import turn_servers
    from dcsend.session.trickling import connect, refusal, say_bye, sending

    trickle.allocate(turn_servers(mailbox.ice_servers))
    joiner = Joiner(code.secret(), code.number)
    mailbox.add(*joiner.join(first, [trickle.describe()]))
    try:
        # The answer is not waited for: a candidate that is found meanwhile saves a round trip.
        async with sending(trickle, mailbox, joiner):
            async with asyncio.timeout(ANSWER):
                while not (items := joiner.received(*await mailbox.next())):
                    pass
            answer, *early = items
            if isinstance(answer, Bye):
                raise refusal(answer)
            if not isinstance(answer, Description):
                raise RemoteProtocolError("the other side has sent no answer")
            try:
                return await connect(trickle, answer, mailbox, joiner, early)
            except DcsendError as exc:
                say_bye(mailbox, joiner, "error", exc.message)
                raise
    except TimeoutError:
        say_bye(mailbox, joiner, "interrupted")
        raise TimedOut("the other side does not answer the code", "ask for a new one") from None
    except asyncio.CancelledError:
        # The allocator would wait for this side, and show no new code, until its time is over.
        say_bye(mailbox, joiner, "interrupted")
        raise


async def _found(
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
        DcsendError: neither has the code.
    """
    from dcsend.rendezvous import client
    from dcsend.rendezvous.servers import read_option, server_at

    server = server_at(code.host) if code.host else read_option(settings.server or "none")
    at_server: _Finding | None = None
    here: _Finding | None = None
    claiming: ServerMailbox | None = None
    if server is not None:
        claiming = early.joiner(server, code.number) if early else client.joiner(server)
        at_server = asyncio.create_task(_at_server(claiming, code.number, emit, opening))
    if settings.uses_mdns:
        looking = _in_this_network(code.number, early, server_is_asked=server is not None)
        here = asyncio.create_task(looking)
    tasks = [task for task in (at_server, here) if task is not None]
    errors: list[DcsendError] = []
    try:
        if (found := await _allocator(at_server, here, claiming, opening, errors)) is not None:
            other = asyncio.create_task(_discard([task for task in tasks if task is not found]))
            return *found.result(), other
    except BaseException:  # also if this task is cancelled when a mailbox has been found
        try:
            if claiming is not None and claiming.is_claimed and not tasks[0].cancelled():
                await _use_up(tasks[0], opening.result(), code)
        finally:
            await _discard(tasks)
        raise
    raise _not_found(code, server, errors, is_link="#" in settings.code)


async def _allocator(
    at_server: _Finding | None,
    here: _Finding | None,
    claiming: ServerMailbox | None,
    opening: asyncio.Future[Any],
    errors: list[DcsendError],
) -> _Finding | None:
    """Return the task that has found the allocator, as R-39 says; None if neither has.

    Args:
        at_server: looks on the server; None if none is asked.
        here: looks in this network; None if it is not asked.
        claiming: the mailbox of *at_server*.
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
            return found[-1] if is_same else found[0]
    return None


def _has(task: _Finding) -> bool:
    """Return whether a task has found a mailbox.

    Raises:
        Exception: the task has failed with something else than DcsendError.
    """
    if not task.done() or isinstance(task.exception(), DcsendError):
        return False
    return bool(task.result())


async def _use_up(finding: _Finding, trickle: Trickle[Peer], code: ShortCode) -> None:
    """Make the guess of a side that is ended, and say so: then the allocator shows a new code.

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


async def _discard(tasks: Sequence[_Finding]) -> None:
    """Cancel tasks of `_found`, and close the mailboxes of those that have one."""
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
    so an unknown number has no other sign; a server that does not answer has not said anything.
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
        message, hint = f"{_LINK}: {message}", _NEW_LINK
    if server is None:
        hint += "; between two networks, both sides need the same --server"
    return ConnectionFailed(message, hint)
