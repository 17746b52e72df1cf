"""The common header of packets: ports, verification tags and checksums."""

from __future__ import annotations

from collections.abc import Sequence

from dcsend.sctp import wire
from dcsend.sctp.probing import BASE_PAYLOAD

__all__ = ["Framing"]


class Framing:
    """Checks the common header of received packets, and writes ours."""

    def __init__(self, ports: tuple[int, int], tag: int, *, zero_checksum: bool) -> None:
        """Begin before the tag of the peer is known.

        Args:
            ports: ours and the peer's.
            tag: ours, which the peer's packets must have.
            zero_checksum: whether packets may arrive without a checksum, as we have offered (RFC
                9653).
        """
        self._ports = ports
        self._tag = tag
        self._zero_checksum = zero_checksum
        self._peer_tag = 0
        self._checksums = True
        self._head = b""
        "The common header of a packet without a checksum."

    def set_peer(self, tag: int, *, checksums: bool) -> None:
        """Use the peer's tag from now on, and checksums if the peer requires them."""
        self._peer_tag = tag
        self._checksums = checksums
        self._head = wire.packet(self._ports, tag, b"", checksum=False)

    def accepts(self, data: bytes) -> bool:
        """Return whether a packet belongs to this association and is intact."""
        if len(data) < wire.COMMON.size + wire.HEADER.size:
            return False
        source, destination, tag, checksum = wire.COMMON.unpack_from(data)
        kind = data[12]
        if (destination, source) != self._ports or (
            tag != self._tag and not self._has_valid_tag(kind, data[13], tag)
        ):
            return False
        # INIT and COOKIE ECHO always have a checksum (RFC 9653, 5.2).
        if not checksum and self._zero_checksum and kind not in (wire.INIT, wire.COOKIE_ECHO):
            return True
        return wire.has_checksum(data)

    def _has_valid_tag(self, kind: int, flags: int, tag: int) -> bool:
        """Return whether a tag other than ours is allowed (RFC 9260, 8.5.1)."""
        if kind == wire.INIT:
            return tag == 0
        reflected = kind in (wire.ABORT, wire.SHUTDOWN_COMPLETE) and flags & wire.REFLECTED
        return bool(reflected and tag) and tag == self._peer_tag

    def bundle(self, chunks: Sequence[bytes]) -> list[bytes]:
        """Return packets with these control chunks, of a size that every path takes."""
        contents: list[bytes] = []
        for chunk in chunks:
            if contents and len(contents[-1]) + len(chunk) <= BASE_PAYLOAD:
                contents[-1] += chunk
            else:
                contents.append(chunk)
        # The agreement on checksums begins after the handshake.
        begins = (wire.INIT, wire.COOKIE_ECHO)
        return [self._packet(c, checksum=self._checksums or c[0] in begins) for c in contents]

    def packets(self, contents: Sequence[bytes]) -> list[bytes]:
        """Return a packet for each content."""
        if self._checksums:
            return [self._packet(content, checksum=True) for content in contents]
        head = self._head
        return [head + content for content in contents]

    def _packet(self, content: bytes, *, checksum: bool) -> bytes:
        return wire.packet(self._ports, self._peer_tag, content, checksum=checksum)
