"""A peer over aiortc: its ICE, DTLS and SCTP through the ORTC objects, without the channels.

`RTCPeerConnection` is not used: it makes its own certificate and its own sockets. What
channels there are is for the classes that build on this one: `aiortc` has the three of a transfer,
`talk` whatever comes. Loads aiortc, so it is loaded only where `loading` has done that.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from aiortc import (
    InvalidStateError,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCIceParameters,
)
from OpenSSL import SSL

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.engines import consent, dtls, private
from dcsend.engines.base import Path, Route
from dcsend.engines.bulk import BulkTransport
from dcsend.engines.certificate import Certificate
from dcsend.engines.ice import IceConnection
from dcsend.engines.stock import StockTransport
from dcsend.engines.transport import DataChannel, DataTransport
from dcsend.engines.udp import UdpPort
from dcsend.errors import AuthenticationFailed, ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.sctp.reassembly import Limits

__all__ = ["PeerConnection", "Remote", "Role"]


@dataclass(frozen=True, slots=True)
class Remote:
    """What one side must know of the other to connect."""

    ufrag: str
    password: str
    fingerprint: bytes
    "SHA-256 of the DTLS certificate; 32 bytes."
    max_message_size: int = MAX_MESSAGE_SIZE
    "Bytes that it takes in one message; 0 for any number."


@dataclass(frozen=True, slots=True)
class Role:
    """What this side does of the things that only one side does."""

    published: bool
    "Whether this side published the dial code, which the errors are about."
    dtls_server: bool
    "Whether the other side begins the handshake."
    opens: bool
    "Whether this side opens the channels."
    stock: bool = False
    "Whether aiortc's own SCTP is used instead of ours."


class PeerConnection:
    """ICE, DTLS and SCTP to one peer, from the first check to the end."""

    def __init__(
        self,
        ice: IceConnection,
        certificate: Certificate,
        role: Role,
        *,
        limits: Limits,
        bulk: bool,
    ) -> None:
        """Prepare; nothing is sent before `establish`.

        Args:
            ice: of `private.muxed_connection`.
            certificate: whose fingerprint the peer knows.
            role: which of the two sides this is.
            limits: what the peer may cost.
            bulk: whether this is for a transfer: packets without checksums where both can do
                without, channels that are few and reliable.
        """
        self._role = role
        self._ice_connection = ice
        self._ice = private.ice_transport(ice)
        self._dtls = dtls.dtls_transport(ice, self._ice, certificate, server=role.dtls_server)
        self._sctp: DataTransport
        if role.stock:
            streams = None if bulk else limits.streams
            self._sctp = StockTransport(self._dtls, self._rules_broken, max_streams=streams)
        else:
            self._sctp = BulkTransport(
                self._dtls,
                self._rules_broken,
                is_client=not role.dtls_server,
                limits=limits,
                bulk=bulk,
            )
        self._stopping: asyncio.Task[None] | None = None
        self.owned: UdpPort | None = None
        "A port that is for this connection alone, and is closed after it."
        self._dtls.on("statechange", self._dtls_changed)
        self._sctp.on_channel = self._channel_opened_by_peer

    @property
    def route(self) -> Route:
        """The nominated pair, seen from here."""
        remote = private.remote_address(self._ice_connection)
        host, relayed = remote or ("", False)
        return Route(
            path=Path.RELAYED if relayed else Path.DIRECT,
            family="IPv6" if ":" in host else "IPv4" if host else "",
            remote=host,
            rtt=self._sctp.round_trip,
        )

    async def establish(self, remote: Remote) -> None:
        """Connect; return when the channels that belong to it are open.

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
        if not self._role.dtls_server:
            # A client speaks first. What is here already is for somebody who had this port before.
            self._ice_connection.drop_queued()
        fingerprint = remote.fingerprint.hex(":").upper()
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", fingerprint)]))
        if self._dtls.state != "connected":
            raise self._handshake_error(remote.fingerprint)
        # No await in between: a packet that comes before SCTP listens is lost, for 3 s.
        await self._sctp.start(remote.max_message_size)
        await self._open_channels(remote)

    def _handshake_error(self, fingerprint: bytes) -> DcsendError:
        if not dtls.peer_certificate_differs(self._dtls, fingerprint):
            return ConnectionFailed("the encrypted connection could not be set up")
        if self._role.published:
            return AuthenticationFailed(
                "somebody with the code showed another certificate than announced",
                "the code still works; if this was nobody you know, cancel and make a new one",
            )
        return AuthenticationFailed(
            "the other side's certificate is not the one in the code",
            "somebody may be in between: don't go on; ask for a new code over another way",
        )

    async def _open_channels(self, remote: Remote) -> None:
        """Open what channels there are to be, and wait for them."""
        raise NotImplementedError

    def _channel_opened_by_peer(self, channel: DataChannel) -> None:
        """Take a channel, which is open; synchronously, or its first messages are lost."""
        raise NotImplementedError

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        """Let everything that waits raise *reason*; the first one counts.

        Args:
            reason: why.
            orderly: whether one of the sides wanted it.
        """
        raise NotImplementedError

    def _dtls_changed(self) -> None:
        if self._dtls.state == "closed":
            self._end(self._lost())
            # Else its timers send into the void until somebody closes this connection.
            self._sctp.give_up()

    def _lost(self) -> ConnectionFailed:
        """Return why DTLS is closed though nobody here has closed it."""
        if self._ice_connection.expired:
            seconds = consent.EXPIRES
            message = f"the other side has been silent for {seconds:.0f} s"
        else:
            message = "the connection to the other side was lost"
        return ConnectionFailed(message, "run it again on both sides")

    def _rules_broken(self) -> None:
        self._end(RemoteProtocolError("the peer broke the rules of SCTP"))

    async def close(self) -> None:
        """Abort the association, say goodbye in DTLS, leave the port; idempotent."""
        if self._stopping is None:
            self._end(ConnectionFailed("the connection is closed"), orderly=True)
            self._stopping = asyncio.create_task(self._stop())
        # Who is cancelled while waiting here must not leave it half closed.
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            for stop in (self._sctp.stop, self._dtls.stop, self._ice.stop):
                with contextlib.suppress(ConnectionError):
                    await stop()
        finally:
            if self.owned is not None:
                await self.owned.close()
