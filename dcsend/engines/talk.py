"""A peer connection with whatever data channels either side opens: the demo's.

Loads aiortc, so it is loaded only where `loading` has done that.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable
from typing import Final, Protocol

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.engines.certificate import Certificate
from dcsend.engines.ice import IceConnection
from dcsend.engines.peer import PeerConnection, Remote, Role
from dcsend.engines.presence import Presence
from dcsend.engines.transport import DataChannel, Parameters
from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.sctp.reassembly import Limits

__all__ = ["Follower", "Parameters", "State", "TalkChannel", "TalkConnection"]

_LIMITS: Final = Limits(streams=1024, message=MAX_MESSAGE_SIZE)
"Browsers stop at 1024 channels, too (Chromium)."
_LOOK: Final = 0.5
"Seconds between two looks at whether the peer still sends."
_MAX_MISSED: Final = 4096
"Events that are kept for a follower that comes late, by a few turns of the loop."
_LOW_WATER: Final = 64 * 1024
"Bytes that may wait while more is sent: enough to keep packets full."
_DRAIN: Final = 3.0
"Seconds that what was sent may take to arrive before a polite end; then it is lost."


class State(enum.StrEnum):
    """The state of the whole connection (W3C `RTCPeerConnectionState`)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    "Nothing has come for a while; it may come back."
    FAILED = "failed"
    CLOSED = "closed"
    "The other side, or this one, has ended it."


class Follower(Protocol):
    """Who is told what happens; on the loop's thread, in order; must not block."""

    def announced(self, channel: TalkChannel) -> None:
        """The peer opens a channel; comes before its first message."""
        ...

    def opened(self, channel: TalkChannel) -> None:
        """A channel can be used from now on, whoever opened it."""
        ...

    def closed(self, channel: TalkChannel) -> None:
        """A channel is gone."""
        ...

    def received(self, channel: TalkChannel, message: bytes | str) -> None:
        """A message has come."""
        ...

    def changed(self, state: State) -> None:
        """The connection is in another state; the first, `connecting`, is not told."""
        ...


class TalkChannel:
    """One data channel, of either side."""

    def __init__(self, channel: DataChannel) -> None:
        self._channel = channel
        self._room = asyncio.Event()
        channel.on_room = self._room.set

    @property
    def label(self) -> str:
        """Its name; not always unique, and a stranger's text if the peer opened it."""
        return self._channel.parameters.label

    @property
    def id(self) -> int:
        """Stream id, 0 to 65534; -1 for one that is not announced yet."""
        return -1 if self._channel.id is None else self._channel.id

    @property
    def protocol(self) -> str:
        """Name of the subprotocol; empty for none."""
        return self._channel.parameters.protocol

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._channel.is_open

    def send(self, message: bytes | str) -> None:
        """Queue a message, however long the queue; see `writable`.

        Raises:
            ConnectionFailed: the channel is closed.
            UsageError: the message is longer than the peer takes, or no text.
        """
        self._channel.send(message)

    async def writable(self) -> None:
        """Return when little is queued, or the channel is closed."""
        while self.is_open and self._channel.queued > _LOW_WATER:
            self._room.clear()
            await self._room.wait()

    def taken(self, message: bytes | str) -> None:
        """Note that a message was told."""
        self._channel.taken(message)

    def closed(self) -> None:
        """Let nobody wait any more."""
        self._room.set()

    def close(self) -> None:
        """Close it, after what is queued."""
        self._channel.close()


