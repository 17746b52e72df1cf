"""The two sides of a short code meet again after their connection was lost.

    allocator: a0 ─► b0 ─► connects on its listener, as a dialer that returns ─┐
    joiner:    a0 ─► b0 ─► connects with the same certificate ─────────────────┴─► `lasting`

The mailbox is on the server of the code, in the network of the allocator, or both. Both sides may
have moved. Attempts follow one another until a connection takes over, or the path answers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from dcsend.description import Description
from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.net.interfaces import own_addresses
from dcsend.peers.listener import Listener
from dcsend.peers.loading import Peer, transfer_peer
from dcsend.peers.offer_answer import Servers
from dcsend.peers.tasks import Tasks
from dcsend.peers.trickle import Trickle
from dcsend.rendezvous import discovery
from dcsend.rendezvous.again import AgainAllocator, AgainJoiner, AgainKeys
from dcsend.rendezvous.attempts import OFTEN, AgainMailbox, Attempt, Attempts, on_server
from dcsend.rendezvous.items import Item
from dcsend.rendezvous.mailbox import Mailbox
from dcsend.rendezvous.servers import Server, local_server
from dcsend.session.allocation import follow
from dcsend.session.hosting import Hosting
from dcsend.session.ice_settings import servers_of, turn_servers
from dcsend.session.trickling import connect, sending
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.peers.transfer import TransferConnection

__all__ = ["PATIENCE", "AllocatorAgain", "Intervals", "JoinerAgain"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

PATIENCE: Final = 4.0
"Seconds without a pair, after the candidates of both sides are complete."
_STAYS: Final = 60.0
"""Seconds in the mailbox on the server after the path has answered: a browser gives a path up that
answers later, and connects again. Its stack still responds on the former path by then."""
_TRIED: Final = 30.0
"Seconds of attempts at one address in this network, after which another one is looked for."
_LOOK: Final = 2.0
"Seconds for which the allocator is looked for in this network."


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds of and between attempts."""

    attempts: float = 1.0
    "Between the beginnings of two attempts, at least."
    lost: float = 1.5
    "Until another mailbox is opened in place of one that a server has ended."
    server: float = OFTEN
    "Between two attempts to connect to the server, on average, in the first two minutes."
    longest: float = 15.0
    "Of an attempt after the answer."
    patience: float = PATIENCE
    "Without a pair, after the candidates of both sides are complete."


INTERVALS: Final = Intervals()


