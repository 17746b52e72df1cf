"""Data channels over an association (RFC 8831, RFC 8832), without input, output or a clock."""

from __future__ import annotations

import enum
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.association import Association
from dcsend.sctp.events import Ended, Established, Event, Message, Reset
from dcsend.sctp.queue import RELIABLE, Reliability
from dcsend.sctp.reassembly import Violation

__all__ = ["ChannelParameters", "ChannelState", "DataChannel", "DataChannels"]

logger = logging.getLogger(__name__)

_OPEN: Final = 3
_ACK: Final = b"\2"
_OPEN_HEADER: Final = struct.Struct("!BBHLHH")
"Message type, channel type, priority, reliability, lengths of label and protocol."
_PRIORITY: Final = 256
"Normal priority (RFC 8831, 6.4)."
_UNORDERED: Final = 0x80
_RETRANSMITS: Final = 1
_LIFETIME: Final = 2
"Channel types (RFC 8832, 5.1)."
_MAX_ID: Final = 65_534


class PayloadProtocol(enum.IntEnum):
    """Payload protocol identifiers (RFC 8831, 8)."""

    CONTROL = 50
    TEXT = 51
    BINARY = 53
    TEXT_EMPTY = 56
    BINARY_EMPTY = 57


class ChannelState(enum.StrEnum):
    """W3C `RTCDataChannelState`."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ChannelParameters:
    """The parameters of a channel (W3C `RTCDataChannelInit`)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: int | None = None
    "Milliseconds."
    protocol: str = ""
    negotiated: int | None = None
    "Stream id, for a channel that both sides open without DATA_CHANNEL_OPEN; else None."

    @property
    def reliability(self) -> Reliability:
        """Order and reliability of its messages."""
        seconds = None if self.max_lifetime is None else self.max_lifetime / 1000
        return Reliability(self.ordered, self.max_retransmits, seconds)

    def encode(self) -> bytes:
        """Return DATA_CHANNEL_OPEN.

        Raises:
            ValueError: a number or a name is too long for its field.
        """
        kind, value = 0, 0
        if self.max_retransmits is not None:
            kind, value = _RETRANSMITS, self.max_retransmits
        elif self.max_lifetime is not None:
            kind, value = _LIFETIME, self.max_lifetime
        if not self.ordered:
            kind |= _UNORDERED
        label, protocol = self.label.encode(), self.protocol.encode()
        try:
            head = _OPEN_HEADER.pack(_OPEN, kind, _PRIORITY, value, len(label), len(protocol))
        except struct.error as exc:
            raise ValueError(f"invalid channel parameters: {exc}") from None
        return head + label + protocol

    @classmethod
    def parse(cls, data: bytes) -> ChannelParameters:
        """Parse DATA_CHANNEL_OPEN.

        Raises:
            ValueError: it is invalid.
        """
        if len(data) < _OPEN_HEADER.size:
            raise ValueError("DATA_CHANNEL_OPEN is too short")
        _, kind, _, value, label, protocol = _OPEN_HEADER.unpack_from(data)
        names = data[_OPEN_HEADER.size :]
        how = kind & ~_UNORDERED
        if len(names) != label + protocol or how > _LIFETIME:
            raise ValueError("DATA_CHANNEL_OPEN of an unknown form")
        return cls(
            names[:label].decode(),
            not kind & _UNORDERED,
            value if how == _RETRANSMITS else None,
            value if how == _LIFETIME else None,
            names[label:].decode(),
        )


def _ignore(*_: object) -> None:
    pass


