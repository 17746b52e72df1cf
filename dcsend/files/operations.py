"""What a sink is told to do and what it answers; plain values, no disk.

Must not import the rest of `files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeAlias

from dcsend.entry import Entry, Existing
from dcsend.errors import DcsendError

__all__ = [
    "Abort",
    "End",
    "Existing",
    "Hole",
    "Operation",
    "Outcome",
    "Plan",
    "Sink",
    "Write",
]


class Write(NamedTuple):
    """Bytes of a file."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    payload: bytes | memoryview


class Hole(NamedTuple):
    """A run of zeros that need no room on the disk."""

    number: int
    "Place of the entry in the manifest, from 0."
    offset: int
    "Bytes from the start of the file."
    length: int
    "Bytes, at least 1."


class End(NamedTuple):
    """The last bytes of a file, if it has any, and what all of them should be."""

    number: int
    "Place of the entry in the manifest, from 0."
    size: int
    "Bytes of the whole file."
    digest: bytes
    "SHA-256 of the whole file, as the sender computed it."
    payload: bytes | memoryview = b""
    "The last bytes; all of them where the file is small."


class Abort(NamedTuple):
    """The sender gave the file up."""

    number: int
    "Place of the entry in the manifest, from 0."
    reason: str
    "In the sender's words; not yet safe to show."


Operation: TypeAlias = Write | Hole | End | Abort


class Outcome(NamedTuple):
    """How one entry ended."""

    number: int
    "Place of the entry in the manifest, from 0."
    status: str
    '"ok", "mismatch", "failed" or "aborted".'
    where: str = ""
    "Its path now; empty unless ok, and for folders, links, texts and streams."
    size: int = 0
    "Bytes received."
    sha256: str = ""
    "Of the bytes received, in hex; empty for directories, links and what failed early."
    error: DcsendError | None = None
    "Why it is not ok."
    text: bytes | None = None
    "What a text entry said; None for everything else."

    @property
    def saved(self) -> Path | None:
        """Where it is now; None unless ok, and for folders, links, texts and streams."""
        return Path(self.where) if self.where else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sink will not take, known before the first byte."""

    skip: dict[int, str] = field(default_factory=dict)
    'Number of each entry not wanted -> "exists", "unsafe" or "unsupported".'
    notes: list[str] = field(default_factory=list)
    "Lines for a person, safe to show."


class Sink(Protocol):
    """Where received entries go."""

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Judge a manifest before anything is accepted; called once, first.

        Raises:
            DestinationError: nothing of it can be received as asked.
        """

    def apply(self, batch: Sequence[Operation], *, more: bool = False) -> list[Outcome]:
        """Carry out *batch* in order and return the entries that have ended.

        Operations for an entry that has ended already are ignored.

        Args:
            batch: what to do.
            more: the next batch is there already, so that what takes time may go on beside
                it: such entries are returned by a later call.

        Raises:
            DestinationError: the disk is full or gone; no further call succeeds.
            LocalProtocolError: an operation for an entry that `plan` did not let in.
        """

    def finish(self) -> list[Outcome]:
        """Do what must wait until every file is there; call once, after the last batch.

        Returns:
            Entries without content, and what `apply` has put off.

        Raises:
            DestinationError: the disk is full or gone.
        """

    def close(self) -> list[Outcome]:
        """Let go of everything, keeping unfinished parts; may be called at any time.

        Returns:
            Outcomes that no `apply` could return, because it raised.
        """
