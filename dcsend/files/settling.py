"""Complete files on their way to their names: synced together, while the next are written.

    add ─> COMPLETE ──turn──> SYNCING ──turn──> NAMED, its folder syncing ──turn──> settled

A sync waits for the disk and hardly takes a processor, so it runs beside the thread that
writes: a turn waits for the sync that the last one began, names what that made safe, and
begins the next, which is one for the bytes of one group and the names of the group before.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from dcsend.errors import DcsendError
from dcsend.files.folder import Folder, Identity
from dcsend.files.growing import GrowingFile
from dcsend.files.operations import Existing
from dcsend.files.syncing import MANY, Calls, Together, can_sync_file_systems, sync_file_systems
from dcsend.files.unnamed import UnnamedFile

if sys.platform != "win32":
    import resource

__all__ = ["Settled", "Settler"]


def _max_group() -> int:
    """Return how many descriptors may be open for one sync.

    Open at a time are those of the files and folders of two groups, one complete and one being
    synced, and those of the folders of a third.
    """
    if sys.platform == "win32":
        return 96
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 256 if allowed == resource.RLIM_INFINITY else max(16, min(256, allowed // 5))


MAX_GROUP: Final = _max_group()
"Descriptors held open until their files are synced together: for all it costs nearly the same."


class Settled(NamedTuple):
    """One file that has come to its end, good or bad."""

    number: int
    "As it was added."
    part: GrowingFile
    "The file; still open if it has no name."
    name: str
    "Its final name; empty if it could not be given one."
    error: OSError | DcsendError | None
    "Why; for a file with a name, why that may not survive a crash."


@dataclass(slots=True)
class _Round:
    """One sync, of files without a name yet and of the folders of those that have theirs."""

    parts: Sequence[tuple[int, GrowingFile]]
    named: Sequence[Settled]
    folders: Sequence[Folder]
    faults: dict[int, OSError]
    "What files had already when the sync began, by number."
    together: bool
    "It is one call for all of them."
    calls: Calls

    def errors(self) -> tuple[list[OSError | None], dict[int, OSError]]:
        """Wait, and return what each file, and each folder by `id`, had."""
        errors = self.calls.wait()
        count = len(self.parts)
        if self.together:
            errors = errors * (count + len(self.folders))
        pairs = zip(self.parts, errors[:count], strict=True)
        files = [self.faults.get(number, error) for (number, _), error in pairs]
        of_folders = zip(self.folders, errors[count:], strict=True)
        return files, {id(folder): error for folder, error in of_folders if error is not None}

    def release(self) -> None:
        """Let the folders be closed."""
        for folder in self.folders:
            folder.users -= 1


class Settler:
    """Takes complete files, and tells when each has its name for good.

    Args:
        existing: what to do about names that are taken.
        placed: what this run has put in place; see `GrowingFile.place`.
    """

    def __init__(self, existing: Existing, placed: set[Identity] | None) -> None:
        self._existing = existing
        self._placed = placed
        self._complete: list[tuple[int, GrowingFile]] = []
        self._held: dict[int, int] = {}
        "Descriptors of complete files, by `id` of their folder, its own among them."
        self._round: _Round | None = None
        self._together = Together()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is on its way."""
        return not self._complete and self._round is None

    @property
    def is_full(self) -> bool:
        """Whether a turn may not be put off any longer."""
        return sum(self._held.values()) > MAX_GROUP

    @property
    def is_due(self) -> bool:
        """Whether there is something for a turn to do, and it would not have to wait."""
        if self._round is None:
            return bool(self._complete)
        return self._round.calls.are_done

    def add(self, number: int, part: GrowingFile) -> None:
        """Take a file whose content is complete and right."""
        self._complete.append((number, part))
        folder = id(part.folder)
        self._held[folder] = self._held.get(folder, 1) + part.descriptors

    def wait(self) -> None:
        """Wait for the sync that is under way."""
        if self._round is not None:
            self._round.calls.wait()

    def turn(self) -> list[Settled]:
        """Take every group one step on, after `wait`."""
        settled: list[Settled] = []
        named: list[Settled] = []
        if self._round is not None:
            errors, of_folders = self._round.errors()
            over, self._round = self._round, None
            over.release()
            for one in over.named:
                error = of_folders.get(id(one.part.folder))
                settled.append(one if error is None else one._replace(error=error))
            for (number, part), fault in zip(over.parts, errors, strict=True):
                one = self._place(number, part, fault)
                (named if one.name else settled).append(one)
        parts, self._complete = self._complete, []
        self._held.clear()
        if parts or named:
            self._round = self._begin(parts, named)
        return settled

    def abandon(self) -> list[GrowingFile]:
        """Let go of everything and return what has no name yet, for the caller to end."""
        over, self._round = self._round, None
        parts = [part for _, part in self._complete]
        self._complete = []
        if over is not None:
            # A file must not be closed while it is synced, whatever that comes to.
            with contextlib.suppress(Exception):
                over.calls.wait()
            over.release()
            parts += [part for _, part in over.parts]
        self._together.close()
        return parts

    def _place(self, number: int, part: GrowingFile, fault: OSError | None) -> Settled:
        error: OSError | DcsendError
        try:
            if fault is not None:
                raise fault
            return Settled(number, part, part.place(self._existing, self._placed), None)
        except (OSError, DcsendError) as reason:
            error = reason
        return Settled(number, part, "", error)

    def _begin(self, parts: Sequence[tuple[int, GrowingFile]], named: Sequence[Settled]) -> _Round:
        folders = list({id(one.part.folder): one.part.folder for one in named}.values())
        for folder in folders:
            folder.users += 1  # it must stay open until it is synced
        faults: dict[int, OSError] = {}
        together = can_sync_file_systems() and _are_many(parts)
        if together:
            for number, part in parts:
                try:
                    part.finish()
                except OSError as error:
                    faults[number] = error
            # One file of each folder is enough: none is on another file system than its folder.
            first: dict[int, int] = {}
            for _, part in parts:
                first.setdefault(id(part.folder), part.descriptor)
            open_ = [*first.values(), *(one.fd for one in folders if one.fd is not None)]
            calls = self._together.begin([lambda: sync_file_systems(open_)])
        else:
            syncs = [part.sync for _, part in parts]
            calls = self._together.begin(syncs + [folder.sync for folder in folders])
        return _Round(parts, named, folders, faults, together, calls)


def _are_many(parts: Sequence[tuple[int, GrowingFile]]) -> bool:
    # What has no name is no file to `fsync`: not every file system would keep its size.
    return len(parts) >= MANY or any(isinstance(part, UnnamedFile) for _, part in parts)