class DataChannel:
    """One data channel. The application sets the `on_…` callbacks, which are called in order."""

    def __init__(
        self, channels: DataChannels, parameters: ChannelParameters, number: int, *, by_peer: bool
    ) -> None:
        """Use `DataChannels.open`."""
        self.parameters = parameters
        self.id = number
        "Stream id, 0 to 65534."
        self.state = ChannelState.OPEN if by_peer else ChannelState.CONNECTING
        self.on_open: Callable[[], None] = _ignore
        self.on_message: Callable[[bytes | str, int], None] = _ignore
        """The message, and the bytes for `Association.release`, which allows the peer to send as
        many bytes more."""
        self.on_close: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        "Fewer bytes may be queued than before."
        self.reset_by = set[bool]()
        "The side that has reset the stream: the peer (True) or this side (False)."
        self.is_confirmed = by_peer or parameters.negotiated is not None
        "Whether the peer has the channel. Until then all messages are ordered (RFC 8832, 6)."
        self._channels = channels

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self.state is ChannelState.OPEN

    @property
    def queued(self) -> int:
        """Bytes that no packet has taken yet (W3C `bufferedAmount` without those in flight)."""
        return self._channels.association.queued(self.id)

    def send(self, message: bytes | str, now: float) -> None:
        """Queue a message.

        Raises:
            UnicodeEncodeError: UTF-8 cannot encode the string.
            ValueError: the channel is not open, or the message is longer than
                `DataChannels.max_message_size`.
        """
        if self.state is not ChannelState.OPEN:
            raise ValueError("the channel is not open")
        if isinstance(message, str):
            protocol, data = PayloadProtocol.TEXT, message.encode()
            empty = PayloadProtocol.TEXT_EMPTY
        else:
            protocol, data = PayloadProtocol.BINARY, message
            empty = PayloadProtocol.BINARY_EMPTY
        if len(data) > self._channels.max_message_size > 0:
            raise ValueError("the message is longer than the peer accepts")
        if not data:  # SCTP has no empty messages (RFC 8831, 6.6)
            protocol, data = empty, b"\0"
        how = self.parameters.reliability if self.is_confirmed else RELIABLE
        self._channels.association.send(self.id, protocol, data, now, how)

    def close(self) -> None:
        """Close after the queued messages; `on_close` follows when the peer has closed, too."""
        if self.state in (ChannelState.CONNECTING, ChannelState.OPEN):
            self.state = ChannelState.CLOSING
            logger.debug("channel %s is closing", self.id)
            self._channels.reset(self)

    def opened(self) -> None:
        """Note that the peer has the channel; `DataChannels` calls this."""
        self.is_confirmed = True
        if self.state is ChannelState.CONNECTING:
            self.state = ChannelState.OPEN
            logger.debug("channel %s is open", self.id)
            self.on_open()

    def closed(self) -> None:
        """Note that the channel has ended; `DataChannels` calls this."""
        if self.state is not ChannelState.CLOSED:
            self.state = ChannelState.CLOSED
            logger.debug("channel %s is closed", self.id)
            self.on_close()


