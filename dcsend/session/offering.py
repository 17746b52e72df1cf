"""What a run offers: the paths on the command line, standard input, a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

from dcsend.errors import SourceError, UsageError
from dcsend.files.folder import Identity
from dcsend.files.manifest import Omission, Scan, scan, scan_stream, scan_text
from dcsend.printable import printable
from dcsend.session.events import FileFinished, Warned
from dcsend.session.outcome import Tally
from dcsend.settings import STDIO, Settings

__all__ = ["OwnOutput", "find_offer", "refuse_written", "report_left_out"]

_MANY: Final = 1000
"Entries whose names can't be too long together, since a path has 4096 bytes at most."


class OwnOutput(UsageError):
    """What the run writes, such as its events, would go into a file that it sends or receives."""


def find_offer(paths: Sequence[str], settings: Settings, stdin: BinaryIO | None) -> Scan:
    """List everything that is to be sent.

    Args:
        paths: files and folders; `-` is standard input.
        settings: has the text, the name of standard input, and what to leave out.
        stdin: for `-`.

    Raises:
        UsageError: a path is empty, or there is more than one transfer may have.
        SourceError: a path does not exist, or can't be read.
    """
    if "" in paths:
        raise UsageError("a path to send is empty", "name a file or a folder")
    named = [path for path in paths if path != STDIO]
    found = scan(named, exclude=settings.exclude, links=settings.links)
    if len(named) < len(paths):
        if stdin is None:
            raise UsageError("the path '-' is named, and there is no stream for it", "pass stdin=…")
        if len(named) < len(paths) - 1:
            raise UsageError(
                "standard input can be sent once only", "name - once, beside files if you like"
            )
        found += scan_stream(stdin, settings.stdin_name)
    if settings.text is not None:
        found += scan_text(settings.text)
    if len(found.entries) >= _MANY:
        # Before a code is shown. Fewer entries are always allowed, and need no import for it.
        from dcsend.protocol.manifest_messages import check_offer

        check_offer(found.entries)
    return found


def refuse_written(found: Scan, written: Mapping[Identity, str]) -> None:
    """Refuse to send a file that this run writes to: it would change before it is sent.

    Raises:
        OwnOutput: such a file is in *found*.
    """
    for (device, inode), what in written.items():
        if (path := found.find(device, inode)) is not None:
            raise OwnOutput(
                f"{what} of this run would go into {printable(path)}, which is to be sent",
                "write to another place, or leave that file out with --exclude",
            )


def report_left_out(found: Scan, settings: Settings, tally: Tally) -> None:
    """Report what is left out, and what can't be sent."""
    emit = tally.emit
    for pattern in found.unmatched if settings.warn_unmatched else ():
        emit(Warned("unmatched", f"nothing matches --exclude {printable(pattern)}"))
    if found.links.number:
        note = _left_out(found.links, "symbolic link", "symbolic links")
        emit(Warned("skipped", note, "--links sends symbolic links as links"))
    if found.others.number:
        note = _left_out(found.others, "socket, pipe or device", "sockets, pipes and devices")
        emit(Warned("skipped", note))
    for problem in found.problems:
        file = FileFinished(
            problem.path, "failed", 0, reason=problem.reason, exit=SourceError.exit_status
        )
        tally.report(file, lasting=problem.lasting)


def _left_out(omission: Omission, one: str, several: str) -> str:
    """Return a note on what of one kind is left out, with the names of the first few.

    >>> _left_out(Omission(3, ("a", "b")), "symbolic link", "symbolic links")
    '3 symbolic links are left out: a, b and 1 more'
    """
    count, first = omission
    names = ", ".join(map(printable, first))
    more = f" and {count - len(first)} more" if count > len(first) else ""
    said = f"1 {one} is" if count == 1 else f"{count} {several} are"
    return f"{said} left out: {names}{more}"
