"""The handshake: INIT, INIT ACK and the state cookie (RFC 9260, 5.1).

The cookie contains the parameters of an INIT and an HMAC, so that answering an INIT needs no state
and a peer cannot forge one. The cookie does not expire: DTLS prevents replay by a third party.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.wire import Init

__all__ = ["BULK_EXTENSION", "EXTENSIONS", "Handshake", "Peer"]

BULK_EXTENSION: Final = wire.PART
"""The chunk type by which a stack announces the bulk extension of dcsend: it joins PART chunks
(`parts`), accepts packets as large as the path MTU and bursts of 256 KiB, and needs one SACK only
for all packets that were read together."""
EXTENSIONS: Final = frozenset({wire.RE_CONFIG, wire.FORWARD_TSN, BULK_EXTENSION})
"The chunk types in the parameter Supported Extensions (RFC 5061, 4.2.7)."
_STREAMS: Final = 65_535
"Streams in each direction; the highest id of a data channel is 65,534 (RFC 8831, 6.2)."
_COOKIE: Final = struct.Struct("!LLLLHH??B")
_COMPLETE_INITS: Final = 2
_SIGNATURE: Final = 16
"Bytes of the HMAC-SHA256 in a cookie."


@dataclass(frozen=True, slots=True)
class Peer:
    """The parameters that the peer has sent."""

    tag: int
    tsn: int
    "TSN of its first DATA chunk, 32 bits."
    window: int
    streams: int
    "Streams on which we may send."
    zero_checksum: bool
    "Whether packets to it need no checksum (RFC 9653)."
    forward_tsn: bool
    re_config: bool
    bulk_extension: bool
    "See `BULK_EXTENSION`."

    @classmethod
    def of(cls, init: Init) -> Peer:
        """Return the parameters of its INIT or INIT ACK."""
        return cls(
            init.tag,
            init.tsn,
            init.window,
            init.inbound,
            init.zero_checksum,
            wire.FORWARD_TSN in init.extensions,
            wire.RE_CONFIG in init.extensions,
            BULK_EXTENSION in init.extensions,
        )


class Handshake:
    """Our tag, first TSN, and the key of our cookies."""

    def __init__(
        self,
        window: int,
        *,
        zero_checksum: bool,
        extensions: frozenset[int] = EXTENSIONS,
        tsn: int | None = None,
    ) -> None:
        """Choose them at random.

        Args:
            window: the first a_rwnd, in bytes.
            zero_checksum: whether to announce that packets need no checksum.
            extensions: the chunk types to announce.
            tsn: the first TSN; None for a random one.
        """
        self.tag = secrets.randbelow(0xFFFFFFFF) + 1
        self.tsn = secrets.randbits(32) if tsn is None else tsn
        self._window = window
        self._zero_checksum = zero_checksum
        self._extensions = extensions
        self._key = secrets.token_bytes(32)
        self._inits = 0

    def init(self) -> bytes:
        """Return our INIT chunk; each call after the first is a retransmission.

        Pion before 1.8.9 drops an INIT with a parameter that it does not support, whatever the
        highest bits of its type are, so the third INIT and those after it have common parameters
        only. The second is complete, since it is often the first that reaches a peer whose SCTP
        starts late.
        """
        self._inits += 1
        return self._chunk(
            wire.INIT, b"", zero_checksum=self._zero_checksum and self._inits <= _COMPLETE_INITS
        )

    def init_ack(self, peer: Peer) -> bytes:
        """Return the INIT ACK for an INIT."""
        cookie = self._cookie(peer)
        return self._chunk(
            wire.INIT_ACK, cookie, zero_checksum=self._zero_checksum and peer.zero_checksum
        )

    def _chunk(self, kind: int, cookie: bytes, *, zero_checksum: bool) -> bytes:
        return Init(
            self.tag,
            min(self._window, 0xFFFFFFFF),
            _STREAMS,
            _STREAMS,
            self.tsn,
            cookie,
            self._extensions,
            zero_checksum,
        ).encode(kind)

    def _cookie(self, peer: Peer) -> bytes:
        flags = peer.forward_tsn | peer.re_config << 1
        content = _COOKIE.pack(
            self.tag,
            peer.tag,
            peer.tsn,
            min(peer.window, 0xFFFFFFFF),
            peer.streams,
            0,
            peer.zero_checksum,
            peer.bulk_extension,
            flags,
        )
        return self._sign(content) + content

    def open_cookie(self, cookie: bytes) -> Peer | None:
        """Return the parameters in a cookie; None if this side has not made it."""
        signature, content = cookie[:_SIGNATURE], cookie[_SIGNATURE:]
        if len(content) != _COOKIE.size or not hmac.compare_digest(signature, self._sign(content)):
            return None
        _, tag, tsn, window, streams, _, zero, ours, flags = _COOKIE.unpack(content)
        return Peer(tag, tsn, window, streams, zero, bool(flags & 1), bool(flags & 2), ours)

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_SIGNATURE]
