"""The three channels of a transfer, over aiortc's ICE and DTLS and the SCTP that was chosen.

Loaded only by `loading`, since importing aiortc takes long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.engines.addresses import route_mtu
from dcsend.engines.base import LABELS, Path
from dcsend.engines.certificate import Certificate
from dcsend.engines.ice import IceConnection
from dcsend.engines.mailbox import Mailbox
from dcsend.engines.peer import PeerConnection, Remote, Role
from dcsend.engines.transport import DataChannel, Parameters
from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.printable import printable
from dcsend.sctp.probing import payloads
from dcsend.sctp.queue import RELIABLE
from dcsend.sctp.reassembly import Limits

__all__ = ["TransferChannel", "TransferConnection"]

_HIGH_WATER: Final = 1024 * 1024
"""Bytes in the channel's own buffer above which `send` says no. The window of the protocol
bounds what is in flight; this only keeps the association busy between two turns."""
_LOW_WATER: Final = 512 * 1024

_LIMITS: Final = Limits(message=MAX_MESSAGE_SIZE, streams=32, stream_ids=32)
"The three channels get the stream ids 0 to 5 (RFC 8832, 6)."


class TransferChannel:
    """One data channel."""

    def __init__(self, channel: DataChannel, max_message_size: int) -> None:
        self.label = channel.parameters.label
        self.max_message_size = max_message_size
        self._channel = channel
        self._mailbox = Mailbox()
        self._end: DcsendError | None = None
        self._room = asyncio.Event()
        channel.on_message = self._mailbox.put
        channel.on_room = self._check_room

    @property
    def is_open(self) -> bool:
        """Whether the other side has agreed to it, and it is not over."""
        return self._channel.is_open

    def send(self, message: bytes | str) -> bool:
        """Queue a message, as `Channel.send` says."""
        if self._end is not None:
            raise self._end
        if self._channel.queued >= _HIGH_WATER:
            return False
        self._channel.send(message)
        return True

    async def writable(self) -> None:
        """Wait for room, as `Channel.writable` says."""
        while self._end is None and self._channel.queued >= _HIGH_WATER:
            self._room.clear()
            await self._room.wait()
        if self._end is not None:
            raise self._end

    async def receive(self) -> bytes | str:
        """Take the next message, as `Channel.receive` says."""
        message = await self._mailbox.get()
        self._channel.taken(message)
        return message

    def _check_room(self) -> None:
        if self._channel.queued <= _LOW_WATER:
            self._room.set()

    def end(self, reason: DcsendError) -> None:
        """Let both directions raise *reason*; what has arrived can still be received."""
        if self._end is None:
            self._end = reason
            self._mailbox.end(reason)
            self._room.set()


class TransferConnection(PeerConnection):
    """The three channels of a transfer, over one peer connection."""

    def __init__(self, ice: IceConnection, certificate: Certificate, role: Role) -> None:
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channels: dict[str, TransferChannel] = {}
        self.channels: Mapping[str, TransferChannel] = self._channels
        super().__init__(ice, certificate, role, limits=_LIMITS, bulk=True)

    async def _open_channels(self, remote: Remote) -> None:
        self._largest = min(remote.max_message_size or MAX_MESSAGE_SIZE, MAX_MESSAGE_SIZE)
        if self._role.opens:
            for label in LABELS:
                self._add(self._sctp.open_channel(Parameters(label)))
        await self._open
        route = self.route
        # A relay adds to each packet what nobody here counts.
        if route.family and route.path is Path.DIRECT:
            self._sctp.probe(payloads(route_mtu(route.remote), is_ipv6=route.family == "IPv6"))

    def _channel_opened_by_peer(self, channel: DataChannel) -> None:
        label = channel.parameters.label
        if self._role.opens or label not in LABELS or label in self._channels:
            self._end(RemoteProtocolError(f"unexpected channel {printable(label[:40])!r}"))
        elif channel.parameters.reliability != RELIABLE:
            self._end(RemoteProtocolError(f"channel {label!r} is not ordered and reliable"))
        else:
            self._add(channel)

    def _add(self, channel: DataChannel) -> None:
        self._channels[channel.parameters.label] = TransferChannel(channel, self._largest)
        channel.on_open = self._check_open
        channel.on_close = self._channel_closed
        self._check_open()

    def _check_open(self) -> None:
        complete = len(self._channels) == len(LABELS)
        if complete and all(c.is_open for c in self._channels.values()) and not self._open.done():
            self._open.set_result(None)

    def _channel_closed(self) -> None:
        self._end(ConnectionFailed("the other side closed the connection"))

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        for channel in self._channels.values():
            channel.end(reason)
        if not self._open.done():
            self._open.set_exception(reason)
            self._open.exception()  # it is nobody's fault if nobody waits for it
