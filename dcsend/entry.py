"""One thing in a transfer, and what to do when its name is taken: plain values of every layer.

A leaf: imports only the standard library, so that `protocol` and `files` can share
it without importing each other.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

__all__ = ["Entry", "Existing", "Kind"]


class Kind(enum.StrEnum):
    """What an entry is."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    "A symbolic link; sent as a link only when the sender asked for it."
    TEXT = "text"
    "A snippet to show, never saved."


class Entry(NamedTuple):
    """One file, directory, symbolic link or text of a manifest.

    A tuple, of which there may be a million: a frozen dataclass takes three times as long to make.
    """

    path: str
    "Relative, components joined by `/`; as the peer said it, not yet judged safe."
    kind: Kind = Kind.FILE
    size: int | None = 0
    "Bytes; None for a stream whose length nobody knows yet; 0 for directories and links."
    mode: int = 0o644
    "Permission bits, 0 to 0o777."
    mtime: int | None = None
    "Microseconds since 1970-01-01 UTC (fits a JavaScript number until the year 2255)."
    target: str = ""
    "Where a link points; empty otherwise."
    stored: int | None = None
    "Bytes allocated on the sender's disk, if fewer than `size` (a sparse file)."


class Existing(enum.StrEnum):
    """What to do with a file whose name is already taken at the destination."""

    REFUSE = "refuse"
    "Take nothing at all, and say so; the default: nothing is ever lost."
    OVERWRITE = "overwrite"
    RENAME = "rename"
    "Keep both: `name (1).ext`."
    SKIP = "skip"
    "Keep the one that is there."
