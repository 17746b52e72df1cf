"""An entry of a manifest, and the policies for existing files; plain values for all layers.

A leaf: imports only the standard library, so that `protocol` and `files` can share
it without importing each other.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

__all__ = ["NOTHING", "Chosen", "Entry", "Existing", "Kind", "LeftOut"]


class Kind(enum.StrEnum):
    """The kind of an entry."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    "A symbolic link; sent as a link only with `--links`."
    TEXT = "text"
    "A text to show, which is not saved."


class Entry(NamedTuple):
    """One file, directory, symbolic link or text of a manifest.

    A named tuple, because there may be a million: creating a frozen dataclass takes three times as
    long.
    """

    path: str
    "Relative, components joined by `/`; as received, before `files.names.safe_path`."
    kind: Kind = Kind.FILE
    size: int | None = 0
    "Bytes; None for a stream of unknown length; 0 for directories and links."
    mode: int = 0o644
    "Permission bits, 0 to 0o777."
    mtime: int | None = None
    "Microseconds since 1970-01-01 UTC (fits a JavaScript number until the year 2255)."
    target: str = ""
    "The target of a link; empty otherwise."
    stored: int | None = None
    "Bytes allocated on the sender's disk, if fewer than `size` (a sparse file)."


class LeftOut(NamedTuple):
    """Numbers of files that a sender found and does not offer, without those of `--exclude`."""

    links: int = 0
    "Symbolic links, which are not sent without `--links`."
    others: int = 0
    "Sockets, pipes and devices inside a folder, which can't be sent."
    unreadable: int = 0
    "Files that could not be read, or whose names can't be sent."

    def as_json(self) -> dict[str, int]:
        """Return the numbers as in a Manifest message and in the events of `--json`."""
        return self._asdict()


NOTHING: Final = LeftOut()
"Nothing is left out."


class Existing(enum.StrEnum):
    """What to do with a file that exists at the destination."""

    REFUSE = "refuse"
    "Refuse the whole offer; the default."
    OVERWRITE = "overwrite"
    RENAME = "rename"
    "Keep both: the new one is saved as `name (1).ext`."
    SKIP = "skip"
    "Keep the existing file; the new one is not received."


class Chosen(NamedTuple):
    """An answer to an offer: a part of it is accepted."""

    unwanted: frozenset[int]
    "Numbers of the entries that are not received."
    existing: Existing | None = None
    "What to do about existing files; None: as the settings have it."
