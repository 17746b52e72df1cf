"""aiortc's SCTP association as a sender: quick while nothing is lost, in packets that fit the path.

aiortc looks through all that is in flight, and starts a timer anew, at each acknowledgement; and
its packets have what every IPv6 path must take, where an Ethernet takes a fifth more. The larger
ones are proven by probes before anything depends on them (RFC 8899, 6.2). What is lost, and what
comes from the peer, is dealt with by aiortc, behind `association`'s guard. With that and `private`
the only user of private names; tests/test_private_names.py fails when one moves.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import Sequence
from typing import Final

from aiortc import RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    USERDATA_MAX_LENGTH,
    Chunk,
    DataChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    SackChunk,
)
from aiortc.utils import uint16_add, uint32_gt
from google_crc32c import value as crc32c

__all__ = ["BASE_PAYLOAD", "BriskSctp", "payloads"]

BASE_PAYLOAD: Final = USERDATA_MAX_LENGTH
"Bytes of a message in one packet that every path takes: 1280 with IPv6, DTLS, SCTP (aiortc's)."
_OVERHEAD: Final = {"IPv4": 20 + 8 + 37 + 12 + 16, "IPv6": 40 + 8 + 37 + 12 + 16}
"Bytes of IP, UDP, DTLS 1.2 with AES-GCM, SCTP's common header and its DATA header."
_ETHERNET: Final = 1500
"The largest MTU that is made use of; aiortc reads no longer records."
_TUNNELS: Final = (1492, 1420)
"MTUs that lie behind an Ethernet and don't show there: PPPoE, WireGuard."
_WORTH: Final = 64
"Bytes more that make a larger packet worth a probe."
_PROBES: Final = (0.0, 0.3, 1.2)
"Seconds between the tries, three for each size (RFC 8899, 5.1.2: MAX_PROBES)."

_RTO_MIN: Final = 0.3
"""Seconds. The RFC's whole second, which aiortc takes, is 8 % of a transfer of 300 MB each time
(measured)."""
_RTO_MAX: Final = 60.0
"Seconds (RFC 9260, 16)."
_SACK_DELAY: Final = 0.2
"Seconds for which a peer may hold an acknowledgement back (RFC 9260, 6.2)."
_BURSTS: Final = (4 * USERDATA_MAX_LENGTH, 2 * USERDATA_MAX_LENGTH)
"""Bytes sent at one acknowledgement, at most (RFC 9260, 6.1, D), and while what was lost is sent
again; as aiortc has it."""

_PLAIN_SACK: Final = struct.Struct("!4sLLHHLLHH")
"Ports, tag, checksum; type and flags, length, cumulative TSN, window, gaps, duplicates."
_COMMON_HEADER: Final = 12
_DATA_HEADER: Final = 16
_CHUNK: Final = struct.Struct("!BBH")
_HEARTBEAT_INFO: Final = 1
_PAD: Final = 0x84
"A chunk that is skipped by who does not know it, too (RFC 4820)."


def payloads(mtu: int | None, family: str) -> list[int]:
    """Return the payloads worth probing, in bytes, largest first; multiples of 4.

    Args:
        mtu: of the route, as far as this machine knows; None if it can't tell.
        family: `IPv4` or `IPv6`.

    >>> payloads(1500, "IPv4"), payloads(1500, "IPv6"), payloads(1280, "IPv6")
    ([1404, 1396, 1324], [1384, 1376, 1304], [])
    """
    most = min(mtu or _ETHERNET, _ETHERNET)
    sizes = {(size - _OVERHEAD[family]) & ~3 for size in (most, *_TUNNELS) if size <= most}
    return sorted((size for size in sizes if size > BASE_PAYLOAD + _WORTH), reverse=True)


class _Probe(HeartbeatChunk):
    """A HEARTBEAT, padded to the length of a packet with so much payload."""

    def __init__(self, token: bytes, payload: int) -> None:
        super().__init__()
        self.params = [(_HEARTBEAT_INFO, token + payload.to_bytes(4))]
        self._length = payload + _DATA_HEADER

    def __bytes__(self) -> bytes:
        """Heartbeat and padding."""
        heartbeat = super().__bytes__()
        pad = self._length - len(heartbeat)
        return heartbeat + _CHUNK.pack(_PAD, 0, pad) + bytes(pad - _CHUNK.size)


class BriskSctp(RTCSctpTransport):
    """Deals with acknowledgements quickly while nothing is lost: most of a sender's work."""

    def __init__(self, transport: RTCDtlsTransport, port: int) -> None:
        super().__init__(transport, port)
        self.payload = BASE_PAYLOAD
        "Bytes of a message in one packet, from the next message on."
        self._token = secrets.token_bytes(8)
        self._sizes: frozenset[int] = frozenset()
        self._probing: asyncio.Task[None] | None = None
        self._resends = False
        "Whether a chunk in flight may have to go again."
        self._running_loop = asyncio.get_running_loop()
        self._t3_due = 0.0
        "When T3 expires, on the loop's clock; its handle may fire before, never after."

    # The size of packets

    def probe(self, sizes: Sequence[int]) -> None:
        """Begin to find out which of these payloads, of `payloads`, reach the peer."""
        self._sizes = frozenset(sizes)
        self._probing = asyncio.create_task(self._probe(sizes))

    async def _probe(self, sizes: Sequence[int]) -> None:
        for pause in _PROBES:
            await asyncio.sleep(pause)
            for size in sizes:
                if size > self.payload and self.state == "connected":
                    await self._send_chunk(_Probe(self._token, size))

    async def _receive_chunk(self, chunk: Chunk) -> None:
        if isinstance(chunk, HeartbeatAckChunk):
            for kind, value in chunk.params:
                size = int.from_bytes(value[-4:])
                if kind == _HEARTBEAT_INFO and value[:-4] == self._token and size in self._sizes:
                    self.payload = max(self.payload, size)
            return
        await super()._receive_chunk(chunk)

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        super()._set_state(state)
        if state is self.State.CLOSED and self._probing is not None:
            self._probing.cancel()

    async def _send(
        self,
        stream_id: int,
        pp_id: int,
        user_data: bytes,
        expiry: float | None = None,
        max_retransmits: int | None = None,
        ordered: bool = True,
    ) -> None:
        """Cut a message into chunks, and send what may go."""
        sequence = self._outbound_stream_seq.get(stream_id, 0) if ordered else 0
        if ordered:
            self._outbound_stream_seq[stream_id] = uint16_add(sequence, 1)
        flags = SCTP_DATA_FIRST_FRAG | (0 if ordered else SCTP_DATA_UNORDERED)
        size = self.payload
        for start in range(0, len(user_data), size):
            chunk = DataChunk(flags)
            flags &= ~SCTP_DATA_FIRST_FRAG
            chunk.tsn = self._local_tsn
            chunk.stream_id = stream_id
            chunk.stream_seq = sequence
            chunk.protocol = pp_id
            chunk.user_data = user_data[start : start + size]
            chunk._abandoned = chunk._acked = chunk._in_flight = chunk._retransmit = False
            chunk._book_size = len(chunk.user_data)
            chunk._expiry = expiry
            chunk._max_retransmits = max_retransmits
            chunk._misses = chunk._sent_count = 0
            chunk._sent_time = None
            self._local_tsn = (self._local_tsn + 1) & 0xFFFFFFFF
            self._outbound_queue.append(chunk)
        chunk.flags |= SCTP_DATA_LAST_FRAG
        await self._transmit()

    # Acknowledgements

    async def _handle_data(self, data: bytes) -> None:
        if len(data) == _PLAIN_SACK.size and data[_COMMON_HEADER] == SackChunk.type:
            _, tag, crc, _, length, cumulative, _, gaps, duplicates = _PLAIN_SACK.unpack(data)
            plain = length == _PLAIN_SACK.size - _COMMON_HEADER and not gaps and not duplicates
            alone = not self._resends and self._fast_recovery_exit is None
            if plain and alone and tag == self._local_verification_tag:
                zeroed = data[:8] + bytes(4) + data[_COMMON_HEADER:]
                if crc.to_bytes(4) == crc32c(zeroed).to_bytes(4, "little"):
                    await self._acknowledge(cumulative)
                    return
        await super()._handle_data(data)

    async def _acknowledge(self, cumulative: int) -> None:
        """Do what `_receive_sack_chunk` does of a SACK that tells of nothing missing."""
        if uint32_gt(self._last_sacked_tsn, cumulative):
            return
        now = time.time()
        self._last_sacked_tsn = cumulative
        is_full = self._flight_size >= self._cwnd
        sent = self._sent_queue
        done = acknowledged = 0
        while sent and (cumulative - sent[0].tsn) & 0xFFFFFFFF < 0x80000000:
            chunk = sent.popleft()
            done += 1
            if not chunk._acked:
                acknowledged += chunk._book_size
            self._flight_size_decrease(chunk)
            if done == 1 and chunk._sent_count == 1 and chunk._sent_time is not None:
                self._update_rto(now - chunk._sent_time)
        if done and is_full:
            self._widen(acknowledged)
        if not sent:
            self._t3_cancel()
        elif done:
            self._t3_restart()
        self._update_advanced_peer_ack_point()
        if self._data_channel_queue and not self._outbound_queue:
            await self._data_channel_flush()
        await self._transmit()

    def _widen(self, acknowledged: int) -> None:
        """Let the congestion window grow (RFC 9260, 7.2.1 and 7.2.2)."""
        if self._cwnd <= self._ssthresh:
            self._cwnd += min(acknowledged, USERDATA_MAX_LENGTH)
            return
        self._partial_bytes_acked += acknowledged
        if self._partial_bytes_acked >= self._cwnd:
            self._partial_bytes_acked -= self._cwnd
            self._cwnd += USERDATA_MAX_LENGTH

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        self._resends = self._resends or bool(chunk.gaps)
        await super()._receive_sack_chunk(chunk)

    async def _transmit(self) -> None:
        if self._resends or self._forward_tsn_chunk is not None:
            await super()._transmit()
            self._resends = any(chunk._retransmit for chunk in self._sent_queue)
            return
        burst = _BURSTS[self._fast_recovery_exit is not None]
        room = min(self._flight_size + burst, self._cwnd)
        now = time.time()
        while self._outbound_queue and self._flight_size < room:
            chunk = self._outbound_queue.popleft()
            self._sent_queue.append(chunk)
            self._flight_size_increase(chunk)
            chunk._sent_count += 1
            chunk._sent_time = now
            await self._send_chunk(chunk)
            if self._t3_handle is None:
                self._t3_start()

    # The retransmission timer, T3

    def _update_rto(self, R: float) -> None:  # noqa: N803 - aiortc's name
        super()._update_rto(R)
        if self._srtt is not None and self._rttvar is not None:
            slack = max(_SACK_DELAY, 4 * self._rttvar)
            self._rto = min(max(_RTO_MIN, self._srtt + slack), _RTO_MAX)

    def _t3_start(self) -> None:
        self._t3_due = self._running_loop.time() + self._rto
        super()._t3_start()

    def _t3_restart(self) -> None:
        due = self._running_loop.time() + self._rto
        if self._t3_handle is not None and self._t3_handle.when() <= due:
            self._t3_due = due  # it looks again when it fires
        else:
            self._t3_cancel()
            self._t3_start()

    def _t3_expired(self) -> None:
        if self._running_loop.time() < self._t3_due:
            self._t3_handle = self._running_loop.call_at(self._t3_due, self._t3_expired)
            return
        self._resends = True
        # RFC 9260, 6.3.3, E2; aiortc does not. What is sent again tells nothing of the round trip
        # (Karn), so that on a path slower than the RTO each packet would expire for ever.
        self._rto = min(2 * self._rto, _RTO_MAX)
        super()._t3_expired()
