"""aiortc's SCTP with the interface of dcsend's: the other implementation for tests.

`aiortc_peer` makes a peer of a transfer with it. `python -m tests.support.aiortc_sctp ARGUMENTS`
runs dcsend with it. aiortc does not limit the memory that a peer can use, and a hostile peer can
make it fail, so this is for tests only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiortc import (
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)

from dcsend.dtls.certificate import Certificate
from dcsend.ice.connection import IceConnection
from dcsend.peers.contract import MAX_QUEUED
from dcsend.peers.peer import ConnectionRole, PeerConnection
from dcsend.peers.transfer import TransferConnection
from dcsend.sctp.channels import ChannelParameters

__all__ = ["aiortc_peer"]

_PORT: Final = 5000
_LOW_WATER: Final = 512 * 1024
"Bytes left in a channel's buffer at which there is room for more."


def _ignore(*_: object) -> None:
    pass


class AiortcChannel:
    """One of aiortc's channels, in place of `dcsend.sctp.channels.DataChannel`."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self.parameters = ChannelParameters(channel.label, channel.ordered)
        self._channel = channel
        self.on_open: Callable[[], None] = _ignore
        self.on_message: Callable[[bytes | str, int], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        # Immediately: aiortc drops events without a handler.
        channel.on("open", lambda: self.on_open())
        channel.on("message", lambda message: self.on_message(message, len(message)))
        channel.on("close", lambda: self.on_close())
        channel.on("bufferedamountlow", lambda: self.on_room())
        channel.bufferedAmountLowThreshold = _LOW_WATER

    @property
    def id(self) -> int:
        """Stream id; -1 before it is known."""
        return -1 if self._channel.id is None else int(self._channel.id)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return bool(self._channel.readyState == "open")

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return int(self._channel.bufferedAmount)

    def send(self, message: bytes | str, now: float) -> None:
        """Queue a message."""
        self._channel.send(message)


class AiortcTransport:
    """aiortc's association, in place of `dcsend.peers.sctp_transport.SctpTransport`."""

    is_lost = False
    round_trip = None
    "aiortc has no public name for it."

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        on_violation: Callable[[], None],
        on_channel: Callable[[AiortcChannel], None],
        **_: object,
    ) -> None:
        """Prepare; what limits a hostile peer is not supported."""
        self._sctp = RTCSctpTransport(dtls, _PORT)
        self._sctp.on("datachannel", lambda channel: on_channel(AiortcChannel(channel)))

    def now(self) -> float:
        """Return any number: aiortc has a clock of its own."""
        return 0.0

    async def start(self, max_message_size: int) -> None:
        """Begin."""
        await self._sctp.start(RTCSctpCapabilities(max_message_size), _PORT)

    def open_channel(self, parameters: ChannelParameters) -> AiortcChannel:
        """Open a channel of a transfer."""
        return AiortcChannel(
            RTCDataChannel(self._sctp, RTCDataChannelParameters(label=parameters.label))
        )

    def probe(self, payloads: Sequence[int]) -> None:
        """Do nothing: aiortc's packets have one size."""

    def send_soon(self) -> None:
        """Do nothing: aiortc sends at once."""

    def release(self, size: int) -> None:
        """Do nothing: aiortc's window does not follow what the application has taken."""

    def resume(self) -> None:
        """Wait for aiortc's own timer."""

    def move(self, port_only: bool) -> None:
        """Wait for aiortc's own timer, which keeps its estimates."""

    def give_up(self) -> None:
        """Do nothing: `stop` follows."""

    async def stop(self) -> None:
        """Abort the association."""
        await self._sctp.stop()


class _AiortcTransfer(TransferConnection):
    """The three channels of a transfer, over aiortc's SCTP."""

    transport_type = AiortcTransport  # type: ignore[assignment]


def aiortc_peer(
    ice: IceConnection,
    certificate: Certificate,
    role: ConnectionRole,
    *,
    max_queued: int = MAX_QUEUED,
) -> TransferConnection:
    """Make a connection with the three channels of a transfer."""
    return _AiortcTransfer(ice, certificate, role, max_queued=max_queued)


if __name__ == "__main__":
    from dcsend.cli import main

    PeerConnection.transport_type = AiortcTransport  # type: ignore[assignment]
    main()
