"""What a sender has sent, and its receiver has not acknowledged yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from dcsend.protocol.limits import DIGEST, FRAME_HEADER

__all__ = ["InFlight"]


class InFlight:
    """The files that the frames in flight belong to; never more than the window holds."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, int, int]] = deque()
        "Bytes of the window up to the end of the part, number of the file, bytes of content."
        self._sent = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, cost: int, parts: Sequence[tuple[int, int]]) -> None:
        """Note a frame.

        Args:
            cost: bytes of the window that it takes.
            parts: number of each of its files, and the bytes of content that it has of it.
        """
        upto = self._sent + FRAME_HEADER
        self._sent += cost
        for number, payload in parts[:-1]:
            upto += payload + DIGEST
            self._parts.append((upto, number, payload))
        # Not by its length: a frame of one file may have no digest, and a hole no payload.
        self._parts.append((self._sent, *parts[-1]))

    def acknowledge(self, upto: int) -> Iterator[tuple[int, int]]:
        """Remove and yield what is acknowledged: number and bytes of content of each part.

        Args:
            upto: bytes of the window since the beginning.
        """
        while self._parts and self._parts[0][0] <= upto:
            _, number, payload = self._parts.popleft()
            yield number, payload
