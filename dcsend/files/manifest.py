"""The manifest: listing the files, folders and links at the paths that the user has named.

Opens folders, but no file. A tree is listed in sorted order, each folder before its content.
Everything that can't be sent is reported.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from dcsend.entry import Entry, Kind, LeftOut
from dcsend.errors import SourceError, UsageError
from dcsend.files.disk import NOFOLLOW, OPEN_FOLDER, close_quietly
from dcsend.files.exclusion import Exclusion
from dcsend.files.folder import USE_DESCRIPTORS, Identity
from dcsend.files.names import MAX_PATH, UnsafeName, safe_path
from dcsend.files.origins import Origin, Origins
from dcsend.files.verified_open import NOWHERE
from dcsend.listing import Entries
from dcsend.printable import printable, system_reason

__all__ = [
    "Origin",
    *("SPARSE_MARGIN", "Omission", "Problem", "Scan"),
    *("manifest_id", "scan", "scan_stream", "scan_text"),
]

SPARSE_MARGIN: Final = 64 << 10
"Bytes; the file is sparse if its content exceeds its size on the disk by at least so many."

_MOST_NAMED: Final = 3
"Names in an `Omission`; a tree may contain thousands of links."
_LARGEST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A file, folder or link that should be sent and can't be."""

    path: str
    "Its path in the manifest; not safe to show, and possibly not valid Unicode."
    reason: str
    "Safe to show; does not contain the path."
    lasting: bool = False
    "Its name is the reason, so that the next run has the same problem."


class Omission(NamedTuple):
    """Files of one kind that are not sent on purpose."""

    number: int = 0
    "How many there are."
    first: tuple[str, ...] = ()
    "Paths of the first; not safe to show."

    def __add__(self, other: object) -> Omission:
        """Return the paths of both omissions as one."""
        if not isinstance(other, Omission):
            return NotImplemented
        return Omission(self.number + other.number, (self.first + other.first)[:_MOST_NAMED])

    def and_one(self, path: str) -> Omission:
        """Return this omission with one more path."""
        return self + Omission(1, (path,))


_NOTHING: Final = Omission()


@dataclass(frozen=True, slots=True)
class Scan:
    """The result: entries, and what is not among them."""

    entries: Sequence[Entry] = ()
    origins: Sequence[Origin] = ()
    "The origin of the content of each entry."
    links: Omission = _NOTHING
    "Symbolic links in trees, unless links are sent."
    others: Omission = _NOTHING
    "Sockets, pipes and devices in trees."
    unmatched: tuple[str, ...] = ()
    "Patterns of `exclude` that have matched nothing."
    problems: tuple[Problem, ...] = ()
    "Files, folders and links that can't be sent."
    devices: array[int] = field(default_factory=partial(array, "Q"))
    inodes: array[int] = field(default_factory=partial(array, "Q"))
    """Device and inode of each entry from `os.stat_result`, modulo 2**64; 0 if they are not known.
    Tuples for a million entries would take 120 MB."""

    def __post_init__(self) -> None:
        if not len(self.entries) == len(self.devices) == len(self.inodes):
            raise ValueError("each entry needs a device and an inode")

    @property
    def left_out(self) -> LeftOut:
        """The numbers of what is not among the entries, for the receiver."""
        return LeftOut(self.links.number, self.others.number, len(self.problems))

    def identity(self, number: int) -> Identity:
        """Return device and inode of an entry; `listed.NOWHERE` if they are not known."""
        if not self.inodes[number]:
            return NOWHERE
        return self.devices[number], self.inodes[number]

    def find(self, device: int, inode: int) -> str | None:
        """Return the path of the entry with this device and inode; None if there is none."""
        wanted = (device & _LARGEST, inode & _LARGEST)
        places = enumerate(zip(self.devices, self.inodes, strict=True))
        number = next((number for number, place in places if place == wanted), None)
        return None if number is None else self.entries[number].path

    def __add__(self, other: Scan) -> Scan:
        """Return both scans as one.

        Raises:
            UsageError: both have a top of the same name.
        """
        names: set[str] = set()
        for name in [*_tops(self), *_tops(other)]:
            _refuse_same_name(name, names)
        entries = Entries(self.entries)
        entries.extend(other.entries)
        origins = Origins(entries)
        for start, origin in _begun(self.origins):
            origins.begin(start, origin)
        for start, origin in _begun(other.origins):
            origins.begin(len(self.entries) + start, origin)
        return Scan(
            entries,
            origins,
            self.links + other.links,
            self.others + other.others,
            self.unmatched + other.unmatched,
            self.problems + other.problems,
            self.devices + other.devices,
            self.inodes + other.inodes,
        )


