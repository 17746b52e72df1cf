"""A peer connection with the three channels of a transfer.

Only `loading` imports this module, because importing aiortc takes long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.dtls.certificate import Certificate
from dcsend.errors import ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.ice.connection import IceConnection
from dcsend.net.interfaces import route_mtu
from dcsend.peers.channel import ChannelParameters, SctpChannel
from dcsend.peers.contract import LABELS, MAX_QUEUED, ConnectionLost, Path
from dcsend.peers.peer import ConnectionRole, PeerConnection, Remote
from dcsend.printable import printable
from dcsend.sctp.channels import DataChannel
from dcsend.sctp.probing import payloads
from dcsend.sctp.queue import RELIABLE
from dcsend.sctp.reassembly import Limits

__all__ = ["TransferConnection"]

logger = logging.getLogger(__name__)

_HIGH_WATER: Final = 1024 * 1024
"""Bytes in the send queue of a channel above which `send` returns False. The window of the
protocol limits the bytes in flight; this queue only keeps the association busy."""

_LIMITS: Final = Limits(message=MAX_MESSAGE_SIZE, streams=32, stream_ids=32)
"The three channels have stream ids from 0 to 5 (RFC 8832, 6)."


class TransferConnection(PeerConnection):
    """A peer and the three channels of a transfer."""

    def __init__(
        self,
        ice: IceConnection,
        certificate: Certificate,
        role: ConnectionRole,
        *,
        mtu: Callable[[str], int | None] = route_mtu,
        max_queued: int = MAX_QUEUED,
    ) -> None:
        """Prepare; nothing is sent before `establish`.

        Args:
            ice: the connection of an `IceEndpoint`.
            certificate: of this side.
            role: which of the two sides this is.
            mtu: returns the MTU of the route to a host, in bytes; None if unknown.
            max_queued: bytes of each channel that wait for `receive`, at most.
        """
        self._mtu = mtu
        self._max_queued = max_queued
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channels: dict[str, SctpChannel] = {}
        self.channels: Mapping[str, SctpChannel] = self._channels
        super().__init__(ice, certificate, role, limits=_LIMITS, zero_checksum=True)

    async def _open_channels(self, remote: Remote) -> None:
        self._largest = min(remote.max_message_size or MAX_MESSAGE_SIZE, MAX_MESSAGE_SIZE)
        if self._role.opens:
            for label in LABELS:
                self._add(self.sctp.open_channel(ChannelParameters(label)))
        await self._open
        logger.debug("all channels are open")
        route = self.route
        # A relay adds bytes to each packet that are not known here.
        if route.family and route.path is Path.DIRECT:
            self.sctp.probe(payloads(self._mtu(route.remote), is_ipv6=route.family == "IPv6"))

    def _on_channel(self, channel: DataChannel) -> None:
        label = channel.parameters.label
        if self._role.opens or label not in LABELS or label in self._channels:
            self._end(RemoteProtocolError(f"unexpected channel {printable(label[:40])!r}"))
        elif channel.parameters.reliability != RELIABLE:
            self._end(RemoteProtocolError(f"channel {label!r} is not ordered and reliable"))
        else:
            self._add(channel)

    def _add(self, channel: DataChannel) -> None:
        self._channels[channel.parameters.label] = SctpChannel(
            self.sctp,
            channel,
            max_message_size=self._largest,
            high_water=_HIGH_WATER,
            max_queued=self._max_queued,
        )
        channel.on_open = self._check_open
        channel.on_close = self._on_close
        self._check_open()

    def _check_open(self) -> None:
        complete = len(self._channels) == len(LABELS)
        if complete and all(c.is_open for c in self._channels.values()) and not self._open.done():
            self._open.set_result(None)

    def _on_close(self) -> None:
        if self.sctp.is_lost:
            message = "the other side does not respond"
            self._end(ConnectionLost(message, "run it again on both sides"))
        else:
            self._end(ConnectionFailed("the other side closed the connection"))

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        for channel in self._channels.values():
            channel.end(reason)
        if not self._open.done():
            self._open.set_exception(reason)
            self._open.exception()  # asyncio would log an exception that was never retrieved
