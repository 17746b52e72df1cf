"""Data channels over an association: opening, messages, closing (RFC 8831, 8832), sans-I/O."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dcsend.sctp.association import Association
from dcsend.sctp.events import Ended, Established, Event, Message, Reset
from dcsend.sctp.queue import RELIABLE, Reliability
from dcsend.sctp.reassembly import Violation

__all__ = ["Announced", "Channel", "ChannelState", "Channels", "Parameters"]

_OPEN: Final = 3
_ACK: Final = b"\2"
_OPEN_HEADER: Final = struct.Struct("!BBHLHH")
"Message type, channel type, priority, reliability, lengths of label and protocol."
_PRIORITY: Final = 256
"Normal (RFC 8831, 6.4)."
_UNORDERED: Final = 0x80
_RETRANSMITS: Final = 1
_LIFETIME: Final = 2
"Channel types: how reliable, and whether ordered (RFC 8832, 5.1)."
_MAX_ID: Final = 65_534


class PayloadProtocol(enum.IntEnum):
    """What a message is (RFC 8831, 8)."""

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
class Parameters:
    """What a channel is opened with (W3C `RTCDataChannelInit`)."""

    label: str
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: int | None = None
    "Milliseconds."
    protocol: str = ""
    negotiated: int | None = None
    "Stream id that both sides know; None to announce the channel in-band."

    @property
    def reliability(self) -> Reliability:
        """How its messages are sent."""
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
            raise ValueError(f"a channel can't be opened with this: {exc}") from None
        return head + label + protocol

    @classmethod
    def parse(cls, data: bytes) -> Parameters:
        """Read DATA_CHANNEL_OPEN.

        Raises:
            ValueError: it is none.
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


