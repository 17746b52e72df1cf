r"""The journal of a part: the file that it belongs to, and digests of its beginning.

One JSON object per line. The first is the header; each of the others has the SHA-256 of the bytes
[0, offset) of the file. To resume, a run would read the part once, compute the digest, and continue
at the last offset whose digest matches; dcsend can't do that yet. So nothing has to be synced while
the file is received, and a journal with too many lines does no harm.

    {"v":1,"manifest":"3f…","path":"film.mkv","size":104857600,"mtime":1700000000000000}
    {"offset":8388608,"sha256":"9b…"}
    {"offset":16777216,"sha256":"04…"}
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final

from dcsend.entry import Entry
from dcsend.files.disk import close_quietly
from dcsend.files.folder import Folder
from dcsend.files.names import JOURNAL_SUFFIX

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["INTERVAL", "MIN_SIZE", "Journal", "wants_journal"]

VERSION: Final = 1
INTERVAL: Final = 8 << 20
"Bytes between two lines; at most so many are received again after an interruption."
MIN_SIZE: Final = 8 << 20
"Bytes; a smaller file is sent again faster than it is verified."


def wants_journal(entry: Entry) -> bool:
    """Return whether a part of *entry* gets a journal."""
    return entry.size is None or entry.size >= MIN_SIZE


class Journal:
    """The journal of a part that is being written.

    Args:
        folder: the folder of the part.
        name: the final name of the file.
        entry: of the file; its path, size and time are in the first line.
        manifest: `manifest_id` of the whole manifest.

    Raises:
        OSError: the journal can't be created. An old journal or link in its place is removed.
    """

    def __init__(self, folder: Folder, name: str, entry: Entry, manifest: str) -> None:
        self._folder = folder
        self._name = folder.beside(name, JOURNAL_SUFFIX)
        self._next = INTERVAL
        self._last = 0
        folder.remove(self._name)
        self._fd = folder.open(self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        file = {"path": entry.path, "size": entry.size, "mtime": entry.mtime}
        try:
            self._write({"v": VERSION, "manifest": manifest, **file})
        except OSError:
            self.discard()
            raise

    def note(self, position: int, hasher: _Hash) -> None:
        """Write a line if *position* has passed the next multiple of `INTERVAL`."""
        if position >= self._next:
            self._point(position, hasher)
            self._next = position - position % INTERVAL + INTERVAL

    def keep(self, position: int, hasher: _Hash) -> None:
        """Write a line for the end of the part, and close the journal, which stays."""
        try:
            if position > self._last:
                self._point(position, hasher)
        finally:
            close_quietly(self._fd)

    def discard(self) -> None:
        """Close and remove the journal; never raises."""
        close_quietly(self._fd)
        with contextlib.suppress(OSError):
            self._folder.remove(self._name)

    def _point(self, position: int, hasher: _Hash) -> None:
        self._write({"offset": position, "sha256": hasher.hexdigest()})
        self._last = position

    def _write(self, line: dict[str, int | str | None]) -> None:
        os.write(self._fd, json.dumps(line, separators=(",", ":")).encode() + b"\n")