class TalkConnection(PeerConnection):
    """Every channel of one peer, and how the connection is."""

    def __init__(self, ice: IceConnection, certificate: Certificate, role: Role) -> None:
        self._follower: Follower | None = None
        self._missed: list[Callable[[Follower], None]] = []
        self.max_message_size = 0
        "Bytes that the peer takes in one message; 0 for any number."
        self._state = State.CONNECTING
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[DcsendError | None] = loop.create_future()
        self._presence = Presence(loop.time())
        self._watching: asyncio.Task[None] | None = None
        super().__init__(ice, certificate, role, limits=_LIMITS, bulk=False)

    @property
    def opens(self) -> bool:
        """Whether it is for this side to open a channel."""
        return self._role.opens

    @property
    def state(self) -> State:
        """How the connection is."""
        return self._state

    def follow(self, follower: Follower) -> None:
        """Tell *follower* of everything, first of what it has missed."""
        self._follower = follower
        missed, self._missed = self._missed, []
        for event in missed:
            event(follower)

    def _tell(self, event: Callable[[Follower], None]) -> None:
        if self._follower is not None:
            event(self._follower)
            return
        self._missed.append(event)
        if len(self._missed) == _MAX_MISSED:
            self._end(RemoteProtocolError("the other side sends faster than we can begin"))

    def open_channel(self, options: Parameters) -> TalkChannel:
        """Open a channel; `opened` is told when the other side agrees.

        Raises:
            UsageError: the stream id is taken.
        """
        return self._add(self._sctp.open_channel(options))

    async def over(self) -> DcsendError | None:
        """Return when the connection has failed, and why, or None when a side has closed it."""
        return await asyncio.shield(self._over)

    async def drain(self) -> None:
        """Wait, not for long, until the peer has all that was sent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                # Nobody tells when the queues are empty.
                while not self._sctp.is_drained and not self._over.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def _open_channels(self, remote: Remote) -> None:
        self.max_message_size = remote.max_message_size
        if self._state is State.CONNECTING:
            self._enter(State.CONNECTED)
            self._watching = asyncio.create_task(self._watch())

    def _channel_opened_by_peer(self, channel: DataChannel) -> None:
        self._add(channel, announce=True)

    def _add(self, channel: DataChannel, *, announce: bool = False) -> TalkChannel:
        added = TalkChannel(channel)
        channel.on_message = lambda message: self._received(added, message)
        channel.on_open = lambda: self._tell(lambda to: to.opened(added))
        channel.on_close = lambda: self._channel_closed(added)
        if announce:
            self._tell(lambda to: to.announced(added))
        if added.is_open:
            self._tell(lambda to: to.opened(added))
        return added

    def _received(self, channel: TalkChannel, message: bytes | str) -> None:
        channel.taken(message)
        self._tell(lambda to: to.received(channel, message))

    def _channel_closed(self, channel: TalkChannel) -> None:
        channel.closed()
        if self._over.done():
            return  # that says it all
        self._tell(lambda to: to.closed(channel))
        if self._sctp.is_closed:  # all of it, not this channel alone
            self._end(ConnectionFailed("the other side closed the connection"), orderly=True)

    async def _watch(self) -> None:
        """Look after whether the peer is still there."""
        clock = asyncio.get_running_loop().time
        heard = self._ice_connection.arrived
        while not self._over.done():
            await asyncio.sleep(_LOOK)
            count = self._ice_connection.arrived
            # It falls when ICE gives up, which says nothing of the peer.
            if count > heard:
                self._presence.heard(clock())
            heard = count
            if self._presence.is_lost(clock()):
                self._end(self._gone())
            elif not self._over.done():
                away = self._presence.is_away(clock())
                self._enter(State.DISCONNECTED if away else State.CONNECTED)

    def _enter(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._tell(lambda to: to.changed(state))

    def _dtls_changed(self) -> None:
        # A peer that says goodbye was heard of just now; one that does not is missed for long.
        if self._dtls.state == "closed" and self._state is not State.CONNECTING:
            if self._presence.is_away(asyncio.get_running_loop().time()):
                self._end(self._gone())  # ICE gives up at about the same time as we do
            else:
                self._end(ConnectionFailed("the other side closed the connection"), orderly=True)
        super()._dtls_changed()

    def _gone(self) -> ConnectionFailed:
        silence = self._presence.silence(asyncio.get_running_loop().time())
        return ConnectionFailed(f"nothing came from the other side for {silence:.0f} s")

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        if self._over.done():
            return
        self._over.set_result(None if orderly else reason)
        if self._watching is not None:
            self._watching.cancel()
        self._enter(State.CLOSED if orderly else State.FAILED)
