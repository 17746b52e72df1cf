"""The position and the running digest of one file that is being received.

Every sink uses it. It checks order and size again although `protocol` did, because a wrong offset
here would corrupt the file. Uses no disk. Imports nothing else of `files`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from dcsend.content import End
from dcsend.entry import Entry
from dcsend.errors import IntegrityError
from dcsend.printable import printable

__all__ = ["MAX_TEXT", "Intake", "TextIntake", "zeros"]

MAX_TEXT: Final = 1 << 20
"Bytes of a text entry, which is kept in memory."

_ZEROS: Final = bytes(1 << 20)


def zeros(length: int) -> Iterator[bytes | memoryview]:
    """Yield *length* zero bytes as views of one block of 1 MiB.

    >>> [len(block) for block in zeros((1 << 20) + 5)]
    [1048576, 5]
    """
    for _ in range(length // len(_ZEROS)):
        yield _ZEROS
    if rest := length % len(_ZEROS):
        yield memoryview(_ZEROS)[:rest]


class Intake:
    """The position and the digest of one file.

    Args:
        entry: of the manifest.
    """

    __slots__ = ("entry", "hasher", "position")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.hasher = hashlib.sha256()
        self.position = 0
        "Bytes received: the offset that must come next."

    def check(self, offset: int, length: int) -> None:
        """Refuse bytes that are out of order or exceed the announced size.

        Raises:
            IntegrityError: they are, or do.
        """
        if offset != self.position:
            raise IntegrityError(
                f"{self._shown}: received offset {offset}, expected {self.position}"
            )
        if self.entry.size is not None and offset + length > self.entry.size:
            size = self.entry.size
            raise IntegrityError(f"{self._shown}: received more than the {size} bytes announced")

    def count(self, payload: bytes | memoryview) -> None:
        """Add bytes that have been written."""
        self.hasher.update(payload)
        self.position += len(payload)

    def count_zeros(self, length: int) -> None:
        """Add *length* zero bytes."""
        for block in zeros(length):
            self.hasher.update(block)
        self.position += length

    def mismatch(self, end: End) -> IntegrityError | None:
        """Compare the received content with *end*; return None if they agree."""
        if end.size != self.position or self.entry.size not in (None, self.position):
            return IntegrityError(
                f"{self._shown}: received {self.position} bytes, the sender sent {end.size}"
            )
        if end.digest != self.hasher.digest():
            return IntegrityError(
                f"{self._shown}: the SHA-256 of the received bytes differs from the sender's"
            )
        return None

    @property
    def sha256(self) -> str:
        """The digest of the received bytes, in hex; empty while it is not known."""
        return self.hasher.hexdigest()

    @property
    def _shown(self) -> str:
        return printable(self.entry.path)


class TextIntake(Intake):
    """A text entry of at most `MAX_TEXT` bytes, kept in memory."""

    __slots__ = ("content",)

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self.content = bytearray()

    def write(self, payload: bytes | memoryview) -> None:
        """Append *payload*, which `check` has accepted."""
        self.content += payload
        self.count(payload)

    def skip(self, length: int) -> None:
        """Append *length* zero bytes."""
        self.content += bytes(length)
        self.count_zeros(length)