async def _conversing(
    mailbox: Mailbox, forget: Callable[[str], None], talk: Callable[[Attempts], Awaitable[T]]
) -> T:
    """Return what *talk* returns, while the mailbox is read.

    Raises:
        DcsendError: the mailbox is lost.
    """
    attempts = Attempts(mailbox, forget)
    reading = asyncio.create_task(attempts.run())
    talking = asyncio.ensure_future(talk(attempts))
    try:
        await asyncio.wait({reading, talking}, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            reading.result()
        return await talking
    finally:
        for task in (reading, talking):
            task.cancel()
        await asyncio.wait({reading, talking})


async def _over_server(
    server: Server,
    again: AgainKeys,
    side: str,
    talk: Callable[[Attempts], Awaitable[T]],
    closing: Tasks,
    intervals: Intervals,
) -> T:
    """Meet on a server until *talk* returns; open another mailbox if one is lost for good."""
    while True:
        mailbox, forget = on_server(server, again, side, often=intervals.server)
        try:
            return await _conversing(mailbox, forget, talk)
        except DcsendError as error:
            logger.debug("the mailbox of the second meeting is lost: %s", error)
        finally:
            closing.begin(mailbox.close("happy"))
        await asyncio.sleep(intervals.lost)


def _servers(settings: Settings) -> Servers:
    """Return the servers of the settings, without a diagnosis: the next attempt follows soon."""
    return replace(servers_of(settings), diagnosing=())


class AllocatorAgain(Generic[Peer]):
    """The side that has shown the code: its connections come from its listener."""

    def __init__(
        self,
        settings: Settings,
        listener: Listener[Peer],
        page: Hosting,
        again: AgainKeys,
        server: Server | None,
        fingerprint: bytes,
        intervals: Intervals = INTERVALS,
    ) -> None:
        """Prepare.

        Args:
            settings: of the run.
            listener: has accepted the joiner.
            page: serves the mailbox of this side.
            again: of the short code.
            server: of the code; None without one.
            fingerprint: of the joiner's certificate.
            intervals: of attempts.
        """
        self._intervals = intervals
        self._fingerprint = fingerprint
        self._settings = settings
        self._listener = listener
        self._page = page
        self._again = again
        self._server = server
        self._served = ExitStack()
        self._port = 0
        self._always = Tasks()
        self._while_lost = Tasks()
        self._is_waiting = False
        "Whether this side waits in the mailbox on the server, between `lost` and `_leave`."
        self._staying: asyncio.TimerHandle | None = None
        "The timer that calls `_leave`."
        self._closing = Tasks()

    def open(self) -> None:
        """Serve the mailbox in this network from now on.

        The port serves one mailbox: with several receivers, that of the next code.
        """
        if self._settings.uses_mdns and self._settings.peers == 1:
            mailbox = AgainMailbox(self._again)
            self._port = self._served.enter_context(self._page.mailbox(mailbox))
            self._served.callback(mailbox.end)
            self._always.begin(_conversing(mailbox.side, lambda tag: None, self._answer))

    def lost(self) -> None:
        """Wait on the server, too, and announce this side."""
        self._stay()
        if self._is_waiting:
            return
        self._is_waiting = True
        if self._server is not None:
            parts = (self._server, self._again, "a", self._answer, self._closing, self._intervals)
            self._while_lost.begin(_over_server(*parts))
        if self._port:
            self._while_lost.begin(self._announce())

    def regained(self) -> None:
        """End what `lost` has begun, after `_STAYS`."""
        self._stay()
        if self._is_waiting:
            self._staying = asyncio.get_running_loop().call_later(_STAYS, self._leave)

    def _stay(self) -> None:
        if self._staying is not None:
            self._staying.cancel()

    def _leave(self) -> None:
        self._is_waiting = False
        former, self._while_lost = self._while_lost, Tasks()
        self._closing.begin(former.end())

    async def close(self) -> None:
        """End everything."""
        self._stay()
        await self._always.end()
        await self._while_lost.end()
        self._served.close()
        await self._closing.wait()

    async def _announce(self) -> None:
        async with discovery.announced(self._again.number, self._port) as announcement:
            await follow(announcement)

    async def _answer(self, attempts: Attempts) -> None:
        """Answer each attempt of the joiner; the one before ends then."""
        running: asyncio.Task[None] | None = None
        try:
            while True:
                party = AgainAllocator(self._again)
                phase, a0 = party.first
                attempt = attempts.attempt(a0)
                attempt.add(phase, a0)
                try:
                    while not (items := party.received(*await attempt.next())):
                        pass
                except DcsendError as error:
                    logger.debug("an offer of a second meeting is refused: %s", error)
                    items = []
                if running is not None:
                    running.cancel()
                    await asyncio.wait({running})
                answered = asyncio.Event()
                running = asyncio.create_task(
                    self._connect(attempts, attempt, party, items, answered)
                )
                # The joiner takes a0 of the next attempt for the end of one without an answer.
                waiting = asyncio.create_task(answered.wait())
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                await asyncio.sleep(self._intervals.attempts / 4)
        finally:
            if running is not None:
                running.cancel()
                await asyncio.wait({running})

    def _is_known(self, offer: Description) -> bool:
        return offer.fingerprint == self._fingerprint

    async def _connect(
        self,
        attempts: Attempts,
        attempt: Attempt,
        party: AgainAllocator,
        items: Sequence[Item],
        answered: asyncio.Event,
    ) -> None:
        trickle: Trickle[Peer] | None = None
        try:
            if not items:
                return
            offer, *early = items
            if not isinstance(offer, Description) or not self._is_known(offer):
                raise RemoteProtocolError("the other side has sent another certificate")
            trickle = await Trickle.on_listener(
                self._listener,
                _servers(self._settings),
                addresses=self._settings.addresses,
                relay_only=self._settings.relay_only,
                again=True,
            )
            trickle.allocate(turn_servers(attempts.mailbox.ice_servers))
            attempt.add(*party.seal([trickle.describe(offer)]))
            answered.set()
            async with sending(trickle, attempt, party):
                await connect(
                    trickle,
                    offer,
                    attempt,
                    party,
                    early,
                    longest=self._intervals.longest,
                    patience=self._intervals.patience,
                )
        except DcsendError as error:
            logger.debug("an attempt to meet again has failed: %s", error)
        finally:
            if trickle is not None:
                await trickle.close()
            attempts.end(attempt)


class JoinerAgain:
    """The side that has entered the code: it makes the connections."""

    def __init__(
        self,
        settings: Settings,
        again: AgainKeys,
        certificate: Certificate,
        fingerprint: bytes,
        servers: Sequence[Server],
        intervals: Intervals = INTERVALS,
    ) -> None:
        """Prepare.

        Args:
            settings: of the run.
            again: of the short code.
            certificate: of all connections.
            fingerprint: of the certificate of the allocator.
            servers: of the code, and the place in this network where the allocator was.
            intervals: of attempts.
        """
        self._intervals = intervals
        self._settings = settings
        self._again = again
        self._certificate = certificate
        self._fingerprint = fingerprint
        self._known = servers
        self._closing = Tasks()

    def ways(self) -> list[Coroutine[Any, Any, TransferConnection]]:
        """Return what each way does until it has a connection; they run beside one another."""
        ways = [self._over(server) for server in self._known]
        return [*ways, self._nearby()] if self._settings.uses_mdns else ways

    async def close(self) -> None:
        """Wait for the end of mailboxes."""
        await self._closing.wait()

    async def _over(self, server: Server) -> TransferConnection:
        parts = (server, self._again, "b", self._join, self._closing, self._intervals)
        return await _over_server(*parts)

    async def _nearby(self) -> TransferConnection:
        """Look for the allocator at other addresses of this network than the known ones."""
        while True:
            for place in await discovery.find(self._again.number, patience=_LOOK):
                if not any(set(place.hosts) & set(server.hosts) for server in self._known):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_TRIED):
                            return await self._over(local_server(place.hosts, place.port))
            await asyncio.sleep(self._intervals.attempts)

    async def _join(self, attempts: Attempts) -> TransferConnection:
        """Begin an attempt whenever the allocator waits for one, until one has connected."""
        clock = asyncio.get_running_loop().time
        while True:
            await attempts.offered()
            started = clock()
            party = AgainJoiner(self._again)
            attempt = asyncio.create_task(self._attempt(attempts, attempts.take(), party))
            newer = asyncio.create_task(attempts.offered())
            try:
                await asyncio.wait({attempt, newer}, return_when=asyncio.FIRST_COMPLETED)
                # Another a0 before an answer: the allocator has not read the offer.
                if attempt.done() or party.is_confirmed:
                    return await attempt
            except DcsendError as error:
                logger.debug("an attempt to meet again has failed: %s", error)
            finally:
                for task in (attempt, newer):
                    task.cancel()
                await asyncio.wait({attempt, newer})
            await asyncio.sleep(max(0.0, started + self._intervals.attempts - clock()))

    async def _attempt(
        self, attempts: Attempts, a0: bytes, party: AgainJoiner
    ) -> TransferConnection:
        addresses = own_addresses()
        trickle = await Trickle.open(
            _servers(self._settings),
            transfer_peer,
            addresses=self._settings.addresses,
            relay_only=self._settings.relay_only,
            certificate=self._certificate,
        )
        attempt = attempts.attempt(a0)
        try:
            trickle.allocate(turn_servers(attempts.mailbox.ice_servers))
            attempt.add(*party.join(a0, [trickle.describe()]))
            async with sending(trickle, attempt, party):
                while not (items := party.received(*await attempt.next())):
                    pass
                answer, *early = items
                if not isinstance(answer, Description) or answer.fingerprint != self._fingerprint:
                    raise RemoteProtocolError("the other side has sent another certificate")
                if own_addresses() != addresses:
                    raise ConnectionFailed("the addresses of this machine have changed")
                return await connect(
                    trickle,
                    answer,
                    attempt,
                    party,
                    early,
                    longest=self._intervals.longest,
                    patience=self._intervals.patience,
                )
        finally:
            with contextlib.suppress(DcsendError):
                await trickle.close()
            attempts.end(attempt)
