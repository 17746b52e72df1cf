"""The content of entries, in order: the protocol reads it from frames, a sink writes it.

A leaf module: imports only the standard library. `protocol` and `files` share it and do not import
each other. The types are tuples, because there may be a million values and creating a frozen
dataclass takes three times as long.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Abort", "Content", "Data", "End", "Hole", "Repair", "Restart"]


class Data(NamedTuple):
    """Bytes of a file."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    payload: bytes | memoryview
    "May be a view of the received message."
    cost: int = 0
    "Bytes of the window to acknowledge when the content is written."


class Hole(NamedTuple):
    """A run of zero bytes, which take no room on the disk."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    length: int
    "Bytes, at least 1."
    cost: int = 0
    "See `Data`."


class End(NamedTuple):
    """The last bytes of a file, often none, and the digest of all of them."""

    number: int
    "Place of the entry in the manifest, from 0."
    size: int
    "Bytes of the whole file, *payload* included."
    digest: bytes
    "SHA-256 of the whole file, 32 bytes, as the sender computed it."
    payload: bytes | memoryview = b""
    "The last bytes; of a small file all bytes."
    cost: int = 0
    "See `Data`."

    @property
    def offset(self) -> int:
        """Bytes from the start of the file to *payload*."""
        return self.size - len(self.payload)


class Abort(NamedTuple):
    """The sender has given the file up."""

    number: int
    "Place of the entry in the manifest, from 0."
    reason: str
    "From the sender; not safe to show."
    cost: int = 0
    "See `Data`."


class Restart(NamedTuple):
    """The sender has another file than the receiver has a part of: it follows from its start."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file that the receiver has, which are of no use."
    cost: int = 0
    "See `Data`."


class Repair(NamedTuple):
    """Bytes of a part that were changed on the disk, as the sender has them."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    length: int
    "Bytes; 0 if the sender does not send the rest of the range."
    payload: bytes | memoryview = b""
    "Empty for zeros."
    cost: int = 0
    "See `Data`."


Content = Data | Hole | End | Abort | Restart | Repair
