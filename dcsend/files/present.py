"""Files that are there already under their final names: they are not received, or not completely.

A file that agrees with its entry by size and time is skipped. Of others a digest is computed before
anything is accepted, and the sender compares it: of files of the same size, with `checksum`, and of
shorter ones, whose content may be the beginning of what is offered. Nothing is ever written into an
existing file: its beginning is copied into a part, which is then continued as any other.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from dcsend.content import End
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError, IntegrityError
from dcsend.files.disk import NONBLOCK, close_quietly
from dcsend.files.folder import Folder, Identity, identity
from dcsend.files.intake import Intake
from dcsend.files.journal import MIN_SIZE, Journal
from dcsend.files.names import safe_path
from dcsend.files.part import create_part, remove_stale
from dcsend.files.resuming import Walk
from dcsend.files.trailing import Changed, Checked, Trailing
from dcsend.files.verified_open import file_system_type
from dcsend.listing import Entries
from dcsend.printable import printable

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["MAX_COMPARED", "KeptFile", "Present", "PresentFile", "copy_into_part"]

MAX_COMPARED: Final = 12_000
"Files whose digests are sent; parts of earlier runs have a few digests, too."
_BLOCK: Final = 1 << 20
"Bytes that are copied at once."
_UNITS: Final = (1000, 1_000_000)
"""Microseconds: two times agree if one is the other without what is below one of these. Browsers
report milliseconds, and some file systems store seconds."""
_FAT: Final = ("vfat", "msdos")
_FAT_UNIT: Final = 2_000_000
"Microseconds: FAT stores even seconds, which Linux rounds down and Windows rounds up."


class PresentFile(NamedTuple):
    """An existing file whose content is, or may be the beginning of, that of an entry."""

    size: int
    mtime_ns: int
    identity: Identity
    hasher: _Hash
    "Of the existing file."

    def is_unchanged(self, status: os.stat_result | None) -> bool:
        """Return whether *status* is of this file, and it has not been written since."""
        return status is not None and (status.st_size, status.st_mtime_ns, identity(status)) == (
            self.size,
            self.mtime_ns,
            self.identity,
        )


class Present:
    """Finds existing files that agree with entries of one manifest; changes nothing.

    Args:
        root: the chosen folder.
        existing: what to do about files that differ.
        checksum: whether the digests of files of the same size are compared, not the times.
    """

    def __init__(self, root: str, existing: Existing, *, checksum: bool = False) -> None:
        self._root = root
        self._checksum = checksum
        # With the other policies a file that differs is not received, or under another name.
        self._compares = checksum and existing in (Existing.OVERWRITE, Existing.RENAME)
        self._grows = existing is Existing.OVERWRITE
        self._candidates: list[int] = []
        self._hashing: tuple[str, int, Trailing] | None = None
        "Path and size of the file that is being hashed."
        self._is_fat: dict[int, bool] = {}
        "By device."

    @property
    def checked(self) -> Checked | None:
        """How much of a file is hashed; None if that is done. May be read by another thread."""
        if self._hashing is None:
            return None
        path, size, hashing = self._hashing
        return Checked(path, hashing.position, size)

    def agrees(self, number: int, entry: Entry, path: str, status: os.stat_result) -> bool:
        """Return whether an existing file agrees; otherwise note if its digest is needed.

        Args:
            number: of the entry.
            entry: of the manifest.
            path: of the existing file.
            status: its status.
        """
        if entry.kind is Kind.LINK:
            return stat.S_ISLNK(status.st_mode) and _target(path) == entry.target
        if entry.kind is not Kind.FILE or entry.size is None or not stat.S_ISREG(status.st_mode):
            return False
        size = status.st_size
        if size == entry.size and not self._checksum:
            there = status.st_mtime_ns // 1000
            return entry.mtime is not None and (
                _agree(entry.mtime, there)
                or (abs(entry.mtime - there) < _FAT_UNIT and self._on_fat(status.st_dev))
            )
        if size == entry.size and not size:
            return True
        compared = self._compares and size == entry.size
        grown = self._grows and MIN_SIZE <= size < entry.size
        if (compared or grown) and len(self._candidates) < MAX_COMPARED:
            self._candidates.append(number)
        return False

    def _on_fat(self, device: int) -> bool:
        """Return whether a file is on a FAT file system; only known on Linux."""
        if device not in self._is_fat:
            self._is_fat[device] = file_system_type(device) in _FAT
        return self._is_fat[device]

    def compute(self, entries: Entries, without: Iterable[int]) -> dict[int, PresentFile]:
        """Compute the digests that are needed; opens nothing through a link below the root.

        Args:
            entries: the manifest.
            without: numbers of entries that need none, such as those with a part.
        """
        found: dict[int, PresentFile] = {}
        unwanted = set(without)
        walk = Walk(self._root)
        try:
            for number in self._candidates:
                *parents, name = safe_path(entries.path(number))
                folder = None if number in unwanted else walk.folder(parents)
                file = None if folder is None else self._file(folder, name, entries[number])
                if file is not None:
                    found[number] = file
        finally:
            walk.close()
            self._hashing = None
        return found

    def _file(self, folder: Folder, name: str, entry: Entry) -> PresentFile | None:
        """Hash a file; None if it can't be read, or changes."""
        try:
            fd = folder.open(name, os.O_RDONLY | NONBLOCK)
            status = os.fstat(fd)
            size = status.st_size
            if not stat.S_ISREG(status.st_mode) or not 0 < size <= (entry.size or 0):
                close_quietly(fd)
                return None
            hashing = Trailing(fd, size, None)
            self._hashing = (entry.path, size, hashing)
            hasher = hashing.finish(size)
            if hasher is None:
                return None
            file = PresentFile(size, status.st_mtime_ns, identity(status), hasher)
            return file if file.is_unchanged(folder.lstat(name)) else None
        except (OSError, Changed):
            return None


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _agree(one: int, other: int) -> bool:
    """Return whether two times in microseconds agree, as far as file systems store them.

    >>> _agree(1_000_001, 1_000_001), _agree(1_234_567, 1_000_000), _agree(1_234_567, 1_234_000)
    (True, True, True)
    >>> _agree(1_234_567, 1_234_566), _agree(2_000_000, 1_000_000)
    (False, False)
    """
    return one == other or any(
        one == other - other % unit or other == one - one % unit for unit in _UNITS
    )


