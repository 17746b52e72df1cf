"""A peer connection with any number of data channels, opened by either side.

This module imports aiortc, so it is imported only after `peers.loading` has done that.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable
from typing import Final, Protocol

from dcsend.chat.presence import AWAY_SECONDS, LOST_SECONDS, Presence
from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.ice.connection import IceConnection
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.peer import ConnectionRole, PeerConnection, Remote
from dcsend.sctp.channels import DataChannel
from dcsend.sctp.reassembly import Limits

__all__ = ["ChatConnection", "ConnectionState", "Observer"]

logger = logging.getLogger(__name__)

_LIMITS: Final = Limits(streams=1024, message=MAX_MESSAGE_SIZE)
"Chromium has the same limit of 1024 channels."
PRESENCE_SECONDS: Final = 0.5
"Between two checks whether datagrams of the peer arrive."
_MAX_MISSED: Final = 4096
"Events that are kept for an observer that is added some iterations of the event loop later."
_HIGH_WATER: Final = 128 * 1024
"Bytes in the send queue of a channel; half of it keeps packets full."
_DRAIN: Final = 3.0
"Seconds for which `drain` waits until the peer has acknowledged everything."


class ConnectionState(enum.StrEnum):
    """The state of the connection (W3C `RTCPeerConnectionState`)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    "No datagram has arrived for a while; the connection may recover."
    FAILED = "failed"
    CLOSED = "closed"
    "One of the sides has closed the connection."


class Observer(Protocol):
    """Receives the events of a connection, in order, in the loop's thread. Must not block."""

    def announced(self, channel: SctpChannel) -> None:
        """The peer has opened a channel; called before its first message."""
        ...

    def opened(self, channel: SctpChannel) -> None:
        """A channel of either side can be used."""
        ...

    def closed(self, channel: SctpChannel) -> None:
        """A channel is closed."""
        ...

    def received(self, channel: SctpChannel, message: bytes | str) -> None:
        """A message has arrived."""
        ...

    def changed(self, state: ConnectionState) -> None:
        """The connection has another state; not called for the first, `connecting`."""
        ...


class ChatConnection(PeerConnection):
    """All data channels of one peer, and the state of the connection.

    Args:
        ice: see `PeerConnection`.
        certificate: see `PeerConnection`.
        role: see `PeerConnection`.
        away: see `Presence`.
        lost: see `Presence`.
        interval: seconds between two checks whether datagrams of the peer arrive.
    """

    def __init__(
        self,
        ice: IceConnection,
        certificate: Certificate,
        role: ConnectionRole,
        *,
        away: float = AWAY_SECONDS,
        lost: float = LOST_SECONDS,
        interval: float = PRESENCE_SECONDS,
    ) -> None:
        self._observer: Observer | None = None
        self._missed: list[Callable[[Observer], None]] = []
        self.max_message_size = 0
        "Bytes that the peer accepts in one message; 0 for any number."
        self.state = ConnectionState.CONNECTING
        "The state of the connection."
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[DcsendError | None] = loop.create_future()
        self._presence = Presence(loop.time(), away=away, lost=lost)
        self._interval = interval
        self._watching: asyncio.Task[None] | None = None
        super().__init__(ice, certificate, role, limits=_LIMITS, zero_checksum=False)

    @property
    def opens(self) -> bool:
        """Whether this side opens the first channel."""
        return self._role.opens

    def observe(self, observer: Observer) -> None:
        """Pass all events to *observer*, first those that have happened already."""
        self._observer = observer
        missed, self._missed = self._missed, []
        for event in missed:
            event(observer)

    def _emit(self, event: Callable[[Observer], None]) -> None:
        if self._observer is not None:
            event(self._observer)
            return
        self._missed.append(event)
        if len(self._missed) == _MAX_MISSED:
            self._end(RemoteProtocolError("the other side sends too much before the chat begins"))

    def open_channel(self, parameters: ChannelParameters) -> SctpChannel:
        """Open a channel; the event `opened` follows when the peer has accepted it.

        Raises:
            UsageError: the stream id is in use.
        """
        return self._add(self.sctp.open_channel(parameters))

    async def over(self) -> DcsendError | None:
        """Wait for the end; return its reason, or None if one of the sides closed it."""
        return await asyncio.shield(self._over)

    async def drain(self) -> None:
        """Wait for at most 3 s until the peer has acknowledged everything."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                # SCTP has no event for an empty queue.
                while not self.sctp.is_drained and not self._over.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def _open_channels(self, remote: Remote) -> None:
        self.max_message_size = remote.max_message_size
        if self.state is ConnectionState.CONNECTING:
            self._enter(ConnectionState.CONNECTED)
            self._watching = asyncio.create_task(self._watch())

    def _on_channel(self, channel: DataChannel) -> None:
        self._add(channel, announce=True)

    def _add(self, data_channel: DataChannel, *, announce: bool = False) -> SctpChannel:
        channel = SctpChannel(
            self.sctp,
            data_channel,
            max_message_size=self.max_message_size,
            high_water=_HIGH_WATER,
            on_message=self._on_message,
        )
        data_channel.on_open = lambda: self._emit(lambda to: to.opened(channel))
        data_channel.on_close = lambda: self._on_close(channel)
        if announce:
            self._emit(lambda to: to.announced(channel))
        if channel.is_open:
            self._emit(lambda to: to.opened(channel))
        return channel

    def _on_message(self, channel: SctpChannel, message: bytes | str) -> None:
        self._emit(lambda to: to.received(channel, message))

    def _on_close(self, channel: SctpChannel) -> None:
        channel.end(ConnectionFailed(f"the channel {channel.label!r} is closed"))
        if self._over.done():
            return
        self._emit(lambda to: to.closed(channel))
        if self.sctp.is_closed:  # the association has ended, not this channel alone
            self._end(ConnectionFailed("the other side closed the connection"), orderly=True)

    async def _watch(self) -> None:
        """Update the state by the datagrams that arrive."""
        clock = asyncio.get_running_loop().time
        before = self.ice.arrived
        while not self._over.done():
            await asyncio.sleep(self._interval)
            count = self.ice.arrived
            # It decreases when ICE closes, which is no sign of the peer.
            if count > before:
                self._presence.arrived(clock())
            before = count
            if self._presence.is_lost(clock()):
                self._end(self._silent())
            elif not self._over.done():
                away = self._presence.is_away(clock())
                self._enter(ConnectionState.DISCONNECTED if away else ConnectionState.CONNECTED)

    def _enter(self, state: ConnectionState) -> None:
        if state is not self.state:
            logger.debug("%s -> %s", self.state.value, state.value)
            self.state = state
            self._emit(lambda to: to.changed(state))

    def _on_dtls_state(self) -> None:
        # close_notify arrives with a recent datagram; consent expires without one.
        if self.dtls.state == "closed" and self.state is not ConnectionState.CONNECTING:
            if self._presence.is_away(asyncio.get_running_loop().time()):
                self._end(self._silent())  # ICE and this class stop at about the same time
            else:
                self._end(ConnectionFailed("the other side closed the connection"), orderly=True)
        super()._on_dtls_state()

    def _silent(self) -> ConnectionFailed:
        silence = self._presence.silence(asyncio.get_running_loop().time())
        return ConnectionFailed(f"nothing was received from the other side for {silence:.0f} s")

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        if self._over.done():
            return
        logger.debug("end: %s", reason.message)
        self._over.set_result(None if orderly else reason)
        if self._watching is not None:
            self._watching.cancel()
        self._enter(ConnectionState.CLOSED if orderly else ConnectionState.FAILED)
