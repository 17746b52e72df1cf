"""Where a run saves: the sink for the chosen destination."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from dcsend.errors import DestinationError, UsageError
from dcsend.files.folder import Identity
from dcsend.printable import printable, system_reason
from dcsend.session.offering import OwnOutput
from dcsend.settings import Settings

if TYPE_CHECKING:
    from dcsend.files.sink import Sink

__all__ = ["make_sink", "refuse_two_writers", "without_folder"]


def refuse_two_writers(settings: Settings, written: Mapping[Identity, str]) -> None:
    """Refuse to save the offered file where this run writes something else.

    Raises:
        OwnOutput: the path that is given for it is such a place.
    """
    if settings.destination is None or not settings.names_file:
        return
    with suppress(OSError):
        status = settings.destination.stat()
        if what := written.get((status.st_dev, status.st_ino)):
            raise OwnOutput(
                f"{what} and the received file would go into {printable(settings.output)}",
                "choose another place for one of them",
            )


def make_sink(settings: Settings, stdout: BinaryIO | None, *, unattended: bool) -> Sink:
    """Return a sink for the destination of the settings.

    Args:
        settings: has the path, and what to do about existing files.
        stdout: for `-`.
        unattended: the offer is accepted without a look at its names.

    Raises:
        UsageError: the path is empty, or there is no *stdout*.
        DestinationError: the folder can't be used.
    """
    if not settings.output:  # such as an unset variable of a shell
        raise UsageError("the path to save in is empty", "name a folder; . is the current one")
    root = settings.destination
    if root is not None:
        from dcsend.files.directory_sink import DirectorySink
        from dcsend.files.path_sink import PathSink
        from dcsend.files.planning import check_file, check_root

        try:
            # Now, so that no code is used up for a folder that can't be used.
            is_file = settings.names_file
            if is_file:
                check_root(root.parent, on_trial=not settings.dry_run)
                check_file(root, settings.existing)
            if not (is_file and os.path.lexists(root)):  # it exists also as a link to nothing
                # Where a file is to be, no folder is created on trial: in a folder where names can
                # only be added (`chattr +a`) it would stay.
                check_root(root, on_trial=not (is_file or settings.dry_run))
            into = PathSink if is_file else DirectorySink
            return into(
                root,
                existing=settings.existing,
                unattended=unattended,
                same=settings.skip_same,
                checksum=settings.checksum,
            )
        except OSError as exc:
            raise DestinationError(
                f"can't use {printable(str(root))}: {system_reason(exc)}",
                "choose another with --output",
            ) from exc
    if stdout is None:
        raise UsageError("output '-' without a stream to write to", "pass stdout=…")
    from dcsend.files.stream_sink import StreamSink

    return StreamSink(stdout)


def without_folder(settings: Settings) -> Callable[[BaseException], str]:
    """Return a function for texts of errors without the path of the chosen folder."""
    root = settings.destination
    if root is not None and settings.names_file:
        root = root.parent
    # Now: later the working folder may be gone. Not "/", which is in every path.
    where = "" if root is None else printable(os.path.abspath(root)).rstrip(os.sep)
    if not where:
        return str
    # A path inside becomes a relative path, the folder itself two words.
    return lambda error: str(error).replace(f"{where}{os.sep}", "").replace(where, "the folder")
