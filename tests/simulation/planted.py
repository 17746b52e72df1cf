"""Defects that the simulation must find."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from unittest import mock

from dcsend.content import End
from dcsend.entry import Entry
from dcsend.files import journal, resuming
from dcsend.files.entry_table import EntryTable
from dcsend.files.folder import Folder
from dcsend.files.folder_writer import FolderWriter
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.intake import Intake, TextIntake
from dcsend.files.journal import Point
from dcsend.files.present import KeptFile
from dcsend.files.trailing import Trailing
from dcsend.protocol.receiver import Receiver
from dcsend.session.lasting_channel import LastingChannel

__all__ = ["DEFECTS", "planted"]

_Replacement = tuple[Any, str, object]


def _name_before_content() -> list[_Replacement]:
    """A file gets its final name without a sync."""
    return [(IncomingFile, "sync", IncomingFile.finish)]


def _verdict_before_name() -> list[_Replacement]:
    """A file is reported as complete when its digest matches."""
    compare = FolderWriter._compare

    def early(self: FolderWriter, end: End, file: IncomingFile | KeptFile | TextIntake) -> None:
        compare(self, end, file)
        if isinstance(file, IncomingFile) and not self.table.has_ended(end.number):
            self.table.succeed(end.number, file.folder.path_of(file._name), file)

    def once(
        self: EntryTable,
        number: int,
        where: str,
        intake: Intake | None = None,
        *,
        kept: bool = False,
    ) -> None:
        if not self.has_ended(number):
            succeed(self, number, where, intake, kept=kept)

    succeed = EntryTable.succeed
    return [(FolderWriter, "_compare", early), (EntryTable, "succeed", once)]


def _receipts_twice() -> list[_Replacement]:
    """A message that is under way when a connection takes over counts as received."""
    receive = LastingChannel.receive

    async def twice(self: LastingChannel) -> bytes | str:
        owner = self._owner
        link = owner.link
        message = await receive(self)
        if owner.link is not link:
            self.received += 1
        return message

    return [(LastingChannel, "receive", twice)]


def _complete_early() -> list[_Replacement]:
    """Complete is sent before the last verdicts."""
    flush = Receiver._flush

    def late(self: Receiver) -> None:
        if not self._ledger.all_verdicts_given:
            flush(self)

    return [(Receiver, "_flush", late)]


def _resume_beyond_line() -> list[_Replacement]:
    """A part is continued at its end, and not at the last line of its journal."""
    points = journal.find_points
    point = journal.find_point

    def beyond(found: Point | None, size: int) -> Point | None:
        return None if found is None else found._replace(offset=size, start=found.offset)

    def find_points(folder: Folder, name: str, entry: Entry, size: int) -> Sequence[Point]:
        found = points(folder, name, entry, size)
        last = beyond(found[-1], size) if found else None
        return [*found, last] if last is not None else found

    def find_point(folder: Folder, name: str, entry: Entry, size: int) -> Point | None:
        return beyond(point(folder, name, entry, size), size)

    return [(resuming, "find_points", find_points), (journal, "find_point", find_point)]


def _no_comparison() -> list[_Replacement]:
    """Digests of the journal are not compared."""

    def pass_(self: Trailing, position: int) -> None:
        if self._next is not None and position == self._next.offset:
            self._advance_point()
        self._position = position

    return [(Trailing, "_pass", pass_)]


DEFECTS: Final[Mapping[str, Callable[[], list[_Replacement]]]] = {
    "name-before-content": _name_before_content,
    "verdict-before-name": _verdict_before_name,
    "receipts-twice": _receipts_twice,
    "complete-early": _complete_early,
    "resume-beyond-line": _resume_beyond_line,
    "no-comparison": _no_comparison,
}
"By name."


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant a defect; none for an empty name."""
    with contextlib.ExitStack() as stack:
        for place, attribute, value in DEFECTS[name]() if name else ():
            stack.enter_context(mock.patch.object(place, attribute, value))
        yield
