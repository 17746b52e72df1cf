"""One dialer of a listener: from its first valid check to the end of its connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic

from dcsend.peers.loading import Peer

if TYPE_CHECKING:
    from dcsend.ice.endpoint import IceEndpoint
    from dcsend.peers.peer import Remote

__all__ = ["IncomingDial"]


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
        self._remote = remote
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False

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