def scan(
    paths: Iterable[str | Path],
    *,
    exclude: Sequence[str] = (),
    links: bool = False,
    descriptors: bool = USE_DESCRIPTORS,
) -> Scan:
    """List everything at *paths*.

    Args:
        paths: of files and folders, and of devices and pipes, which are sent as streams.
        exclude: patterns, see `Exclusion`.
        links: whether symbolic links in trees are sent; otherwise they are omitted.
        descriptors: whether the system can open files below a descriptor.

    Raises:
        SourceError: one of *paths* does not exist or may not be read.
        UsageError: two of them have the same name, or one has no usable name.
    """
    lister = _Lister(Exclusion(exclude), links=links, descriptors=descriptors)
    for path in paths:
        lister.add(os.fspath(path))
    return lister.result()


def scan_text(text: str, name: str = "text") -> Scan:
    """Return the scan of a text."""
    content = text.encode(errors="replace")
    return _single(Entry(name, Kind.TEXT, len(content)), content)


def scan_stream(stream: BinaryIO, name: str = "stdin") -> Scan:
    """Return the scan of a stream of unknown length, such as standard input.

    Args:
        stream: open for binary reading; not closed here.
        name: of the file at the receiver.

    Raises:
        UsageError: *name* can't be the name of a file.
    """
    _usable_top(name)
    return _single(Entry(name, Kind.FILE, None), stream)


def _single(entry: Entry, origin: Origin) -> Scan:
    return Scan((entry,), (origin,), devices=array("Q", [0]), inodes=array("Q", [0]))


