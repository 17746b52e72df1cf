"""What has arrived of one file: how far, and its running digest.

Shared by everything that receives. Checks the order and the size again although the
protocol did: a wrong offset here would be a corrupt file. Touches no disk. Must import
nothing else of `files` but `operations`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from dcsend.entry import Entry
from dcsend.errors import IntegrityError
from dcsend.files.operations import End
from dcsend.printable import printable

__all__ = ["MAX_TEXT", "Intake", "TextIntake", "zeros"]

MAX_TEXT: Final = 1 << 20
"Bytes of a text entry, which is kept in memory."

_ZEROS: Final = bytes(1 << 20)


def zeros(length: int) -> Iterator[bytes | memoryview]:
    """Yield *length* zero bytes in blocks of at most 1 MiB, without making them anew.

    >>> [len(block) for block in zeros((1 << 20) + 5)]
    [1048576, 5]
    """
    for _ in range(length // len(_ZEROS)):
        yield _ZEROS
    if rest := length % len(_ZEROS):
        yield memoryview(_ZEROS)[:rest]


class Intake:
    """The position and the digest of one file that is arriving."""

    __slots__ = ("entry", "hasher", "position")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.hasher = hashlib.sha256()
        self.position = 0
        "Bytes that have arrived: the offset that must come next."

    def check(self, offset: int, length: int) -> None:
        """Refuse bytes that are out of order or more than were promised.

        Raises:
            IntegrityError: they are.
        """
        if offset != self.position:
            raise IntegrityError(f"{self._shown}: byte {self.position} was due, byte {offset} came")
        if self.entry.size is not None and offset + length > self.entry.size:
            size = self.entry.size
            raise IntegrityError(f"{self._shown}: more came than the {size} bytes announced")

    def count(self, payload: bytes | memoryview) -> None:
        """Note bytes that have been written."""
        self.hasher.update(payload)
        self.position += len(payload)

    def count_zeros(self, length: int) -> None:
        """Note a run of zeros."""
        for block in zeros(length):
            self.hasher.update(block)
        self.position += length

    def mismatch(self, end: End) -> IntegrityError | None:
        """Compare what came with what was sent; None if they are the same."""
        if end.size != self.position or self.entry.size not in (None, self.position):
            return IntegrityError(f"{self._shown}: {self.position} bytes came, not {end.size}")
        if end.digest != self.hasher.digest():
            return IntegrityError(
                f"{self._shown}: the digest of what came is not that of what was sent"
            )
        return None

    @property
    def _shown(self) -> str:
        return printable(self.entry.path)


class TextIntake(Intake):
    """A text entry, kept in memory; `plan` has let in none above `MAX_TEXT`."""

    __slots__ = ("content",)

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self.content = bytearray()

    def write(self, payload: bytes | memoryview) -> None:
        """Keep *payload*, which `check` has let pass."""
        self.content += payload
        self.count(payload)

    def skip(self, length: int) -> None:
        """Keep a run of zeros."""
        self.content += bytes(length)
        self.count_zeros(length)
