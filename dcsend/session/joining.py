"""The side that has entered a short code: proves the words to the allocator, and connects.

mailbox of the allocator (`finding`) ─► a0 ─► b0 ─► a1 ─► connected
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, cast

from dcsend.description import Description
from dcsend.dtls.certificate import Certificate
from dcsend.errors import (
    DcsendError,
    RemoteProtocolError,
    TimedOut,
    UsageError,
)
from dcsend.peers.loading import Make, Peer, transfer_peer
from dcsend.session.arrivals import ANEW, Met
from dcsend.session.conclusion import reported_first
from dcsend.session.events import Emit
from dcsend.session.finding import LINK, NEW_LINK, find
from dcsend.session.ways_back import lasting_joined
from dcsend.settings import Settings
from dcsend.signaling.shortcode import ShortCode

if TYPE_CHECKING:
    from dcsend.peers.trickle import Trickle
    from dcsend.rendezvous.mailbox import Mailbox
    from dcsend.rendezvous.server_mailbox import ServerMailbox
    from dcsend.rendezvous.servers import Server
    from dcsend.session.entered import EarlyServer

__all__ = ["ANSWER", "Joined", "Reunion", "join", "joined", "load", "met"]

logger = logging.getLogger(__name__)

ANSWER: Final = 15.0
"Seconds from our message to the allocator's confirmation; its program imports aiortc meanwhile."


def load() -> None:
    """Import the libraries that `joined` needs, in a thread of the caller: it takes a second.

    Raises:
        Exception: one of them can't be imported.
    """
    import dcsend.peers.transfer
    import dcsend.rendezvous.dns_sd
    import dcsend.rendezvous.websocket  # noqa: F401


@dataclass(frozen=True, slots=True)
class Reunion:
    """What a second meeting with the same allocator needs."""

    key: bytes = field(repr=False)
    "As `Side.again`."
    certificate: Certificate
    "The certificate of this side, for all connections."
    fingerprint: bytes
    "Of the certificate of the allocator."
    server: Server
    "Where it was found: a server, or itself in this network."


class Joined(Generic[Peer]):
    """The connection to an allocator, and its mailbox, which is being closed."""

    def __init__(
        self, peer: Peer, mailbox: Mailbox, other: asyncio.Task[None], reunion: Reunion
    ) -> None:
        """Begin to close the mailbox.

        Args:
            peer: the connection.
            mailbox: that has led to it.
            other: closes the mailbox that was not used.
            reunion: what a second meeting needs.
        """
        self.peer = peer
        self.reunion = reunion
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


@asynccontextmanager
async def met(
    settings: Settings, emit: Emit, code: ShortCode, early: EarlyServer | None
) -> AsyncIterator[Met]:
    """Yield the side that shows *code*, for a transfer; the arguments are those of `joined`.

    Raises:
        DcsendError: as `join`.
    """
    with reported_first(emit):
        made = await join(settings, emit, code, transfer_peer, early)
        found = Met(made.peer, ANEW, lasting_joined(settings, emit, code, made.reunion))
    try:
        with reported_first(emit):
            yield found
    finally:
        await found.close()
        await made.close()


async def join(
    settings: Settings,
    emit: Emit,
    code: ShortCode,
    make: Make[Peer],
    early: EarlyServer | None = None,
    certificate: Certificate | None = None,
) -> Joined[Peer]:
    """Connect to the side that shows *code*.

    Args:
        settings: servers, ports, timeouts; and whether the code came with a link.
        emit: gets notes about servers.
        code: what the person has entered.
        make: of `loading`: makes the connection.
        early: of this run, if another code can be entered in it.
        certificate: ours; None for a new one.

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
    certificate = certificate or Certificate.generate()

    async def open_trickle() -> Trickle[Peer]:
        # While the server is waited for, there is time to import aiortc.
        await load_aiohttp()
        return await Trickle.open(
            servers_of(settings),
            make,
            port=settings.port,
            addresses=settings.addresses,
            relay_only=settings.relay_only,
            certificate=certificate,
        )

    opening = asyncio.create_task(open_trickle())
    mailbox: Mailbox | None = None
    try:
        mailbox, first, other = await find(settings, emit, code, early, opening)
        peer, fingerprint, key = await _connect(await opening, mailbox, first, code)
        server = cast("ServerMailbox", mailbox).server
        return Joined(peer, mailbox, other, Reunion(key, certificate, fingerprint, server))
    except BaseException as exc:
        opening.cancel()
        await asyncio.wait({opening})
        if mailbox is not None:
            await mailbox.close("errory")
            await other
        if not opening.cancelled() and opening.exception() is None:
            await opening.result().close()
        if is_link and isinstance(exc, WrongWords):  # they were not typed
            raise WrongWords(LINK, NEW_LINK) from None
        raise


async def _connect(
    trickle: Trickle[Peer], mailbox: Mailbox, first: bytes, code: ShortCode
) -> tuple[Peer, bytes, bytes]:
    """Send our share and the offer; connect when the answer is there.

    Returns:
        The peer, the fingerprint of its certificate, and the key for a second meeting.
    """
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
                peer = await connect(trickle, answer, mailbox, joiner, early)
            except DcsendError as exc:
                say_bye(mailbox, joiner, "error", exc.message)
                raise
            return peer, answer.fingerprint, joiner.again
    except TimeoutError:
        say_bye(mailbox, joiner, "interrupted")
        raise TimedOut("the other side does not answer the code", "ask for a new one") from None
    except asyncio.CancelledError:
        # The allocator would wait for this side, and show no new code, until its time is over.
        say_bye(mailbox, joiner, "interrupted")
        raise
