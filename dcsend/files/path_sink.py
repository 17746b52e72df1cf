"""The sink for a path that is the name of the only file, or otherwise a folder."""

from __future__ import annotations

from collections.abc import Container, Sequence

from dcsend.entry import Entry
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.sink import Plan
from dcsend.listing import is_one_file

__all__ = ["PathSink"]


class PathSink(DirectorySink):
    """A `Sink` that writes a single file to a path, and anything else into a folder of this path.

    The arguments are those of `DirectorySink`; *root* is the path.
    """

    def plan(self, entries: Sequence[Entry], unwanted: Container[int] = ()) -> Plan:
        """Examine a manifest; see `Sink.plan`."""
        if is_one_file(entries):
            entries = [entries[0]._replace(path=self._root.name)]
            self._root = self._root.parent
            # The user has given the name, so it need not be shown.
            self._unattended = False
        return super().plan(entries, unwanted)