def manifest_id(entries: Iterable[Entry]) -> str:
    """Return the SHA-256, in hex, of *entries* in a canonical form.

    Two manifests with the same paths, sizes, times, permissions and targets have the same id.
    """
    hasher = hashlib.sha256()
    for entry in entries:
        fields = (entry.path, entry.kind.value, entry.size, entry.mode, entry.mtime, entry.target)
        hasher.update(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
    return hasher.hexdigest()


class _Lister:
    """A scan in progress."""

    def __init__(self, exclusion: Exclusion, *, links: bool, descriptors: bool) -> None:
        self._exclusion = exclusion
        self._links = links
        self._descriptors = descriptors
        self._entries = Entries()
        self._origins = Origins(self._entries)
        self._devices = array("Q")
        self._inodes = array("Q")
        self._left_links = self._left_others = _NOTHING
        self._problems: list[Problem] = []
        self._tops: set[str] = set()

    def add(self, path: str) -> None:
        """List a path that the user has named; a link is followed."""
        name = _top_name(path)
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise _missing(path, error) from None
        _refuse_same_name(name, self._tops)
        if self._exclusion.matches(name, name, stat.S_ISDIR(status.st_mode)):
            return
        if not os.access(path, os.R_OK):
            raise SourceError(f"can't read {printable(path)}: permission denied")
        if stat.S_ISDIR(status.st_mode):
            self._append_top(_entry(name, Kind.DIRECTORY, status), os.path.abspath(path), status)
            self._walk(os.path.abspath(path), name)
        elif stat.S_ISREG(status.st_mode):
            # Resolved here, so that no link is followed when it is opened.
            self._append_top(_entry(name, Kind.FILE, status), os.path.realpath(path), status)
        elif stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            self._append_top(Entry(name, Kind.FILE, None), os.path.abspath(path), status)
        else:
            raise SourceError(f"{printable(path)} is neither a file nor a folder nor a pipe")

    def result(self) -> Scan:
        """Return the scan."""
        return Scan(
            self._entries,
            self._origins,
            self._left_links,
            self._left_others,
            self._exclusion.unmatched,
            tuple(self._problems),
            self._devices,
            self._inodes,
        )

    def _walk(self, top: str, name: str) -> None:
        """List the content of the folder *top*, without recursion, because trees may be deep.

        Folders stay open until their content has been listed, and names are resolved relative to
        them, so that a link that replaces a folder meanwhile is not followed.
        """
        try:
            levels = [_Level(top, name, None, self._descriptors)]
        except OSError as error:
            raise _missing(top, error) from None
        try:
            while levels:
                level = levels[-1]
                if not level.items:
                    levels.pop().close()
                elif self._add_inner(level, item := level.items.pop()):
                    try:
                        levels.append(_Level(level.place(item), f"{level.path}/{item.name}", level))
                    except OSError as error:
                        self._problem(f"{level.path}/{item.name}", system_reason(error))
        finally:
            for level in levels:
                level.close()

    def _add_inner(self, level: _Level, item: os.DirEntry[str]) -> bool:
        """List a file, folder or link in a tree; return whether it is a folder to list."""
        path = f"{level.path}/{item.name}"
        try:
            is_folder = item.is_dir(follow_symlinks=False)
            if self._exclusion.matches(item.name, path, is_folder):
                return False
            safe_path(path)
            status = item.stat(follow_symlinks=False)
        except UnsafeName as error:
            self._problem(path, str(error), lasting=True)
            return False
        except OSError as error:
            self._problem(path, system_reason(error))
            return False
        if is_folder:
            self._append(_entry(path, Kind.DIRECTORY, status), status)
        elif stat.S_ISREG(status.st_mode):
            self._append(_entry(path, Kind.FILE, status), status)
        elif stat.S_ISLNK(status.st_mode):
            self._add_link(level, item, path, status)
        else:
            self._left_others = self._left_others.and_one(path)
        return is_folder

    def _add_link(
        self, level: _Level, item: os.DirEntry[str], path: str, status: os.stat_result
    ) -> None:
        if not self._links:
            self._left_links = self._left_links.and_one(path)
            return
        try:
            target = os.readlink(item.path, dir_fd=level.fd)
            size = len(target.encode())
        except OSError as error:
            self._problem(path, system_reason(error))
        except UnicodeEncodeError:
            self._problem(path, "the link's target is not valid Unicode")
        else:
            if size > MAX_PATH:
                self._problem(path, f"the link's target is longer than {MAX_PATH} bytes")
                return
            mtime = _mtime(status)
            self._append(Entry(path, Kind.LINK, 0, 0o777, mtime, target), status)

    def _append_top(self, entry: Entry, origin: Origin, status: os.stat_result) -> None:
        self._origins.begin(len(self._entries), origin)
        self._append(entry, status)

    def _append(self, entry: Entry, status: os.stat_result) -> None:
        self._entries.append(entry)
        self._devices.append(status.st_dev & _LARGEST)
        self._inodes.append(status.st_ino & _LARGEST)

    def _problem(self, path: str, reason: str, *, lasting: bool = False) -> None:
        self._problems.append(Problem(path, reason, lasting))


class _Level:
    """A folder that is being listed.

    Args:
        place: its path on this machine; that of the top may be a link.
        path: its path in the manifest.
        above: its parent; None for the top.
        descriptors: whether to open the top, and what is below it relative to it.

    Raises:
        OSError: it can't be read, or was replaced by a link.
    """

    __slots__ = ("_inside", "fd", "items", "path")

    def __init__(
        self, place: str, path: str, above: _Level | None, descriptors: bool = False
    ) -> None:
        self.path = path
        self._inside = os.path.join(place, "x")[:-1]
        self.fd: int | None = None
        "None if the system has no `dir_fd`."
        if above is None and descriptors:
            self.fd = os.open(place, OPEN_FOLDER & ~NOFOLLOW)
        elif above is not None and above.fd is not None:
            self.fd = os.open(os.path.basename(place), OPEN_FOLDER, dir_fd=above.fd)
        try:
            with os.scandir(place if self.fd is None else self.fd) as items:
                self.items = sorted(items, key=lambda item: item.name, reverse=True)
        except BaseException:
            self.close()
            raise

    def place(self, item: os.DirEntry[str]) -> str:
        """Return the path of *item* on this machine."""
        return self._inside + item.name

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd is not None:
            close_quietly(self.fd)


def _entry(path: str, kind: Kind, status: os.stat_result) -> Entry:
    size = status.st_size if kind is Kind.FILE else 0
    stored: int | None = None
    blocks: int | None = getattr(status, "st_blocks", None)  # not on Windows
    if blocks is not None and blocks * 512 + SPARSE_MARGIN <= size:
        stored = blocks * 512
    return Entry(path, kind, size, status.st_mode & 0o777, _mtime(status), "", stored)


def _top_name(path: str) -> str:
    """Return the name in the manifest of a path that the user has named."""
    name = os.path.basename(path.rstrip("/" + os.sep))
    if name in ("", ".", ".."):
        name = os.path.basename(os.path.realpath(path))
    if not name:
        reason = "the root of a file system has no name"
        raise UsageError(f"can't send {printable(path)}: {reason}", "name the folders in it")
    _usable_top(name, path)
    return name


def _usable_top(name: str, path: str = "") -> None:
    shown = printable(path or name)
    try:
        components = safe_path(name)
    except UnsafeName as error:
        raise UsageError(f"can't send {shown}: {error}", "give it another name") from None
    if len(components) != 1:
        raise UsageError(f"can't send {shown}: a name contains no slash", "give it another name")


def _begun(origins: Sequence[Origin]) -> Iterable[tuple[int, Origin]]:
    return origins.tops() if isinstance(origins, Origins) else enumerate(origins)


def _tops(listed: Scan) -> list[str]:
    return [
        entry.path
        for entry in listed.entries
        if "/" not in entry.path and entry.kind is not Kind.TEXT
    ]


def _refuse_same_name(name: str, names: set[str]) -> None:
    if name in names:
        raise UsageError(
            f"two files or folders with the name {printable(name)} can't be sent together",
            "rename one, or send the folder that holds it",
        )
    names.add(name)


def _missing(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"no such file or folder: {printable(path)}")
    reason = system_reason(error, "not a path")
    return SourceError(f"can't read {printable(path)}: {reason}")


def _mtime(status: os.stat_result) -> int | None:
    """Return the time in microseconds; None if it is outside the range of `Entry.mtime`."""
    mtime = status.st_mtime_ns // 1000
    return mtime if abs(mtime) < 2**53 else None
