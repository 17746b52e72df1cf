"""How a listener and the dialer that it has accepted connect again; see `lasting`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from dcsend.dtls.certificate import Certificate
from dcsend.net.address import Address
from dcsend.peers.contract import Connection
from dcsend.peers.loading import transfer_peer
from dcsend.session.arrivals import Lasting
from dcsend.session.events import Emit
from dcsend.settings import Settings
from dcsend.signaling.dialcode import DialCode, decode, ice_password

if TYPE_CHECKING:
    from dcsend.peers.listener import Listener
    from dcsend.peers.transfer import TransferConnection
    from dcsend.session.lasting import LastingConnection, Link

__all__ = ["Dialing", "Listening", "lasting_awaited", "lasting_dialed"]


class Listening:
    """The listener waits for the certificate of the accepted dialer."""

    dials: Final = False

    def __init__(self, listener: Listener[TransferConnection]) -> None:
        self._listener = listener

    def open(self) -> None:
        """As `Way.open`."""
        self._listener.let_return()

    async def another(self, seen: Address | None) -> Link:
        """As `Way.another`: wherever the dialer is."""
        return await self._listener.returned()

    def replaced(self, link: Link) -> None:
        """As `Way.replaced`."""
        self._listener.replace(cast("TransferConnection", link))

    async def drop(self, link: Link) -> None:
        """As `Way.drop`."""
        await self._listener.drop(cast("TransferConnection", link))


class Dialing:
    """The dialer dials the addresses in the code, and where the listener was last."""

    dials: Final = True

    def __init__(self, code: DialCode, certificate: Certificate) -> None:
        """Take the code, and the certificate of the first connection."""
        self._code = code
        self._certificate = certificate

    def open(self) -> None:
        """As `Way.open`: a dialer accepts no connections."""

    async def another(self, seen: Address | None) -> Link:
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

    def replaced(self, link: Link) -> None:
        """As `Way.replaced`."""

    async def drop(self, link: Link) -> None:
        """As `Way.drop`."""
        await link.close()


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
    if not settings.reconnect:
        return None

    def lasting(connection: Connection) -> LastingConnection:
        from dcsend.session.lasting import LastingConnection

        way = Dialing(decode(code), certificate)
        return LastingConnection(cast("Link", connection), way, emit, settings.reconnect)

    return lasting


def lasting_awaited(
    settings: Settings, emit: Emit, listener: Listener[TransferConnection]
) -> Lasting | None:
    """Return the same for the connections to a listener."""
    if not settings.reconnect:
        return None

    def lasting(connection: Connection) -> LastingConnection:
        from dcsend.session.lasting import LastingConnection

        return LastingConnection(
            cast("Link", connection), Listening(listener), emit, settings.reconnect
        )

    return lasting
