"""A connection over aiortc: its ICE, DTLS and SCTP through the ORTC objects.

`RTCPeerConnection` is not used: it makes its own certificate and its own sockets. Loaded
only by `loading`, since importing aiortc takes long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aioice import Connection as IceConnection
from aiortc import (
    InvalidStateError,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCIceParameters,
    RTCSctpCapabilities,
)
from OpenSSL import SSL

from dcsend.engines import private
from dcsend.engines.association import GuardedSctp
from dcsend.engines.base import LABELS, Path, Route
from dcsend.engines.certificate import Certificate
from dcsend.engines.mailbox import Mailbox
from dcsend.errors import AuthenticationFailed, ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.printable import printable

__all__ = ["AiortcChannel", "AiortcConnection", "Remote"]

_HIGH_WATER: Final = 1024 * 1024
"""Bytes in the channel's own buffer above which `send` says no. The window of the protocol
bounds what is in flight; this only keeps the association busy between two turns."""
_LOW_WATER: Final = 512 * 1024
_SCTP_PORT: Final = 5000
"As every browser says in `a=sctp-port` (RFC 8841)."
_MAX_MESSAGE: Final = 262_144
"Bytes. What Chromium offers; Firefox takes more, and nobody here sends more."


@dataclass(frozen=True, slots=True)
class Remote:
    """What one side must know of the other: the contents of an SDP that was never sent."""

    ufrag: str
    password: str
    fingerprint: bytes
    "SHA-256 of the DTLS certificate; 32 bytes."


class AiortcChannel:
    """One data channel."""

    max_message_size = _MAX_MESSAGE

    def __init__(self, channel: RTCDataChannel) -> None:
        self.label: str = channel.label
        self._channel = channel
        self._mailbox = Mailbox()
        self._end: DcsendError | None = None
        self._room = asyncio.Event()
        channel.bufferedAmountLowThreshold = _LOW_WATER
        # At once: aiortc keeps nothing for a handler that comes later.
        channel.on("message", self._mailbox.put)
        channel.on("bufferedamountlow", self._room.set)

    def send(self, message: bytes | str) -> bool:
        """Queue a message, as `Channel.send` says."""
        if self._end is not None:
            raise self._end
        if self._channel.bufferedAmount >= _HIGH_WATER:
            return False
        try:
            self._channel.send(message)
        except InvalidStateError:
            raise ConnectionFailed("the channel is closed") from None
        return True

    async def writable(self) -> None:
        """Wait for room, as `Channel.writable` says."""
        while self._end is None and self._channel.bufferedAmount >= _HIGH_WATER:
            self._room.clear()
            await self._room.wait()
        if self._end is not None:
            raise self._end

    async def receive(self) -> bytes | str:
        """Take the next message, as `Channel.receive` says."""
        return await self._mailbox.get()

    def end(self, reason: DcsendError) -> None:
        """Let both directions raise *reason*; what has arrived can still be received."""
        if self._end is None:
            self._end = reason
            self._mailbox.end(reason)
            self._room.set()


class AiortcConnection:
    """ICE, DTLS and SCTP to one peer, from the first check to three open channels."""

    def __init__(self, ice: IceConnection, certificate: Certificate, *, listener: bool) -> None:
        self._listener = listener
        self._ice_connection = ice
        self._ice = private.ice_transport(ice)
        self._dtls = private.dtls_transport(ice, self._ice, certificate, server=listener)
        self._sctp = GuardedSctp(self._dtls, _SCTP_PORT, self._rules_broken)
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping: asyncio.Task[None] | None = None
        self._channels: dict[str, AiortcChannel] = {}
        self.channels: Mapping[str, AiortcChannel] = self._channels
        self._dtls.on("statechange", self._dtls_changed)
        self._sctp.on("datachannel", self._channel_opened_by_peer)

    @property
    def route(self) -> Route:
        """The nominated pair, seen from here."""
        remote = private.remote_address(self._ice_connection)
        host, kind = remote or ("", "")
        return Route(
            path=Path.RELAYED if kind == "relay" else Path.DIRECT,
            family="IPv6" if ":" in host else "IPv4" if host else "",
            remote=host,
            rtt=private.round_trip(self._sctp),
        )

    async def establish(self, remote: Remote) -> None:
        """Connect; return when every channel of `LABELS` is open.

        Raises:
            ConnectionFailed: no pair of addresses works, or the connection broke.
            AuthenticationFailed: the peer's certificate is not the pinned one.
            RemoteProtocolError: the peer broke a rule of SCTP, or opened other channels.
        """
        try:
            await self._establish(remote)
        except (ConnectionError, InvalidStateError, SSL.Error):
            raise ConnectionFailed("the connection was lost while it was set up") from None

    async def _establish(self, remote: Remote) -> None:
        await self._ice.start(RTCIceParameters(remote.ufrag, remote.password))
        if self._ice.state != "completed":
            raise ConnectionFailed("no answer from any address of the other side")
        fingerprint = remote.fingerprint.hex(":").upper()
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", fingerprint)]))
        if self._dtls.state != "connected":
            raise self._handshake_error(remote.fingerprint)
        # No await in between: a packet that comes before SCTP listens is lost, for 3 s.
        await self._sctp.start(RTCSctpCapabilities(_MAX_MESSAGE), _SCTP_PORT)
        if not self._listener:
            for label in LABELS:
                parameters = RTCDataChannelParameters(label=label)
                self._add(RTCDataChannel(self._sctp, parameters))
        await self._open

    def _handshake_error(self, fingerprint: bytes) -> DcsendError:
        if not private.peer_certificate_differs(self._dtls, fingerprint):
            return ConnectionFailed("the encrypted connection could not be set up")
        if self._listener:
            return AuthenticationFailed(
                "somebody with the code showed another certificate than announced",
                "the code still works; if this was nobody you know, cancel and make a new one",
            )
        return AuthenticationFailed(
            "the other side's certificate is not the one in the code",
            "somebody may be in between: don't go on; ask for a new code over another way",
        )

    def _channel_opened_by_peer(self, channel: RTCDataChannel) -> None:
        if not self._listener or channel.label not in LABELS or channel.label in self._channels:
            self._end(RemoteProtocolError(f"unexpected channel {printable(channel.label[:40])!r}"))
        elif not channel.ordered or (channel.maxRetransmits, channel.maxPacketLifeTime) != (
            None,
            None,
        ):
            self._end(RemoteProtocolError(f"channel {channel.label!r} is not ordered and reliable"))
        else:
            self._add(channel)

    def _add(self, channel: RTCDataChannel) -> None:
        self._channels[channel.label] = AiortcChannel(channel)
        channel.on("open", self._check_open)
        channel.on("close", self._channel_closed)
        self._check_open()

    def _check_open(self) -> None:
        channels = [c._channel for c in self._channels.values()]
        complete = len(channels) == len(LABELS) and all(c.readyState == "open" for c in channels)
        if complete and not self._open.done():
            self._open.set_result(None)

    def _channel_closed(self) -> None:
        self._end(ConnectionFailed("the other side closed the connection"))

    def _dtls_changed(self) -> None:
        if self._dtls.state == "closed":
            self._end(ConnectionFailed("the connection to the other side was lost"))
            # Else its timers send into the void until somebody closes this connection.
            self._sctp.give_up()

    def _rules_broken(self) -> None:
        self._end(RemoteProtocolError("the peer broke the rules of SCTP"))

    def _end(self, reason: DcsendError) -> None:
        for channel in self._channels.values():
            channel.end(reason)
        if not self._open.done():
            self._open.set_exception(reason)
            self._open.exception()  # it is nobody's fault if nobody waits for it

    async def close(self) -> None:
        """Abort the association, say goodbye in DTLS, leave the port; idempotent."""
        if self._stopping is None:
            self._end(ConnectionFailed("the connection is closed"))
            self._stopping = asyncio.create_task(self._stop())
        # Who is cancelled while waiting here must not leave it half closed.
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        for stop in (self._sctp.stop, self._dtls.stop, self._ice.stop):
            with contextlib.suppress(ConnectionError):
                await stop()
