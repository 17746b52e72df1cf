"""The interface of sinks, which receive entries: `Sink`, its plan and its outcomes.

Imports of `files` only the values in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from dcsend.content import Content
from dcsend.entry import Entry
from dcsend.errors import DcsendError, DestinationError
from dcsend.files.present import PresentFile
from dcsend.files.resuming import FoundPart
from dcsend.files.trailing import Checked

__all__ = ["Damage", "Outcome", "Plan", "Sink"]


class Damage(NamedTuple):
    """Bytes of a part that were changed on the disk since an earlier run has received them."""

    number: int
    "Place of the entry in the manifest, from 0."
    start: int
    "Offset of the first byte."
    end: int
    "Offset of the byte after the last."


class Outcome(NamedTuple):
    """The result of one entry."""

    number: int
    "Place of the entry in the manifest, from 0."
    status: str
    '"ok", "mismatch", "failed" or "aborted".'
    where: str = ""
    "Path of the file; empty if it failed, and for folders, links, texts and streams."
    size: int = 0
    "Bytes received."
    sha256: str = ""
    "Of the bytes received, in hex; empty for folders, links and files without content."
    error: DcsendError | None = None
    "The reason if the status is not ok."
    text: bytes | None = None
    "The content of a text; None for other entries."
    kept: bool = False
    "Whether the same file was there already, and has stayed."

    @property
    def saved(self) -> Path | None:
        """The path of the file; None if it failed, and for other kinds of entries."""
        return Path(self.where) if self.where else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sink does not receive of a manifest."""

    skip: dict[int, str] = field(default_factory=dict)
    'The reason for each entry that is not received: "exists", "same", "unsafe" or "unsupported".'
    notes: list[str] = field(default_factory=list)
    "Lines for the user, safe to show."
    stale: list[int] = field(default_factory=list)
    """Entries whose parts of an earlier run are removed first: to make room, or because the file
    has its final name."""
    parts: Mapping[int, FoundPart] = field(default_factory=dict)
    "Parts of earlier runs that are continued, and those of `present`, by number of the entry."
    taken: Sequence[int] = ()
    "Entries whose names are taken, whatever the policy is."
    refusal: DestinationError | None = None
    "With `Existing.REFUSE`: why nothing is received, unless the user chooses another policy."
    present: Mapping[int, PresentFile] = field(default_factory=dict)
    "Existing files whose digests the sender compares, by number of the entry."
    folders: int = 0
    "Folders to create that have no entry; some are counted twice if the manifest is not sorted."

    @property
    def have(self) -> dict[int, int]:
        """Return the bytes that are there of each continued entry, by its number."""
        return {number: part.start for number, part in self.parts.items()}

    def digests(self, most: int) -> list[tuple[int, int, str]]:
        """Return number, offset and SHA-256 of beginnings of these parts, *most* at most."""
        parts = self.parts.items()
        digests = ((number, *digest) for number, part in parts for digest in part.digests)
        return list(itertools.islice(digests, most))


class Sink(Protocol):
    """A destination of received entries."""

    @property
    def kept(self) -> Sequence[str]:
        """Paths of the unfinished files that stay; complete once the sink is closed."""

    @property
    def checking(self) -> Checked | None:
        """How much of what an earlier run has received is verified; None if nothing is to be.

        May be read by another thread.
        """

    @property
    def is_checking(self) -> bool:
        """Whether `finish` would wait for that; may be read by another thread."""

    def take_damage(self) -> Sequence[Damage]:
        """Return what has been found since the last call, while `apply` does not run.

        Each is answered by `Repair` in a portion, or by one without a length, which fails the file;
        so does `finish`.
        """

    def plan(self, entries: Sequence[Entry], unwanted: Container[int] = ()) -> Plan:
        """Examine a manifest before anything is accepted; called once, first.

        Args:
            entries: the manifest.
            unwanted: numbers of the entries that a person does not want.

        Raises:
            DestinationError: nothing can be received.
        """

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """Write *portion* in order and return the entries that have ended.

        Content of an entry that has ended is ignored.

        Args:
            portion: content of entries.
            more: the next portion is available, so that slow operations may continue during the
                next call; the outcomes of such entries are returned by a later call.

        Raises:
            DestinationError: the disk is full or gone; all further calls fail.
            LocalProtocolError: content of an entry that `plan` has not accepted.
        """

    def finish(self) -> list[Outcome]:
        """End the transfer; called once, after the last portion.

        Returns:
            Entries without content, and those that `apply` has not returned.

        Raises:
            DestinationError: the disk is full or gone.
        """

    def close(self) -> list[Outcome]:
        """Release all resources, keeping unfinished parts; may be called at any time.

        Returns:
            Outcomes that `apply` has not returned because it raised.
        """