class DataChannels:
    """All data channels of one association."""

    def __init__(
        self,
        association: Association,
        *,
        is_client: bool,
        on_channel: Callable[[DataChannel], None] = _ignore,
    ) -> None:
        """Begin.

        Args:
            association: the application passes its `events` to `handle`.
            is_client: the DTLS role; the client uses even stream ids (RFC 8832, 6).
            on_channel: called with each channel that the peer opens; it is open already.
        """
        self.association = association
        self.max_message_size = 0
        "Bytes that the peer accepts in one message (SDP `a=max-message-size`); 0 for any number."
        self._on_channel = on_channel
        self._parity = 0 if is_client else 1
        "Lowest bit of the stream ids that this side chooses."
        self._next = self._parity
        self._channels: dict[int, DataChannel] = {}
        self._established = False

    def open(self, parameters: ChannelParameters, now: float) -> DataChannel:
        """Open a channel.

        Raises:
            ValueError: the stream id is in use, or no id is free.
        """
        opening = parameters.encode()
        number = parameters.negotiated
        if number is None:
            number = self._free_id()
        elif number in self._channels:
            raise ValueError(f"stream {number} is in use")
        channel = self._channels[number] = DataChannel(self, parameters, number, by_peer=False)
        if parameters.negotiated is None:
            self.association.send(number, PayloadProtocol.CONTROL, opening, now)
        elif self._established:
            channel.opened()
        return channel

    def _free_id(self) -> int:
        while self._next in self._channels:
            self._next += 2
        if self._next > _MAX_ID:
            raise ValueError("no stream id is free")
        self._next += 2
        return self._next - 2

    def reset(self, channel: DataChannel) -> None:
        """Reset the stream of a channel, which closes it."""
        # Before the association is established, the reset waits for it.
        if self._established and not self.association.reset(channel.id):
            self._closed(channel)

    def notify_room(self) -> None:
        """Call `on_room` of all channels, after packets have left or messages have expired."""
        for channel in list(self._channels.values()):
            channel.on_room()

    # Events

    def handle(self, event: Event, now: float) -> None:
        """Process an event of the association.

        Raises:
            Violation: the peer violated the data channel protocol; call `Association.reject` with
                it.
        """
        match event:
            case Message():
                self._received(event, now)
            case Established():
                self._established = True
                for channel in list(self._channels.values()):
                    if channel.state is ChannelState.CLOSING:
                        self.reset(channel)
                    elif channel.parameters.negotiated is not None:
                        channel.opened()
            case Reset():
                self._was_reset(event)
            case Ended():
                for channel in list(self._channels.values()):
                    self._closed(channel)

    def _received(self, message: Message, now: float) -> None:
        if message.protocol == PayloadProtocol.CONTROL:
            self._control(message, now)
            self.association.release(len(message.data))
            return
        channel = self._channels.get(message.stream)
        if channel is None or channel.state is not ChannelState.OPEN:
            if channel is not None and channel.state is ChannelState.CONNECTING:
                channel.opened()  # the message has overtaken DATA_CHANNEL_ACK
            else:
                self.association.release(len(message.data))
                return
        size = len(message.data)
        match message.protocol:
            case PayloadProtocol.BINARY:
                channel.on_message(message.data, size)
            case PayloadProtocol.TEXT:
                channel.on_message(_text(message.data), size)
            case PayloadProtocol.TEXT_EMPTY:
                channel.on_message("", size)
            case PayloadProtocol.BINARY_EMPTY:
                channel.on_message(b"", size)
            case _:
                self.association.release(size)

    def _control(self, message: Message, now: float) -> None:
        """Process a message of the Data Channel Establishment Protocol (RFC 8832)."""
        channel = self._channels.get(message.stream)
        if message.data[0] == _ACK[0]:  # Pion sends four bytes
            if channel is not None and channel.parameters.negotiated is None:
                channel.opened()
            return
        if message.data[0] != _OPEN:
            return  # of a later version
        if channel is not None and True in channel.reset_by:
            # The peer uses the id again, so only its response to our request is missing.
            self.association.assume_reset(message.stream)
            self._closed(channel)
            channel = None
        if channel is not None or message.stream & 1 == self._parity:
            raise Violation("DATA_CHANNEL_OPEN on a stream id of the wrong parity, or in use")
        try:
            parameters = ChannelParameters.parse(message.data)
        except ValueError as exc:
            raise Violation(str(exc)) from None
        channel = DataChannel(self, parameters, message.stream, by_peer=True)
        self._channels[channel.id] = channel
        self.association.send(channel.id, PayloadProtocol.CONTROL, _ACK, now)
        logger.debug("channel %s is opened by the peer", channel.id)
        self._on_channel(channel)

    def _was_reset(self, reset: Reset) -> None:
        channel = self._channels.get(reset.stream)
        if channel is None:
            return
        channel.reset_by.add(reset.by_peer)
        if reset.by_peer:
            channel.close()
        if len(channel.reset_by) == 2:  # the id is free from now on (RFC 8831, 6.7)
            self._closed(channel)

    def _closed(self, channel: DataChannel) -> None:
        self._channels.pop(channel.id, None)
        channel.closed()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Violation("a text message is not valid UTF-8") from None