class KeptFile(Intake):
    """An existing file that has the size of its entry, until the sender confirms its digest.

    Args:
        folder: of the file.
        name: of the file.
        entry: of the manifest.
        present: the file.

    Raises:
        DestinationError: it is not the same file any more.
        OSError: a system call failed.
    """

    __slots__ = ("path",)

    def __init__(self, folder: Folder, name: str, entry: Entry, present: PresentFile) -> None:
        super().__init__(entry)
        if not present.is_unchanged(folder.lstat(name)):
            raise DestinationError(f"{self._shown} was changed or removed meanwhile")
        self.path = folder.path_of(name)
        "The path of the existing file."
        self.hasher = present.hasher
        self.position = present.size

    def write(self, payload: bytes | memoryview) -> None:
        """Refuse content: `check` has refused all but none."""
        if payload:
            raise IntegrityError(f"{self._shown}: received more than is missing")

    def skip(self, length: int) -> None:
        """Refuse a hole, which is content."""
        raise IntegrityError(f"{self._shown}: received more than is missing")

    def mismatch(self, end: End) -> IntegrityError | None:
        """See `Intake.mismatch`; a sender that does not compare digests ends another file, too.

        Raises:
            DestinationError: the content of the existing file is another one.
        """
        if super().mismatch(end) is not None:
            raise DestinationError(
                f"{self._shown} exists and differs, and the other side can't send it in this run",
                "run it again without --checksum",
            )
        return None


def copy_into_part(
    folder: Folder,
    name: str,
    entry: Entry,
    present: PresentFile,
    manifest: Callable[[], str],
    own_parts: set[str],
) -> None:
    """Make a part with the content of an existing file, as an interrupted run leaves it.

    The part is verified as any other while it is continued, so a file that changes meanwhile does
    no harm.

    Args:
        folder: the folder of the file.
        name: its final name.
        entry: of the manifest.
        present: the existing file.
        manifest: returns the `manifest_id` of the transfer.
        own_parts: see `PartFile`.

    Raises:
        DestinationError: another run is writing the part, or something else has its name.
        OSError: a system call failed.
    """
    mode = (entry.mode & 0o777) | 0o600
    source = folder.open(name, os.O_RDONLY | NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise DestinationError(f"{printable(name)} is not a file any more")
        part = create_part(folder, name, mode, own_parts)
        try:
            _copy(source, part, present.size)
            journal = Journal.create(folder, name, entry, manifest())
            journal.keep(present.size, present.hasher)
        except BaseException:
            close_quietly(part)
            with contextlib.suppress(OSError, DestinationError):
                remove_stale(folder, name, own_parts)
            raise
        close_quietly(part)
    finally:
        close_quietly(source)


def _copy(source: int, target: int, size: int) -> None:
    """Copy the first *size* bytes, by reference where the file system can."""
    left = size
    if hasattr(os, "copy_file_range"):
        try:
            while left and (done := os.copy_file_range(source, target, left)):
                left -= done
        except OSError:
            if left != size:
                raise
    while left and (piece := os.read(source, min(_BLOCK, left))):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(target, rest) :]
        left -= len(piece)
