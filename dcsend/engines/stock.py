"""aiortc's SCTP, to compare with and to fall back to, behind a guard: a peer may break it, not us.

Who gets here has shown the secret and the certificate, and may be hostile still. aiortc asserts
what a peer sends, reads some lengths as they come, and keeps all that can't be delivered
yet. With `private` the only user of private names; tests/test_private_names.py fails when one
moves.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from typing import Final

from aiortc import (
    InvalidStateError,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcsctptransport import DataChunk, ForwardTsnChunk, SackChunk

from dcsend.engines.transport import DataChannel
from dcsend.errors import ConnectionFailed, UsageError
from dcsend.sctp.channels import Parameters

__all__ = ["GuardedSctp", "StockTransport"]

_logger = logging.getLogger(__name__)

_MAX_STREAM: Final = 32
"Stream ids of a transfer stay below: its three channels get 0 to 5 (RFC 8832, 6)."
_MAX_HELD: Final = 4 * 1024 * 1024
"""Bytes that wait for others before them. We advertise 1 MiB; a sender may overrun that a
little, and one message of each channel may be half there."""
_MAX_CHUNKS: Final = 8192
"Chunks that wait, of one stream or out of order: 1 MiB are 900 full ones."
_MAX_GAPS: Final = 65_536
"Sum of the gaps in one SACK; aiortc walks through each TSN of them."

_CHUNK: Final = struct.Struct("!BBH")
_PARAMETER: Final = struct.Struct("!HH")
_LENGTHS: Final = struct.Struct("!HH")
_OPEN: Final = 12
"Bytes of DATA_CHANNEL_OPEN before the label (RFC 8832, 5.1); the lengths are the last of them."
_FIRST_CHUNK: Final = 12
_PORT: Final = 5000
"As every browser says in `a=sctp-port` (RFC 8841)."
_LOW_WATER: Final = 512 * 1024
"Bytes left in a channel's buffer when it tells that there is room."
_PARAMETERS: Final = {1: 20, 2: 20, 4: 4, 5: 4, 6: 4, 9: 4, 130: 4}
"Chunk type (RFC 9260, 3.2; RFC 6525) -> where its parameters start."


class GuardedSctp(RTCSctpTransport):
    """Ends, instead of raising or growing, when the peer breaks a rule."""

    def __init__(
        self,
        transport: RTCDtlsTransport,
        port: int,
        broken: Callable[[], None],
        *,
        max_streams: int | None = None,
    ) -> None:
        """Wrap *transport*.

        Args:
            transport: DTLS, with its role.
            port: our SCTP port.
            broken: called once, before the channels close.
            max_streams: None for the channels of a transfer, few and reliable; otherwise how many
                streams the peer may use, whatever their ids; it may then give messages up.
        """
        super().__init__(transport, port)
        self._broken = broken
        self._is_broken = False
        self._max_streams = max_streams

    @property
    def drained(self) -> bool:
        """Whether the peer has acknowledged all that was sent."""
        return not (self._data_channel_queue or self._outbound_queue or self._sent_queue)

    def give_up(self) -> None:
        """Stop all timers and close all channels, without a word to the peer."""
        self._set_state(self.State.CLOSED)

    async def _handle_data(self, data: bytes) -> None:
        if self._is_broken:
            return
        try:
            _check_parameters(data)
            await super()._handle_data(data)
            if 1024 * 1024 - self._advertised_rwnd > _MAX_HELD:
                raise ValueError("too many bytes wait for a missing chunk")
            if len(self._sack_misordered) > _MAX_CHUNKS:
                raise ValueError("too many chunks out of order")
            if len(self._inbound_streams) > (self._max_streams or _MAX_STREAM):
                raise ValueError("too many streams")
        except ConnectionError:
            raise
        except Exception:  # assertions, struct.error, KeyError: all of it the peer's doing
            _logger.debug("the peer broke the rules of SCTP", exc_info=True)
            self._is_broken = True
            self._broken()
            self.give_up()

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        if self._max_streams is None and chunk.stream_id >= _MAX_STREAM:
            raise ValueError("a stream that nobody needs")
        await super()._receive_data_chunk(chunk)
        stream = self._inbound_streams.get(chunk.stream_id)
        if stream is not None and len(stream.reassembly) > _MAX_CHUNKS:
            raise ValueError("a message of too many chunks")

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        lengths = [last - first + 1 for first, last in chunk.gaps]
        if min(lengths, default=1) < 1 or sum(lengths) > _MAX_GAPS:
            raise ValueError("a SACK with more gaps than there are chunks")
        await super()._receive_sack_chunk(chunk)

    async def _receive_forward_tsn_chunk(self, chunk: ForwardTsnChunk) -> None:
        if self._max_streams is None:
            raise ValueError("FORWARD-TSN, but all channels are reliable")
        await super()._receive_forward_tsn_chunk(chunk)

    def _data_channel_open(self, channel: RTCDataChannel) -> None:
        super()._data_channel_open(channel)
        # aiortc 1.16 counts the characters of label and protocol; RFC 8832, 5.1 has bytes.
        _, kind, message = self._data_channel_queue.pop()
        sizes = _LENGTHS.pack(len(channel.label.encode()), len(channel.protocol.encode()))
        mended = message[: _OPEN - _LENGTHS.size] + sizes + message[_OPEN:]
        self._data_channel_queue.append((channel, kind, mended))


def _check_parameters(data: bytes) -> None:
    """Refuse a parameter that is shorter than its own header: aiortc would never get past it."""
    position = _FIRST_CHUNK
    while position + _CHUNK.size <= len(data):
        kind, _, length = _CHUNK.unpack_from(data, position)
        if length < _CHUNK.size:
            return  # aiortc drops the packet
        if kind in _PARAMETERS:
            end = min(position + length, len(data))
            at = position + _PARAMETERS[kind]
            while at + _PARAMETER.size <= end:
                _, size = _PARAMETER.unpack_from(data, at)
                if size < _PARAMETER.size:
                    raise ValueError("a parameter without end")
                at += size + -size % 4
        position += length + -length % 4


def _ignore(*_: object) -> None:
    pass


class StockChannel:
    """One of aiortc's channels; see `transport.DataChannel`."""

    def __init__(self, channel: RTCDataChannel, parameters: Parameters) -> None:
        self._channel = channel
        self.parameters = parameters
        self.on_open: Callable[[], None] = _ignore
        self.on_message: Callable[[bytes | str], None] = _ignore
        self.on_close: Callable[[], None] = _ignore
        self.on_room: Callable[[], None] = _ignore
        # At once: aiortc keeps nothing for a handler that comes later.
        channel.on("open", lambda: self.on_open())
        channel.on("message", lambda message: self.on_message(message))
        channel.on("close", lambda: self.on_close())
        channel.on("bufferedamountlow", lambda: self.on_room())
        channel.bufferedAmountLowThreshold = _LOW_WATER

    @property
    def id(self) -> int | None:
        """Stream id; None if it is not known yet."""
        return None if self._channel.id is None else int(self._channel.id)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return bool(self._channel.readyState == "open")

    @property
    def queued(self) -> int:
        """Bytes that wait to be sent."""
        return int(self._channel.bufferedAmount)

    def send(self, message: bytes | str) -> None:
        """Queue a message, as `DataChannel.send` says."""
        try:
            self._channel.send(message)
        except InvalidStateError:
            raise ConnectionFailed(f"the channel {self._channel.label!r} is closed") from None
        except UnicodeEncodeError:
            raise UsageError("the message has bytes in it that are no text") from None
        except ValueError:
            raise UsageError(
                "the message is longer than the other side takes", "send less at once"
            ) from None

    def taken(self, message: bytes | str) -> None:
        """Do nothing: aiortc's window does not follow what the application has taken."""

    def close(self) -> None:
        """Close it, after what is queued."""
        self._channel.close()


