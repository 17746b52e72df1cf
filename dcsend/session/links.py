"""The parts of a `lasting` connection: one link after the other, and the way to the next one."""

from __future__ import annotations

import asyncio
from typing import Protocol

from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.net.address import Address
from dcsend.peers.contract import Connection
from dcsend.protocol.messages import Hello, decode
from dcsend.protocol.receipts import AWAY

__all__ = ["BegunAnew", "PeerLink", "Unproven", "Way", "first_message", "hello_of"]


class PeerLink(Connection, Protocol):
    """One connection with the peer, such as a `peers.transfer.TransferConnection`."""

    @property
    def address(self) -> Address | None:
        """Address to which datagrams for the peer are sent."""
        ...

    @property
    def received_at(self) -> float:
        """When an authentic datagram last arrived, in seconds of the loop's clock."""
        ...

    async def discard(self) -> None:
        """Close without a datagram."""
        ...


class BegunAnew(ConnectionFailed):
    """The peer has lost its state, such as a page that was loaded again, and has connected again.

    Args:
        link: the new connection, which has taken the place of the former one.
        hello: the first message on its control channel.
    """

    def __init__(self, link: PeerLink, hello: bytes | str) -> None:
        super().__init__("the other side has begun anew", "run it again on both sides")
        self.link = link
        self.hello = hello


class Way(Protocol):
    """How the two sides connect again."""

    @property
    def dials(self) -> bool:
        """Whether this side makes the next connection; otherwise it waits for one."""
        ...

    @property
    def allows_anew(self) -> bool:
        """Whether the peer can connect again after it has lost its state: it may be a page."""
        ...

    def open(self) -> None:
        """Begin to accept another connection of the peer."""
        ...

    async def another(self, seen: Address | None) -> PeerLink:
        """Return another connection with the same peer, whose last address was *seen*.

        Raises:
            CodeUsed, CodeExpired: there will be none.
        """
        ...

    def replaced(self, link: PeerLink) -> None:
        """Note that *link* has taken over."""
        ...

    async def drop(self, link: PeerLink) -> None:
        """Close *link*, which has not taken over."""
        ...

    def lost(self) -> None:
        """Note that the connection is interrupted."""
        ...

    def regained(self) -> None:
        """Note that the former connection answers, or that another one has taken over."""
        ...

    async def close(self) -> None:
        """Accept no other connection."""
        ...


class Unproven:
    """The connections on which a listener waits for the first message, in the order of their begin.

    It waits on all of them at once. A dialer may have given one up, and the message about its end
    may be lost: that one must not delay the next one.
    """

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, task: asyncio.Task[None]) -> None:
        """Take the task that waits on the newest one."""
        self._tasks = [one for one in self._tasks if not one.done()]
        self._tasks.append(task)

    def proven(self) -> None:
        """End the tasks of older ones than that of this task, which the dialer has given up."""
        while self._tasks and self._tasks[0] is not asyncio.current_task():
            self._tasks.pop(0).cancel()
        del self._tasks[:1]

    def end(self) -> None:
        """End the tasks that are left."""
        for task in self._tasks:
            task.cancel()


def hello_of(message: bytes | str) -> Hello | None:
    """Return the message if it is a valid Hello; the protocol reports what is not."""
    try:
        hello = decode(message) if isinstance(message, str) else None
    except DcsendError:
        return None
    return hello if isinstance(hello, Hello) else None


async def first_message(link: PeerLink, *, anew: bool) -> bytes | str:
    """Return the first message on the control channel of another connection.

    Args:
        link: the connection.
        anew: whether the peer may have lost its state.

    Raises:
        BegunAnew: it has.
        ConnectionFailed: the connection is of no use.
    """
    message = await link.channels["control"].receive()
    if anew and hello_of(message) is not None:
        raise BegunAnew(link, message)
    if anew and message == AWAY:  # it has lost its state once more
        raise ConnectionFailed("the other side has left before its Hello")
    return message
