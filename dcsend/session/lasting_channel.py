"""One channel of a `lasting` connection: what is kept, what is sent again, what has arrived."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from dcsend.errors import ConnectionFailed, RemoteProtocolError
from dcsend.peers.contract import MAX_QUEUED, Channel

if TYPE_CHECKING:
    from dcsend.session.lasting import LastingConnection
    from dcsend.session.links import PeerLink

__all__ = ["LastingChannel"]

_MAX_KEPT: Final = 2 * MAX_QUEUED
"""Bytes of a channel that the peer has not confirmed, after which it violates the protocol. Half of
`MAX_QUEUED` can be on the way."""


class LastingChannel:
    """A channel that goes on over the next connection; see `peers.contract.Channel`."""

    def __init__(self, owner: LastingConnection, channel: Channel) -> None:
        self.label = channel.label
        self.max_message_size = channel.max_message_size
        self.received = 0
        "Messages that have arrived, over all connections."
        self._owner = owner
        self._kept: deque[bytes | str] = deque()
        "Messages that were sent, and are not confirmed."
        self._kept_size = 0
        self._confirmed = 0
        "Messages that the peer has confirmed."
        self._released = 0
        "Messages that are kept no more; those in `_kept` follow."
        self._again = 0
        "Of those in `_kept`, the number to be sent over this connection, too; the last ones."
        self._permit: Callable[[int], Awaitable[None]] | None = None
        self._held: tuple[PeerLink, bytes | str] | None = None
        "A message that came while another connection was about to take over."

    # --- for the session

    def pace(self, permit: Callable[[int], Awaitable[None]]) -> None:
        """Await *permit* with the length of each message before it is sent again."""
        self._permit = permit

    def send(self, message: bytes | str) -> bool:
        """Queue a message; False while there is no connection."""
        owner = self._owner
        owner.check()
        if not owner.is_usable or self._again:
            return False
        link = owner.link
        try:
            sent = link.channels[self.label].send(message)
        except ConnectionFailed as error:
            owner.ended(link, error)
            return False
        if sent and owner.keeps:
            self._keep(message)
        return sent

    async def writable(self) -> None:
        """Return when `send` can succeed."""
        owner = self._owner
        await owner.usable()
        link = owner.link
        if self._again:
            await owner.changed()
            return
        try:
            await link.channels[self.label].writable()
        except ConnectionFailed as error:
            owner.ended(link, error)

    async def receive(self) -> bytes | str:
        """Return the next message, of whichever connection."""
        owner = self._owner
        while True:
            if self._held is None:
                await owner.usable()
                link = owner.link
                try:
                    self._held = link, await link.channels[self.label].receive()
                except ConnectionFailed as error:
                    owner.ended(link, error)
                    continue
            await owner.settled()
            (link, message), self._held = self._held, None
            # The peer sends it again if it came over a former connection.
            if link is owner.link and not owner.takes(self, message):
                self.received += 1
                owner.arrived(message)
                return message

    def _keep(self, message: bytes | str) -> None:
        if self.label == "control" and not self._owner.lasts:
            # An offer may be long. The peer has received it if it accepts.
            self._released += 1
            return
        self._kept.append(message)
        self._kept_size += len(message)
        if self._kept_size > _MAX_KEPT:
            self._owner.end(RemoteProtocolError("the peer does not confirm what it receives"))

    # --- for the connection

    @property
    def unconfirmed(self) -> int:
        """Messages that are kept, since the peer has not confirmed them."""
        return len(self._kept)

    def hold(self, message: bytes | str) -> None:
        """Return *message*, which has been read from the link, before all others."""
        self._held = self._owner.link, message

    def forget(self) -> None:
        """Keep nothing: the peer can't connect again."""
        self._kept.clear()
        self._kept_size = 0

    def confirm(self, count: int) -> None:
        """Note that the peer has received *count* messages since the beginning.

        Raises:
            RemoteProtocolError: it can't have.
        """
        if not self._confirmed <= count <= self._released + len(self._kept) - self._again:
            raise RemoteProtocolError(f"the peer confirms {count} messages of {self.label!r}")
        self._confirmed = count
        while self._released < count:
            self._kept_size -= len(self._kept.popleft())
            self._released += 1

    def rewind(self) -> None:
        """Send again everything that is not confirmed."""
        self._again = len(self._kept)

    async def send_again(self, link: PeerLink) -> None:
        """Send over *link* what it has not been sent over."""
        channel = link.channels[self.label]
        permitted = 0
        while self._again and self._owner.link is link:
            if self._permit is not None and permitted != self._again:
                permitted = self._again
                await self._permit(len(self._kept[-self._again]))
            elif channel.send(self._kept[len(self._kept) - self._again]):
                self._again -= 1
            else:
                await channel.writable()