class Channel:
    """One data channel; its owner sets the `on_…` attributes, called in order."""

    def __init__(self, channels: Channels, parameters: Parameters) -> None:
        self.parameters = parameters
        self.id: int | None = parameters.negotiated
        "Stream id, 0 to 65534; None until the DTLS roles are known."
        self.state = ChannelState.CONNECTING
        self.on_open: Callable[[], None] = _ignore
        self.on_message: Callable[[bytes | str], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        "Something that was queued has left."
        self._channels = channels
        self._reset = set[bool]()
        "By whom its stream has been reset: the peer (True), us (False)."
        self._settled = parameters.negotiated is not None
        "Whether the peer knows the channel: until then all is sent in order (RFC 8832, 6)."

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent (W3C `bufferedAmount`, but for what is in flight)."""
        return self._channels.queued(self)

    def send(self, message: bytes | str, now: float) -> None:
        """Queue a message.

        Raises:
            ValueError: the channel is not open.
            UnicodeEncodeError: the text is none.
        """
        if self.state is not ChannelState.OPEN:
            raise ValueError("the channel is not open")
        self._channels.send(self, message, now)

    def close(self) -> None:
        """Close it, after what is queued; `on_close` comes when the peer has done so, too."""
        if self.state in (ChannelState.CONNECTING, ChannelState.OPEN):
            self.state = ChannelState.CLOSING
            self._channels.reset(self)


@dataclass(frozen=True, slots=True)
class Announced:
    """The peer has opened a channel."""

    channel: Channel


class Channels:
    """All channels of one association."""

    def __init__(
        self, association: Association, *, is_client: bool, announced: Callable[[Channel], None]
    ) -> None:
        """Begin.

        Args:
            association: whose `events` are given to `handle`.
            is_client: the DTLS role, which tells who uses even ids (RFC 8832, 6).
            announced: called with each channel that the peer opens; it is open already.
        """
        self._association = association
        self._announced = announced
        self._ours = 0 if is_client else 1
        self._next = self._ours
        self._channels: dict[int, Channel] = {}
        self._established = False

    def open(self, parameters: Parameters, now: float) -> Channel:
        """Open a channel.

        Raises:
            ValueError: its id is taken, or there is none left.
        """
        channel = Channel(self, parameters)
        opening = parameters.encode()
        if channel.id is None:
            channel.id = self._free_id()
        elif channel.id in self._channels:
            raise ValueError(f"stream {channel.id} is in use")
        self._channels[channel.id] = channel
        if parameters.negotiated is None:
            self._association.send(channel.id, PayloadProtocol.CONTROL, opening, now)
        elif self._established:
            self._opened(channel)
        return channel

    def _free_id(self) -> int:
        while self._next in self._channels:
            self._next += 2
        if self._next > _MAX_ID:
            raise ValueError("no stream is left")
        self._next += 2
        return self._next - 2

    def queued(self, channel: Channel) -> int:
        """Return the bytes of a channel that no packet has taken."""
        return 0 if channel.id is None else self._association.queued(channel.id)

    def send(self, channel: Channel, message: bytes | str, now: float) -> None:
        """Queue a message of a channel that is open."""
        assert channel.id is not None
        if isinstance(message, str):
            kind, data = PayloadProtocol.TEXT, message.encode()
            empty = PayloadProtocol.TEXT_EMPTY
        else:
            kind, data = PayloadProtocol.BINARY, message
            empty = PayloadProtocol.BINARY_EMPTY
        if not data:  # SCTP has no empty messages (RFC 8831, 6.6)
            kind, data = empty, b"\0"
        how = channel.parameters.reliability if channel._settled else RELIABLE
        self._association.send(channel.id, kind, data, now, how)

    def reset(self, channel: Channel) -> None:
        """Ask the peer to forget what comes from us on a channel."""
        assert channel.id is not None
        # Before there is a peer it can't be asked, and may be told of the channel still.
        if self._established and not self._association.reset(channel.id):
            self._closed(channel)

    def room(self) -> None:
        """Tell all channels that packets have left."""
        for channel in list(self._channels.values()):
            channel.on_room()

    # Events

    def handle(self, event: Event, now: float) -> None:
        """Take an event of the association.

        Raises:
            Violation: the peer broke a rule of data channels; `Association.violate` is next.
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
                        self._opened(channel)
            case Reset():
                self._was_reset(event)
            case Ended():
                for channel in list(self._channels.values()):
                    self._closed(channel)

    def _received(self, message: Message, now: float) -> None:
        if message.protocol == PayloadProtocol.CONTROL:
            self._control(message, now)
            self._association.release(len(message.data))
            return
        channel = self._channels.get(message.stream)
        if channel is None or channel.state is not ChannelState.OPEN:
            if channel is not None and channel.state is ChannelState.CONNECTING:
                self._opened(channel)  # its acknowledgement was overtaken
            else:
                self._association.release(len(message.data))
                return
        match message.protocol:
            case PayloadProtocol.BINARY:
                channel.on_message(message.data)
            case PayloadProtocol.TEXT:
                channel.on_message(_text(message.data))
            case PayloadProtocol.TEXT_EMPTY:
                channel.on_message("")
            case PayloadProtocol.BINARY_EMPTY:
                channel.on_message(b"")
            case _:
                self._association.release(len(message.data))

    def _control(self, message: Message, now: float) -> None:
        """Take a message of the establishment protocol."""
        channel = self._channels.get(message.stream)
        if message.data[0] == _ACK[0]:  # Pion's has four bytes
            if channel is not None and channel.parameters.negotiated is None:
                self._opened(channel)
            return
        if message.data[0] != _OPEN:
            return  # of a later version
        if channel is not None and True in channel._reset:
            # Only its answer to our reset is missing: it would not begin again without.
            self._association.assume_reset(message.stream)
            self._closed(channel)
            channel = None
        if channel is not None or message.stream & 1 == self._ours:
            raise Violation("opens a channel on a stream that is not its own, or in use")
        try:
            parameters = Parameters.parse(message.data)
        except ValueError as exc:
            raise Violation(str(exc)) from None
        channel = Channel(self, parameters)
        channel.id = message.stream
        channel.state = ChannelState.OPEN
        channel._settled = True
        self._channels[channel.id] = channel
        self._association.send(channel.id, PayloadProtocol.CONTROL, _ACK, now)
        self._announced(channel)

    def _opened(self, channel: Channel) -> None:
        channel._settled = True
        if channel.state is ChannelState.CONNECTING:
            channel.state = ChannelState.OPEN
            channel.on_open()

    def _was_reset(self, reset: Reset) -> None:
        channel = self._channels.get(reset.stream)
        if channel is None:
            return
        channel._reset.add(reset.by_peer)
        if reset.by_peer:
            channel.close()
        if len(channel._reset) == 2:  # its stream can be used again from now on (RFC 8831, 6.7)
            self._closed(channel)

    def _closed(self, channel: Channel) -> None:
        if channel.id is not None:
            self._channels.pop(channel.id, None)
        if channel.state is not ChannelState.CLOSED:
            channel.state = ChannelState.CLOSED
            channel.on_close()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Violation("a text that is not UTF-8") from None
