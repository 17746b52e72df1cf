"""How the two sides of a code connect again; see `lasting`.

dial code:  the dialer dials the listener, which recognises its certificate
short code: both meet in another mailbox (`meeting_again`); the listener is the same
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from dcsend.dtls.certificate import Certificate
from dcsend.errors import CodeUsed, DcsendError
from dcsend.net.address import Address
from dcsend.peers.contract import Connection
from dcsend.peers.loading import transfer_peer
from dcsend.session.arrivals import Lasting, LastingOf
from dcsend.session.events import Emit
from dcsend.settings import Settings
from dcsend.signaling.dialcode import DialCode, decode, ice_password
from dcsend.signaling.shortcode import ShortCode

if TYPE_CHECKING:
    from dcsend.peers.listener import Listener
    from dcsend.peers.transfer import TransferConnection
    from dcsend.session.joining import Reunion
    from dcsend.session.lasting import LastingConnection
    from dcsend.session.links import PeerLink, Way
    from dcsend.session.meeting_again import AllocatorAgain, JoinerAgain

__all__ = ["Dialing", "Joining", "Listening", "lasting_awaited", "lasting_dialed", "lasting_joined"]


class Listening:
    """The listener waits for the certificate of a dialer that it has accepted."""

    dials: Final = False
    allows_anew: Final = True

    def __init__(
        self,
        listener: Listener[TransferConnection],
        connection: TransferConnection,
        again: Callable[[bytes], AllocatorAgain[TransferConnection] | None] = lambda _: None,
    ) -> None:
        """Take the listener.

        Args:
            listener: has the connection.
            connection: the first one.
            again: returns how the joiner with this fingerprint connects again; None for a dialer.
        """
        self._listener = listener
        self._connection = connection
        self._find = again
        self._again: AllocatorAgain[TransferConnection] | None = None

    def open(self) -> None:
        """As `Way.open`."""
        self._listener.let_return(self._connection)
        self._again = self._find(self._listener.fingerprint(self._connection))
        if self._again is not None:
            self._again.open()

    def lost(self) -> None:
        """As `Way.lost`."""
        if self._again is not None:
            self._again.lost()

    def regained(self) -> None:
        """As `Way.regained`."""
        if self._again is not None:
            self._again.regained()

    async def close(self) -> None:
        """As `Way.close`."""
        if self._again is not None:
            await self._again.close()

    async def another(self, seen: Address | None) -> PeerLink:
        """As `Way.another`: wherever the dialer is."""
        return await self._listener.returned(self._connection)

    def replaced(self, link: PeerLink) -> None:
        """As `Way.replaced`."""
        former, self._connection = self._connection, cast("TransferConnection", link)
        self._listener.replace(former, self._connection)

    async def drop(self, link: PeerLink) -> None:
        """As `Way.drop`."""
        await self._listener.drop(cast("TransferConnection", link))


class ConnectingWay:
    """A way on which this side makes the next connection."""

    dials: Final = True

    def open(self) -> None:
        """As `Way.open`: this side accepts no connections."""

    def lost(self) -> None:
        """As `Way.lost`: `another` follows."""

    def regained(self) -> None:
        """As `Way.regained`: `another` is cancelled."""

    def replaced(self, link: PeerLink) -> None:
        """As `Way.replaced`."""

    async def drop(self, link: PeerLink) -> None:
        """As `Way.drop`."""
        await link.close()

    async def close(self) -> None:
        """As `Way.close`."""


class Dialing(ConnectingWay):
    """The dialer dials the addresses in the code, and where the listener was last."""

    allows_anew: Final = False

    def __init__(self, code: DialCode, certificate: Certificate) -> None:
        """Take the code, and the certificate of the first connection."""
        self._code = code
        self._certificate = certificate

    async def another(self, seen: Address | None) -> PeerLink:
        """As `Way.another`."""
        from dcsend.peers.redialing import redial

        addresses = [(one.host, one.port) for one in self._code.addresses]
        if seen is not None and seen not in addresses:
            addresses.insert(0, seen)
        return await redial(
            addresses,
            password=ice_password(self._code.secret),
            fingerprint=self._code.fingerprint,
            certificate=self._certificate,
            make=transfer_peer,
        )


class Joining(ConnectingWay):
    """The joiner of a short code meets the allocator again; with a link, it dials it, too."""

    allows_anew: Final = True

    def __init__(self, again: JoinerAgain, dials: Dialing | None) -> None:
        """Take the ways to connect again.

        Args:
            again: by the short code.
            dials: by the dial code of the link; None without one.
        """
        self._again = again
        self._dials = dials
        self._closing: set[asyncio.Task[None]] = set()

    async def another(self, seen: Address | None) -> PeerLink:
        """As `Way.another`: by whichever way is first."""
        tasks: set[asyncio.Task[PeerLink]] = {
            asyncio.ensure_future(way) for way in self._again.ways()
        }
        if self._dials is not None:
            tasks.add(asyncio.create_task(self._dials.another(seen)))
        pending = tasks
        error: DcsendError = CodeUsed("there is no way to connect again")
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    try:
                        link = task.result()
                    except DcsendError as exc:
                        error = exc
                    else:
                        tasks.discard(task)
                        return link
            raise error
        finally:
            closing = asyncio.create_task(_discard(tasks))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """As `Way.close`."""
        if self._closing:
            await asyncio.wait(self._closing)
        await self._again.close()


async def _discard(tasks: set[asyncio.Task[PeerLink]]) -> None:
    """End attempts, and close the connections that they have made."""
    for task in tasks:
        task.cancel()
    for made in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(made, BaseException):
            await made.close()


def lasting_dialed(
    settings: Settings, emit: Emit, code: str, certificate: Certificate
) -> Lasting | None:
    """Return what makes a connection of this dialer one that goes on; None if it must not.

    Args:
        settings: of the run.
        emit: gets the interruptions.
        code: that is dialed.
        certificate: of all its connections.
    """
    return _lasting(settings, emit, lambda: Dialing(decode(code), certificate))


def lasting_joined(
    settings: Settings, emit: Emit, code: ShortCode, reunion: Reunion, dial_code: str = ""
) -> Lasting | None:
    """As `lasting_dialed`, for the joiner of a short code.

    Args:
        settings: of the run.
        emit: gets the interruptions.
        code: that was entered.
        reunion: of the first connection.
        dial_code: of the same side, if the link has one that may be dialed.
    """

    def way() -> Joining:
        from dcsend.rendezvous.again import AgainKeys
        from dcsend.rendezvous.servers import read_option, server_at
        from dcsend.session.meeting_again import JoinerAgain

        named = server_at(code.host) if code.host else read_option(settings.server or "none")
        servers = [reunion.server]
        if named is not None and named != reunion.server:
            servers.append(named)
        joiner = JoinerAgain(
            settings, AgainKeys(reunion.key), reunion.certificate, reunion.fingerprint, servers
        )
        dials = Dialing(decode(dial_code), reunion.certificate) if dial_code else None
        return Joining(joiner, dials)

    return _lasting(settings, emit, way)


def lasting_awaited(
    settings: Settings,
    listener: Listener[TransferConnection],
    again: Callable[[bytes], AllocatorAgain[TransferConnection] | None],
) -> LastingOf | None:
    """As `lasting_dialed`, for the connections to a listener; *again* as in `Listening`."""
    if not settings.reconnect:
        return None

    def lasting(connection: Connection, emit: Emit) -> LastingConnection:
        from dcsend.session.lasting import LastingConnection

        way = Listening(listener, cast("TransferConnection", connection), again)
        return LastingConnection(cast("PeerLink", connection), way, emit, settings.reconnect)

    return lasting


def _lasting(settings: Settings, emit: Emit, way: Callable[[], Way]) -> Lasting | None:
    if not settings.reconnect:
        return None

    def lasting(connection: Connection) -> LastingConnection:
        from dcsend.session.lasting import LastingConnection

        return LastingConnection(cast("PeerLink", connection), way(), emit, settings.reconnect)

    return lasting
