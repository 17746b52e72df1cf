"""A connection to one peer: ICE and DTLS of aiortc (its ORTC objects), SCTP of `dcsend.sctp`.

`RTCPeerConnection` is not used, because it makes its own certificate and sockets. A subclass
defines the channels: `transfer` has the three of a transfer. This module imports aiortc, so it is
imported only after `loading` has done that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from aiortc import (
    InvalidStateError,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCIceParameters,
)
from OpenSSL import SSL

from dcsend.description import MAX_MESSAGE_SIZE
from dcsend.dtls import transport
from dcsend.dtls.certificate import Certificate
from dcsend.errors import AuthenticationFailed, ConnectionFailed, DcsendError, RemoteProtocolError
from dcsend.ice import agent, consent
from dcsend.ice.connection import IceConnection
from dcsend.net.address import Address
from dcsend.net.udp import UdpPort
from dcsend.peers.contract import ConnectionLost, Path, Route
from dcsend.peers.sctp_transport import SctpTransport
from dcsend.sctp.channels import DataChannel
from dcsend.sctp.reassembly import Limits

__all__ = ["ConnectionRole", "PeerConnection", "Remote"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remote:
    """The parameters of the peer that are needed to connect."""

    ufrag: str
    password: str
    fingerprint: bytes
    "SHA-256 of the DTLS certificate; 32 bytes."
    max_message_size: int = MAX_MESSAGE_SIZE
    "Bytes that it accepts in one message; 0 for any number."


@dataclass(frozen=True, slots=True)
class ConnectionRole:
    """The parts of connecting that only one side has."""

    published: bool
    "Whether this side published the dial code; chooses the texts of errors."
    dtls_server: bool
    "Whether this side is the server of DTLS: the peer begins the handshake."
    opens: bool
    "Whether this side opens the channels."


class PeerConnection:
    """ICE, DTLS and SCTP to one peer, from the first connectivity check to the end."""

    transport_type = SctpTransport
    "The implementation of SCTP; tests of interoperability set another one."

    def __init__(
        self,
        ice: IceConnection,
        certificate: Certificate,
        role: ConnectionRole,
        *,
        limits: Limits,
        zero_checksum: bool,
    ) -> None:
        """Prepare; nothing is sent before `establish`.

        Args:
            ice: the connection of an `IceEndpoint`.
            certificate: of this side.
            role: which of the two sides this is.
            limits: limits of the resources that the peer can use.
            zero_checksum: see `dcsend.sctp.association.Options`.
        """
        self._role = role
        self.ice = ice
        self._ice_transport = agent.ice_transport(ice)
        self.dtls = transport.dtls_transport(
            ice, self._ice_transport, certificate, server=role.dtls_server
        )
        self.sctp = self.transport_type(
            self.dtls,
            self._on_violation,
            self._on_channel,
            is_client=not role.dtls_server,
            limits=limits,
            zero_checksum=zero_checksum,
        )
        ice.when_resumed(self.sctp.resume)
        ice.when_moved(self.sctp.move)
        self._stopping: asyncio.Task[None] | None = None
        self.port: UdpPort | None = None
        "A port that only this connection uses; see `own`."
        self.dtls.on("statechange", self._on_dtls_state)

    @property
    def route(self) -> Route:
        """The nominated candidate pair, as seen from this side."""
        remote = agent.remote_address(self.ice)
        host, relayed = remote or ("", False)
        return Route(
            path=Path.RELAYED if relayed else Path.DIRECT,
            family="IPv6" if ":" in host else "IPv4" if host else "",
            remote=host,
            rtt=self.sctp.round_trip,
        )

    @property
    def address(self) -> Address | None:
        """The address of the peer that is in use; None before the first and after the last one."""
        pair = agent.nominated(self.ice)
        return None if pair is None else pair.remote_addr

    @property
    def received_at(self) -> float:
        """When an authentic datagram of the peer last arrived; see `IceConnection.received_at`."""
        return self.ice.received_at

    async def establish(self, remote: Remote) -> None:
        """Connect; return when the channels are open.

        Raises:
            ConnectionFailed: no pair of addresses works, or the connection broke.
            AuthenticationFailed: the peer's certificate is not the expected one.
            RemoteProtocolError: the peer broke a rule of SCTP, or opened other channels.
        """
        try:
            await self._establish(remote)
        except (ConnectionError, InvalidStateError, SSL.Error):
            raise ConnectionFailed("the connection was lost while it was set up") from None

    async def _establish(self, remote: Remote) -> None:
        await self._ice_transport.start(RTCIceParameters(remote.ufrag, remote.password))
        logger.debug("ICE is %s", self._ice_transport.state)
        if self._ice_transport.state != "completed":
            raise ConnectionFailed("no answer from any address of the other side")
        if not self._role.dtls_server:
            # The client sends first, so packets that are queued now were for an earlier connection.
            self.ice.drop_queued()
        fingerprint = remote.fingerprint.hex(":").upper()
        await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", fingerprint)]))
        logger.debug("DTLS is %s, %s", self.dtls.state, self.route)
        if self.dtls.state != "connected":
            raise self._handshake_error(remote.fingerprint)
        # No await before this: INIT of the peer would be lost, and repeated after 3 s only.
        await self.sctp.start(remote.max_message_size)
        await self._open_channels(remote)

    def _handshake_error(self, fingerprint: bytes) -> DcsendError:
        if not transport.peer_certificate_differs(self.dtls, fingerprint):
            return ConnectionFailed("the encrypted connection could not be set up")
        if self._role.published:
            return AuthenticationFailed(
                "a device that has the code presented another certificate than it announced",
                "the code still works; if you do not know that device, cancel and make a new code",
            )
        return AuthenticationFailed(
            "the other side's certificate is not the one in the code",
            "an attacker may be between the two sides: stop, and ask for a new code another way",
        )

    async def _open_channels(self, remote: Remote) -> None:
        """Open the channels of this connection, and wait until they are open."""
        raise NotImplementedError

    def _on_channel(self, channel: DataChannel) -> None:
        """Accept a channel that the peer has opened; set its callbacks before returning."""
        raise NotImplementedError

    def _end(self, reason: DcsendError, *, orderly: bool = False) -> None:
        """Let every waiting call raise *reason*; only the first call has an effect.

        Args:
            reason: why the connection ends.
            orderly: whether one of the sides closed it.
        """
        raise NotImplementedError

    def _on_dtls_state(self) -> None:
        if self.dtls.state == "closed":
            logger.debug("DTLS is closed")
            self._end(self._lost())
            # Otherwise SCTP sends retransmissions until the connection is closed.
            self.sctp.give_up()

    def _lost(self) -> ConnectionFailed:
        """Return why DTLS has closed, which this side did not do."""
        if self.ice.expired:
            seconds = consent.EXPIRES
            message = f"the other side has been silent for {seconds:.0f} s"
        else:
            message = "the connection to the other side was lost"
        kind = ConnectionFailed if self.dtls.is_closed_by_peer else ConnectionLost
        return kind(message, "run it again on both sides")

    def _on_violation(self) -> None:
        self._end(RemoteProtocolError("the peer violated the SCTP protocol"))

    def own(self, port: UdpPort) -> None:
        """Let `close` close this port, too: only this connection uses it."""
        self.port = port

    async def close(self) -> None:
        """Send ABORT and close_notify, and leave the port; idempotent."""
        if self._stopping is None:
            logger.debug("the connection is closed by this side")
            self._end(ConnectionFailed("the connection is closed"), orderly=True)
            self._stopping = asyncio.create_task(self._stop())
        # A cancelled caller must not leave the connection half closed.
        await asyncio.shield(self._stopping)

    async def discard(self) -> None:
        """Close without a datagram to the peer, which uses another connection from now on."""
        self.ice.mute()
        await self.close()

    async def _stop(self) -> None:
        try:
            for stop in (self.sctp.stop, self.dtls.stop, self._ice_transport.stop):
                with contextlib.suppress(ConnectionError):
                    await stop()
        finally:
            if self.port is not None:
                await self.port.close()
