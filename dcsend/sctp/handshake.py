"""How an association begins: INIT, INIT ACK and the state cookie (RFC 9260, 5.1).

The cookie holds all that an INIT told, signed, so that answering an INIT keeps no state and a peer
can't make one up. Its lifetime is the DTLS session's: nobody else can play it back.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from dcsend.sctp import wire
from dcsend.sctp.wire import Init

__all__ = ["EXTENSIONS", "RARE_SACKS", "Handshake", "Peer"]

RARE_SACKS: Final = 0xBE
"""In a list of supported extensions: one acknowledgement for many packets is enough for this
sender. Not a chunk that anybody sends; who does not know the number passes it over."""
EXTENSIONS: Final = frozenset({wire.RE_CONFIG, wire.FORWARD_TSN, RARE_SACKS})
_STREAMS: Final = 65_535
"All there are; a data channel's id is below (RFC 8831, 6.2)."
_COOKIE: Final = struct.Struct("!LLLLHH??B")
_SIGNATURE: Final = 16
"Bytes of the HMAC-SHA256 that are kept."


@dataclass(frozen=True, slots=True)
class Peer:
    """What the peer said of itself."""

    tag: int
    tsn: int
    "Of its first DATA chunk, as it travels."
    window: int
    streams: int
    "On which we may send."
    zero_checksum: bool
    "Whether packets to it may go without a checksum (RFC 9653)."
    forward_tsn: bool
    re_config: bool
    rare_sacks: bool

    @classmethod
    def of(cls, init: Init) -> Peer:
        """Take what matters of its INIT or INIT ACK."""
        return cls(
            init.tag,
            init.tsn,
            init.window,
            init.inbound,
            init.zero_checksum,
            wire.FORWARD_TSN in init.extensions,
            wire.RE_CONFIG in init.extensions,
            RARE_SACKS in init.extensions,
        )


class Handshake:
    """Our half: tag, first TSN, and the key of our cookies."""

    def __init__(self, window: int, *, bulk: bool, tsn: int | None = None) -> None:
        """Choose them at random.

        Args:
            window: bytes that we take at first, a_rwnd.
            bulk: whether to say that packets need no checksum. Pion before 1.8.9 ends at an INIT
                with a parameter that it does not know, this one among them.
            tsn: the first one, if it is not to be random.
        """
        self.tag = secrets.randbelow(0xFFFFFFFF) + 1
        self.tsn = secrets.randbits(32) if tsn is None else tsn
        self._window = window
        self._bulk = bulk
        self._key = secrets.token_bytes(32)

    def init(self) -> bytes:
        """Return our INIT chunk."""
        return self._chunk(wire.INIT, b"", zero_checksum=self._bulk)

    def init_ack(self, peer: Peer) -> bytes:
        """Return the answer to an INIT."""
        cookie = self._cookie(peer)
        return self._chunk(wire.INIT_ACK, cookie, zero_checksum=self._bulk and peer.zero_checksum)

    def _chunk(self, kind: int, cookie: bytes, *, zero_checksum: bool) -> bytes:
        return Init(
            self.tag,
            min(self._window, 0xFFFFFFFF),
            _STREAMS,
            _STREAMS,
            self.tsn,
            cookie,
            EXTENSIONS,
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
            peer.rare_sacks,
            flags,
        )
        return self._sign(content) + content

    def open_cookie(self, cookie: bytes) -> Peer | None:
        """Return what a cookie of ours holds; None if it is none."""
        signature, content = cookie[:_SIGNATURE], cookie[_SIGNATURE:]
        if len(content) != _COOKIE.size or not hmac.compare_digest(signature, self._sign(content)):
            return None
        _, tag, tsn, window, streams, _, zero, rare, flags = _COOKIE.unpack(content)
        return Peer(tag, tsn, window, streams, zero, bool(flags & 1), bool(flags & 2), rare)

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_SIGNATURE]