class StockTransport:
    """aiortc's association; see `transport.DataTransport`."""

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        broken: Callable[[], None],
        *,
        max_streams: int | None = None,
    ) -> None:
        """Prepare; arguments as `GuardedSctp` has them."""
        self.on_channel: Callable[[DataChannel], None] = _ignore
        self._sctp = GuardedSctp(dtls, _PORT, broken, max_streams=max_streams)
        self._sctp.on("datachannel", self._channel_announced)

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, for whatever reason."""
        return bool(self._sctp.state == "closed")

    @property
    def is_drained(self) -> bool:
        """Whether the peer has acknowledged all that was sent."""
        return self._sctp.drained

    @property
    def round_trip(self) -> float | None:
        """Smoothed round trip in seconds; None if none was measured."""
        return self._sctp._srtt

    async def start(self, max_message_size: int) -> None:
        """Begin, as `DataTransport.start` says."""
        await self._sctp.start(RTCSctpCapabilities(max_message_size), _PORT)

    def open_channel(self, parameters: Parameters) -> StockChannel:
        """Open a channel, as `DataTransport.open_channel` says."""
        wanted = RTCDataChannelParameters(
            label=parameters.label,
            ordered=parameters.ordered,
            maxRetransmits=parameters.max_retransmits,
            maxPacketLifeTime=parameters.max_lifetime,
            protocol=parameters.protocol,
            negotiated=parameters.negotiated is not None,
            id=parameters.negotiated,
        )
        try:
            channel = RTCDataChannel(self._sctp, wanted)
        except ValueError:
            raise UsageError(f"the stream id {parameters.negotiated} is taken") from None
        return StockChannel(channel, parameters)

    def probe(self, payloads: Sequence[int]) -> None:
        """Do nothing: aiortc's packets have one size."""

    def give_up(self) -> None:
        """End without a word to the peer."""
        self._sctp.give_up()

    async def stop(self) -> None:
        """Abort: end, and tell the peer."""
        await self._sctp.stop()

    def _channel_announced(self, channel: RTCDataChannel) -> None:
        parameters = Parameters(
            channel.label,
            channel.ordered,
            channel.maxRetransmits,
            channel.maxPacketLifeTime,
            channel.protocol,
        )
        self.on_channel(StockChannel(channel, parameters))
