"""One dialer of a listener: from its first valid check to the end of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic

from dcsend.dtls.certificate import Certificate
from dcsend.ice.rate_limits import ReplayCache
from dcsend.ice.request_filter import RequestFilter
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers.loading import Make, Peer

if TYPE_CHECKING:
    from aioice.stun import Message

    from dcsend.ice.checks import Check
    from dcsend.ice.endpoint import IceEndpoint
    from dcsend.peers.peer import Remote

GONE_SECONDS: Final = 3.5
"""Without a datagram of an accepted dialer until another dialer can replace it. By then consent
has been checked every second (`ice.consent`), and every ICE agent responds to that."""

__all__ = ["IncomingDial", "incoming_dial", "request_filter"]

Receive = Callable[[bytes, Address], None]


def request_filter(
    name: str, password: str, cache: ReplayCache, *, unknown: Receive, forged: Receive
) -> RequestFilter:
    """Return the filter for the requests that arrive from the sources of one dial.

    Args:
        name: our ice-ufrag for that dialer.
        password: our ice-pwd.
        cache: the requests that were handled.
        unknown: handles a request of another dial, from the same source.
        forged: handles a request that our ice-pwd does not authenticate.
    """
    from dcsend.ice.checks import parse_check

    def parse(data: bytes) -> Message | None:
        check = parse_check(data)
        is_own = check is not None and check.credentials.local_ufrag == name
        return check.message if check is not None and is_own else None

    def belongs(data: bytes, source: Address) -> bool:
        if name.encode() in data:
            return True
        # A new dial from the port of this one: handled as one of an unknown source.
        unknown(data, source)
        return False

    return RequestFilter(password, parse, cache=cache, belongs=belongs, forged=forged)


class IncomingDial(Generic[Peer]):
    """The ICE endpoint and the connection of one dialer, and the task that establishes it."""

    def __init__(self, name: str, endpoint: IceEndpoint, connection: Peer, remote: Remote) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: our ice-ufrag in the checks of this dialer, which no other dialer uses.
            endpoint: ICE with this dialer.
            connection: over the endpoint.
            remote: the dialer's parameters, from its first check.
        """
        self.name = name
        self.endpoint = endpoint
        self.connection = connection
        self.is_kept = False
        "Whether it keeps its place for a while when it no longer responds; see `Places.keep`."
        self._remote = remote
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the dialer's certificate: announced, and pinned in its handshake."""
        return self._remote.fingerprint

    @property
    def is_deserted(self) -> bool:
        """Whether the dialer no longer responds."""
        return asyncio.get_running_loop().time() - self.endpoint.received_at >= GONE_SECONDS

    def keep(self) -> None:
        """Let it keep its place for a while."""
        self.is_kept = True

    async def establish(self) -> None:
        """Connect.

        Raises:
            CancelledError: `cancel` was called.
            DcsendError: as `PeerConnection.establish`.
        """
        if self._is_cancelled:
            raise asyncio.CancelledError
        self._task = asyncio.current_task()
        try:
            await self.connection.establish(self._remote)
        finally:
            self._task = None

    def cancel(self) -> None:
        """Cancel `establish`, also if it has not started; its caller closes the connection.

        The task is cancelled in `establish` only: elsewhere the connection would stay open.
        """
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    def abandon(self) -> None:
        """Cancel without another datagram: a new dial comes from the address of this one.

        A retransmitted handshake or a DTLS alert would be taken for one of the new connection.
        """
        self.endpoint.mute()
        self.cancel()


def incoming_dial(
    check: Check,
    port: UdpPort,
    password: str,
    certificate: Certificate,
    make: Make[Peer],
    cache: ReplayCache,
    *,
    unknown: Receive,
    forged: Receive,
) -> IncomingDial[Peer]:
    """Return a dial that begins with a valid check.

    Args:
        check: the first one; names the dial.
        port: of this side.
        password: our ice-pwd.
        certificate: of this side.
        make: makes the connection.
        cache: as of `request_filter`, like the other two.
        unknown: handles a request of another dial, from the same source.
        forged: handles a request that our ice-pwd does not authenticate.
    """
    from dcsend.ice.endpoint import IceEndpoint
    from dcsend.peers import peer

    theirs = check.credentials
    name = theirs.local_ufrag
    endpoint = IceEndpoint(
        port,
        controlling=False,
        credentials=(name, password),
        requests=request_filter(name, password, cache, unknown=unknown, forged=forged),
    )
    role = peer.ConnectionRole(published=True, dtls_server=True, opens=False)
    connection = make(endpoint.connection, certificate, role)
    remote = peer.Remote(theirs.ufrag, theirs.password, theirs.fingerprint)
    return IncomingDial(name, endpoint, connection, remote)
