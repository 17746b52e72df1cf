"""`dcsend.sctp` over DTLS on asyncio: passes packets, and calls the association in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dcsend.errors import UsageError
from dcsend.sctp.association import Association, Options
from dcsend.sctp.channels import ChannelParameters, DataChannel, DataChannels
from dcsend.sctp.events import Ended
from dcsend.sctp.reassembly import Limits, Violation

if TYPE_CHECKING:
    from dcsend.dtls.transport import DtlsTransport

__all__ = ["SctpTransport"]

logger = logging.getLogger(__name__)


class SctpTransport:
    """The association of one peer connection."""

    def __init__(
        self,
        dtls: DtlsTransport,
        on_violation: Callable[[], None],
        on_channel: Callable[[DataChannel], None],
        *,
        is_client: bool,
        limits: Limits,
        zero_checksum: bool,
    ) -> None:
        """Prepare; `start` sends the first packet.

        Args:
            dtls: the transport of `dcsend.dtls.transport`.
            on_violation: called once, before the channels close, when the peer breaks a rule.
            on_channel: called with each channel that the peer opens. It must set the callbacks of
                the channel before it returns, since messages may follow at once.
            is_client: our role in DTLS.
            limits: limits of the resources that the peer can use.
            zero_checksum: see `dcsend.sctp.association.Options`.
        """
        self._dtls = dtls
        self._on_violation = on_violation
        self._loop = asyncio.get_running_loop()
        self.association = Association(
            Options(limits=limits, zero_checksum=zero_checksum), self._loop.time()
        )
        self._channels = DataChannels(self.association, is_client=is_client, on_channel=on_channel)
        self.is_closed = False
        "Whether the association has ended, for any reason."
        self.is_lost = False
        "Whether it has ended because the peer has not responded."
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged everything that was sent."""
        return self.association.is_drained

    @property
    def round_trip(self) -> float | None:
        """Smoothed round trip in seconds (RFC 9260, 6.3.1); None before the first measurement."""
        return self.association.transmission.round_trip.smoothed

    def now(self) -> float:
        """Return the time in seconds of the loop's clock."""
        return self._loop.time()

    async def start(self, max_message_size: int) -> None:
        """Begin the handshake, over DTLS that is connected.

        Args:
            max_message_size: bytes that the peer accepts in one message; 0 for any number.
        """
        self._channels.max_message_size = max_message_size
        self._dtls.attach(self._receive)
        self.association.associate(self._loop.time())
        self._send()

    def open_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a channel.

        Raises:
            UsageError: the stream id is in use.
        """
        try:
            channel = self._channels.open(parameters, self._loop.time())
        except ValueError as exc:
            raise UsageError(str(exc)) from None
        self.send_soon()
        return channel

    def probe(self, payloads: Sequence[int]) -> None:
        """Find out which of these payloads of a packet, in bytes, reach the peer."""
        self.association.probe(payloads, self._loop.time())
        self.send_soon()

    def release(self, size: int) -> None:
        """Note that the application has taken a message of *size* bytes."""
        self.association.release(size)
        if self.association.needs_sack:
            self.send_soon()

    def resume(self) -> None:
        """Send again at once what is not acknowledged, after an outage: the path works again."""
        self.association.transmission.resume(self._loop.time())
        self.send_soon()

    def move(self, port_only: bool) -> None:
        """Continue on another path; see `Association.move`."""
        self.association.move(self._loop.time(), port_only=port_only)
        self.send_soon()

    def give_up(self) -> None:
        """End, and close all channels, without a packet to the peer."""
        self.association.abort()
        self.association.packets(self._loop.time())
        self._handle_events()

    async def stop(self) -> None:
        """End with ABORT to the peer."""
        self.association.abort()
        self._send()

    def send_soon(self) -> None:
        """Send at the end of this iteration of the event loop, all messages together."""
        if self._soon is None:
            self._soon = self._loop.call_soon(self._send)

    def _receive(self, packets: list[bytes]) -> None:
        now = self._loop.time()
        receive = self.association.receive
        for packet in packets:
            receive(packet, now)
        self._send()

    def _send(self) -> None:
        """Handle expired timers and events, send what may leave, and set the next timer."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        now = self._loop.time()
        association = self.association
        deadline = association.deadline()
        if deadline is not None and deadline <= now:
            association.timeout(now)
        if association.events:
            self._handle_events()
        packets = association.packets(now)
        if packets:
            self._dtls.send_packets(packets)
        self._channels.notify_room()  # also without packets: messages may have expired
        self._set_timer()

    def _handle_events(self) -> None:
        events = self.association.events
        now = self._loop.time()
        while events:
            event = events.popleft()
            if isinstance(event, Ended):
                self._on_end(event)
            try:
                self._channels.handle(event, now)
            except Violation as exc:
                self.association.reject(exc)

    def _on_end(self, event: Ended) -> None:
        self.is_closed = True
        self.is_lost = event.silent
        sending = self.association.transmission
        logger.debug("SCTP ended, %d chunks retransmitted", sending.retransmitted)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if event.violation:
            self._on_violation()

    def _set_timer(self) -> None:
        # A timer that fires too early costs less than a new one for each packet.
        deadline = self.association.deadline()
        if deadline is None or self.is_closed:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._send()
