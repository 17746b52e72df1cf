"""Our SCTP (`dcsend.sctp`) over DTLS, on asyncio: packets, the clock, one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dcsend.errors import ConnectionFailed, UsageError
from dcsend.sctp.association import Association, Options
from dcsend.sctp.channels import Channel, Channels, ChannelState, Parameters
from dcsend.sctp.events import Ended
from dcsend.sctp.reassembly import Limits, Violation

if TYPE_CHECKING:
    from dcsend.engines.dtls import Dtls
    from dcsend.engines.transport import DataChannel

__all__ = ["BulkTransport"]


def _ignore(*_: object) -> None:
    pass


class _BulkChannel:
    """A channel that knows the time, and who has to send."""

    def __init__(self, transport: BulkTransport, channel: Channel) -> None:
        self._transport = transport
        self._channel = channel
        self.on_open: Callable[[], None] = _ignore
        self.on_message: Callable[[bytes | str], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        # Looked up when it happens: the owner sets ours after this.
        channel.on_open = lambda: self.on_open()
        channel.on_message = lambda message: self.on_message(message)
        channel.on_close = lambda: self.on_close()
        channel.on_room = lambda: self.on_room()

    @property
    def parameters(self) -> Parameters:
        """What it was opened with."""
        return self._channel.parameters

    @property
    def id(self) -> int | None:
        """Stream id; None if it is not known yet."""
        return self._channel.id

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._channel.state is ChannelState.OPEN

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return self._channel.queued

    def send(self, message: bytes | str) -> None:
        """Queue a message, as `DataChannel.send` says."""
        self._transport.send(self._channel, message)

    def taken(self, message: bytes | str) -> None:
        """Note that a message waits no more."""
        size = len(message) if isinstance(message, bytes) else len(message.encode())
        self._transport.release(size or 1)  # an empty one travels as a byte

    def close(self) -> None:
        """Close it, after what is queued."""
        self._channel.close()
        self._transport.soon()


class BulkTransport:
    """The association of one peer connection; see `transport.DataTransport`."""

    def __init__(
        self,
        dtls: Dtls,
        broken: Callable[[], None],
        *,
        is_client: bool,
        limits: Limits,
        bulk: bool,
    ) -> None:
        """Prepare.

        Args:
            dtls: of `private`.
            broken: called once, before the channels close, when the peer breaks a rule.
            is_client: our role in DTLS.
            limits: what the peer may cost.
            bulk: see `dcsend.sctp.association.Options`.
        """
        self.on_channel: Callable[[DataChannel], None] = _ignore
        self._dtls = dtls
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        self._association = Association(Options(limits=limits, bulk=bulk), self._loop.time())
        self._channels = Channels(
            self._association, is_client=is_client, announced=self._channel_announced
        )
        self._largest = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return self._closed

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged all that was sent."""
        return self._association.is_drained

    @property
    def round_trip(self) -> float | None:
        """Smoothed round trip in seconds; None if none was measured."""
        return self._association.transmission.round_trip.smoothed

    async def start(self, max_message_size: int) -> None:
        """Begin, as `DataTransport.start` says."""
        self._largest = max_message_size
        self._dtls.attach(self._received)
        self._association.associate(self._loop.time())
        self._go_on()

    def open_channel(self, parameters: Parameters) -> _BulkChannel:
        """Open a channel, as `DataTransport.open_channel` says."""
        try:
            channel = self._channels.open(parameters, self._loop.time())
        except ValueError as exc:
            raise UsageError(str(exc)) from None
        self.soon()
        return _BulkChannel(self, channel)

    def probe(self, payloads: Sequence[int]) -> None:
        """Find out which payloads reach the peer."""
        self._association.probe(payloads, self._loop.time())
        self.soon()

    def send(self, channel: Channel, message: bytes | str) -> None:
        """Queue a message, as `DataChannel.send` says."""
        try:
            size = len(message) if isinstance(message, bytes) else len(message.encode())
        except UnicodeEncodeError:
            raise UsageError("the message has bytes in it that are no text") from None
        if self._largest and size > self._largest:
            raise UsageError("the message is longer than the other side takes", "send less at once")
        if channel.state is not ChannelState.OPEN:
            raise ConnectionFailed(f"the channel {channel.parameters.label!r} is closed")
        channel.send(message, self._loop.time())
        self.soon()

    def release(self, size: int) -> None:
        """Note that a message of so many bytes was taken."""
        self._association.release(size)
        if self._association.has_news:
            self.soon()

    def give_up(self) -> None:
        """End without a word to the peer."""
        self._association.abort()
        self._association.packets(self._loop.time())
        self._handle_events()

    async def stop(self) -> None:
        """Abort: end, and tell the peer."""
        self._association.abort()
        self._go_on()

    def soon(self) -> None:
        """Send in this turn of the loop, all at once."""
        if self._soon is None:
            self._soon = self._loop.call_soon(self._go_on)

    def _received(self, packets: list[bytes]) -> None:
        now = self._loop.time()
        receive = self._association.receive
        for packet in packets:
            receive(packet, now)
        self._go_on()

    def _go_on(self) -> None:
        """Deal with what has happened, send what may go, wait for what comes next."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        now = self._loop.time()
        association = self._association
        deadline = association.deadline()
        if deadline is not None and deadline <= now:
            association.timeout(now)
        if association.events:
            self._handle_events()
        packets = association.packets(now)
        if packets:
            self._dtls.send_packets(packets)
        self._channels.room()  # in any case: messages may have expired, too
        self._set_timer()

    def _handle_events(self) -> None:
        events = self._association.events
        now = self._loop.time()
        while events:
            event = events.popleft()
            if isinstance(event, Ended):
                self._ended(event)
            try:
                self._channels.handle(event, now)
            except Violation as exc:
                self._association.violate(exc)

    def _ended(self, event: Ended) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if event.violation:
            self._broken()

    def _set_timer(self) -> None:
        """Wake up in time. A timer that fires too early is cheaper than a new one each time."""
        deadline = self._association.deadline()
        if deadline is None or self._closed:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._go_on()

    def _channel_announced(self, channel: Channel) -> None:
        self.on_channel(_BulkChannel(self, channel))
