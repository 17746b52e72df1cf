"""Bytes of a fuzzer, taken from the front, as a script of what to do."""

from __future__ import annotations

__all__ = ["Script"]


class Script:
    """Bytes, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        """Return the next byte; 0 at the end."""
        return self.take(1)[0] if self else 0

    def take(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        self._at += size
        return self._data[self._at - size : self._at]

    def piece(self) -> bytes:
        """Return bytes, their number in the next two bytes; fewer at the end."""
        return self.take(self.byte() << 8 | self.byte())

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data))

    def text(self) -> str:
        """Return the rest as text; bytes that are not UTF-8 become lone surrogates."""
        return self.rest().decode("utf-8", "surrogateescape")
