"""The queue of complete files: they are synced in groups, and then get their final names.

    add ─> COMPLETE ─advance─> SYNCING ─advance─> NAMED, folder syncing ─advance─> committed

A sync waits for the disk and uses little processor time, so it runs on other threads while the next
files are written. `advance` ends the sync that the last call began, gives the files of that group
their names, and begins the next sync: of the bytes of the following group and of the folders with
the new names.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from dcsend.entry import Existing
from dcsend.errors import DcsendError
from dcsend.files.folder import Folder
from dcsend.files.incoming_file import IncomingFile
from dcsend.files.placed_files import PlacedFiles
from dcsend.files.syncing import (
    FILE_SYSTEM_SYNC,
    MANY,
    FileSystemSync,
    PendingSyncs,
    SyncPool,
)
from dcsend.files.tmpfile import Tmpfile

if sys.platform != "win32":
    import resource

__all__ = ["MAX_GROUP", "CommitQueue", "Committed", "FileSystemError"]

logger = logging.getLogger(__name__)


def _max_group() -> int:
    """Return how many descriptors one group may hold.

    Two groups of files and folders, one complete and one being synced, and the folders of a third
    are open at one time.
    """
    if sys.platform != "win32":
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return 256 if allowed == resource.RLIM_INFINITY else max(16, min(256, allowed // 5))
    else:
        return 96


MAX_GROUP: Final = _max_group()
"Descriptors of a group; the time of a sync hardly depends on the number of files."


class FileSystemError(OSError):
    """A whole file system could not be synced; the file that failed is unknown."""


class Committed(NamedTuple):
    """The end of one file in the queue, successful or not."""

    number: int
    "As passed to `add`."
    part: IncomingFile
    "The file; still open if it has no name."
    name: str
    "The final name; empty if the file has none."
    error: OSError | DcsendError | None
    "Why it has no name or, for a file with a name, why the name may not survive a crash."


@dataclass(slots=True)
class _SyncGroup:
    """What one sync covers: files without a name, and the folders of files that have been named."""

    parts: Sequence[tuple[int, IncomingFile]]
    named: Sequence[Committed]
    folders: Sequence[Folder]
    faults: dict[int, OSError]
    "Errors of files, by number, before the sync began."
    size: int
    "Bytes of the files without a name that may not be durable."
    named_size: int
    """Bytes of the files that have been named. If the name is lost, so may be the file: it has no
    journal any more, and that of a small one was never durable."""
    by_file_system: bool
    "One call syncs everything."
    syncs: PendingSyncs

    def errors(self) -> tuple[list[OSError | None], dict[int, OSError]]:
        """Wait; return the error of each file, and of each folder that has one, by its `id`."""
        errors = self.syncs.wait()
        count = len(self.parts)
        if self.by_file_system:
            common = errors[0] and FileSystemError(errors[0].errno, errors[0].strerror)
            errors = [common] * (count + len(self.folders))
        pairs = zip(self.parts, errors[:count], strict=True)
        files = [self.faults.get(number, error) for (number, _), error in pairs]
        folders = zip(self.folders, errors[count:], strict=True)
        return files, {id(folder): error for folder, error in folders if error is not None}

    def release(self) -> None:
        """Allow the folders to be closed."""
        for folder in self.folders:
            folder.release()


class CommitQueue:
    """Complete files on the way to their final names.

    Args:
        existing: what to do about names that are taken.
        placed: the files that this run has placed; see `IncomingFile.place`.
        max_group: descriptors that a group holds before `is_full`.
        file_system_sync: as `sync_file_systems`; None: each file is synced by itself.
    """

    def __init__(
        self,
        existing: Existing,
        placed: PlacedFiles | None,
        max_group: int = MAX_GROUP,
        file_system_sync: FileSystemSync | None = FILE_SYSTEM_SYNC,
    ) -> None:
        self._existing = existing
        self._placed = placed
        self._max_group = max_group
        self._file_system_sync = file_system_sync
        self._complete: list[tuple[int, IncomingFile]] = []
        self._held: dict[int, int] = {}
        "Descriptors of complete files and of their folder, by `id` of the folder."
        self._size = 0
        "Bytes of complete files that may not be durable."
        self._syncing: _SyncGroup | None = None
        self._pool = SyncPool()

    @property
    def is_empty(self) -> bool:
        """Whether every added file has been returned by `advance`."""
        return not self._complete and self._syncing is None

    @property
    def is_full(self) -> bool:
        """Whether `advance` must be called before another file is added."""
        return sum(self._held.values()) > self._max_group

    @property
    def unsynced(self) -> int:
        """Bytes of added files that may not be durable."""
        syncing = self._syncing
        return self._size + (0 if syncing is None else syncing.size + syncing.named_size)

    @property
    def is_ready(self) -> bool:
        """Whether `advance` has something to do and would not wait."""
        if self._syncing is None:
            return bool(self._complete)
        return self._syncing.syncs.is_done

    def add(self, number: int, part: IncomingFile) -> None:
        """Add a file whose content is complete and has the right digest."""
        self._complete.append((number, part))
        folder = id(part.folder)
        self._held[folder] = self._held.get(folder, 1) + part.descriptor_count
        self._size += part.unsynced

    def wait(self) -> None:
        """Wait for the current sync."""
        if self._syncing is not None:
            self._syncing.syncs.wait()

    def advance(self) -> list[Committed]:
        """Take every group one step further; waits for the current sync.

        Returns:
            The files that have their names for good, and those that have failed.
        """
        committed: list[Committed] = []
        named: list[Committed] = []
        named_size = 0
        if self._syncing is not None:
            errors, folder_errors = self._syncing.errors()
            syncing, self._syncing = self._syncing, None
            syncing.release()
            named_size = syncing.size
            for one in syncing.named:
                error = folder_errors.get(id(one.part.folder))
                committed.append(one if error is None else one._replace(error=error))
            for (number, part), fault in zip(syncing.parts, errors, strict=True):
                one = self._place(number, part, fault)
                (named if one.name else committed).append(one)
            logger.debug("synced %d files and %d folders", len(syncing.parts), len(syncing.folders))
        parts, self._complete = self._complete, []
        self._held.clear()
        size, self._size = self._size, 0
        if parts or named:
            self._syncing = self._begin(parts, named, (size, named_size))
        return committed

    def abandon(self) -> list[IncomingFile]:
        """Empty the queue, end its threads, and return the files that have no name yet."""
        syncing, self._syncing = self._syncing, None
        parts = [part for _, part in self._complete]
        self._complete = []
        if syncing is not None:
            # A file must not be closed while it is synced, even if the sync fails.
            with contextlib.suppress(Exception):
                syncing.syncs.wait()
            syncing.release()
            parts += [part for _, part in syncing.parts]
        self._pool.close()
        return parts

    def _place(self, number: int, part: IncomingFile, fault: OSError | None) -> Committed:
        error: OSError | DcsendError
        try:
            if fault is not None:
                raise fault
            return Committed(number, part, part.place(self._existing, self._placed), None)
        except (OSError, DcsendError) as caught:
            error = caught
        return Committed(number, part, "", error)

    def _begin(
        self,
        parts: Sequence[tuple[int, IncomingFile]],
        named: Sequence[Committed],
        sizes: tuple[int, int],
    ) -> _SyncGroup:
        folders = list({id(one.part.folder): one.part.folder for one in named}.values())
        for folder in folders:
            folder.hold()  # it must stay open until it is synced
        faults: dict[int, OSError] = {}
        sync = self._file_system_sync if _prefers_syncfs(parts) else None
        if sync is not None:
            for number, part in parts:
                try:
                    part.finish()
                except OSError as error:
                    faults[number] = error
            # One file of each folder is enough: files are on the file system of their folder.
            first: dict[int, int] = {}
            for _, part in parts:
                first.setdefault(id(part.folder), part.descriptor)
            open_ = [*first.values(), *(one.fd for one in folders if one.fd is not None)]
            syncs = self._pool.submit([partial(sync, open_)])
        else:
            calls = [part.sync for _, part in parts]
            syncs = self._pool.submit(calls + [folder.sync for folder in folders])
        return _SyncGroup(parts, named, folders, faults, *sizes, sync is not None, syncs)


def _prefers_syncfs(parts: Sequence[tuple[int, IncomingFile]]) -> bool:
    # After `fsync` of a file without a name, some file systems do not keep its size.
    return len(parts) >= MANY or any(isinstance(part, Tmpfile) for _, part in parts)
