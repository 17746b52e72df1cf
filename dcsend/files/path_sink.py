"""The sink for a path that is the name of the only file, or otherwise a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dcsend.content import Content
from dcsend.entry import Entry, Existing
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.sink import Outcome, Plan
from dcsend.listing import is_one_file

__all__ = ["PathSink"]


class PathSink:
    """A `Sink` that writes a single file to a path, and anything else into a folder of this path.

    Args:
        path: of the file, or of the folder.
        existing: what to do about names that are taken.
        unattended: the names are accepted without being shown to a person.
    """

    def __init__(self, path: Path, *, existing: Existing, unattended: bool = False) -> None:
        self._path = Path(os.path.abspath(path))
        self._existing = existing
        self._sink = self._folder_sink(self._path, unattended=unattended)

    @property
    def kept(self) -> Sequence[str]:
        """Paths of the unfinished files that stay; see `Sink.kept`."""
        return self._sink.kept

    def plan(self, entries: Sequence[Entry]) -> Plan:
        """Examine a manifest; see `Sink.plan`."""
        if is_one_file(entries):
            entries = [entries[0]._replace(path=self._path.name)]
            # The user has given the name, so it need not be shown.
            self._sink = self._folder_sink(self._path.parent, unattended=False)
        return self._sink.plan(entries)

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """Write *portion*; see `Sink.apply`."""
        return self._sink.apply(portion, more=more)

    def finish(self) -> list[Outcome]:
        """End the transfer; see `Sink.finish`."""
        return self._sink.finish()

    def close(self) -> list[Outcome]:
        """Release all resources; see `Sink.close`."""
        return self._sink.close()

    def _folder_sink(self, folder: Path, *, unattended: bool) -> DirectorySink:
        return DirectorySink(folder, existing=self._existing, unattended=unattended)
