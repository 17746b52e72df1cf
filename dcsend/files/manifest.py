"""Make the list of what shall be sent, from the paths that a person named.

Lists only; opens no file. A tree is listed in sorted order, each folder before what is in
it. What can't be sent is told, never silently left out.
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
from typing import BinaryIO, Final

from dcsend.entry import Entry, Kind
from dcsend.errors import SourceError, UsageError
from dcsend.files.disk import CLOEXEC, NOFOLLOW
from dcsend.files.exclusion import Exclusion
from dcsend.files.folder import USE_DESCRIPTORS, Identity
from dcsend.files.listed import NOWHERE
from dcsend.files.names import MAX_PATH, UnsafeName, safe_path
from dcsend.files.origins import Origin, Origins
from dcsend.listing import Entries
from dcsend.printable import printable

__all__ = [
    "SPARSE_MARGIN",
    "Origin",
    "Problem",
    "Scan",
    "manifest_id",
    "scan",
    "scan_stream",
    "scan_text",
]

SPARSE_MARGIN: Final = 64 << 10
"Bytes that a file must save on its disk to be called sparse; less is rounding."

_FOLDER: Final = os.O_RDONLY | CLOEXEC | NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
_LARGEST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A thing that should have been sent and can't be."""

    path: str
    "As the manifest would name it; not safe to show, perhaps not even valid Unicode."
    reason: str
    "Safe to show; does not hold the path."


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found."""

    entries: Sequence[Entry] = ()
    origins: Sequence[Origin] = ()
    "For each entry where its content is."
    notes: tuple[str, ...] = ()
    "What was left out on purpose, a line each, safe to show."
    problems: tuple[Problem, ...] = ()
    "What should have been sent and can't be."
    devices: array[int] = field(default_factory=partial(array, "Q"))
    inodes: array[int] = field(default_factory=partial(array, "Q"))
    """For each entry what is there, as `os.stat_result` has it, modulo 2**64; 0 where nothing is
    known. Arrays: a tuple for each of a million entries would take 120 MB."""

    def __post_init__(self) -> None:
        if not len(self.entries) == len(self.devices) == len(self.inodes):
            raise ValueError("a device and an inode for each entry")

    def identity(self, number: int) -> Identity:
        """Return device and inode of an entry; `listed.NOWHERE` if they are not known."""
        if not self.inodes[number]:
            return NOWHERE
        return self.devices[number], self.inodes[number]

    def __add__(self, other: Scan) -> Scan:
        """Join two lists.

        Raises:
            UsageError: both have a thing of the same name at their top.
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
            self.notes + other.notes,
            self.problems + other.problems,
            self.devices + other.devices,
            self.inodes + other.inodes,
        )


def scan(paths: Iterable[str | Path], *, exclude: Sequence[str] = (), links: bool = False) -> Scan:
    """List everything at *paths*.

    Args:
        paths: files, folders, and devices or pipes, which are sent as streams.
        exclude: patterns as of a shell; each is compared with a name and with the path
            from the top; with a `/` at its end it means folders only.
        links: send symbolic links in trees as links, instead of leaving them out.

    Raises:
        SourceError: one of *paths* is missing or may not be read.
        UsageError: two of them have the same name, or one has none.
    """
    lister = _Lister(Exclusion(exclude), links)
    for path in paths:
        lister.add(os.fspath(path))
    return lister.result()


def scan_text(text: str, name: str = "text") -> Scan:
    """List a snippet of text."""
    content = text.encode(errors="replace")
    return _single(Entry(name, Kind.TEXT, len(content)), content)


def scan_stream(stream: BinaryIO, name: str = "stdin") -> Scan:
    """List a stream of unknown length, such as standard input.

    Args:
        stream: open for binary reading; not closed here.
        name: what the receiver shall call it.

    Raises:
        UsageError: *name* can't be the name of a file.
    """
    _usable_top(name)
    return _single(Entry(name, Kind.FILE, None), stream)


def _single(entry: Entry, origin: Origin) -> Scan:
    return Scan((entry,), (origin,), devices=array("Q", [0]), inodes=array("Q", [0]))


def manifest_id(entries: Iterable[Entry]) -> str:
    """Return the SHA-256, in hex, of *entries* in a canonical form.

    Two lists have the same id if they name the same things with the same sizes and times.
    """
    hasher = hashlib.sha256()
    for entry in entries:
        fields = (entry.path, entry.kind.value, entry.size, entry.mode, entry.mtime, entry.target)
        hasher.update(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
    return hasher.hexdigest()


class _Lister:
    """The list while it grows."""

    def __init__(self, exclusion: Exclusion, links: bool) -> None:
        self._exclusion = exclusion
        self._links = links
        self._entries = Entries()
        self._origins = Origins(self._entries)
        self._devices = array("Q")
        self._inodes = array("Q")
        self._notes: list[str] = []
        self._problems: list[Problem] = []
        self._tops: set[str] = set()

    def add(self, path: str) -> None:
        """List one thing that was named, following it if it is a link."""
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
            # Resolved now, so that no link need be followed when it is opened.
            self._append_top(_entry(name, Kind.FILE, status), os.path.realpath(path), status)
        elif stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            self._append_top(Entry(name, Kind.FILE, None), os.path.abspath(path), status)
        else:
            raise SourceError(f"{printable(path)} is neither a file nor a folder nor a pipe")

    def result(self) -> Scan:
        """Return what has been found."""
        return Scan(
            self._entries,
            self._origins,
            tuple(self._notes),
            tuple(self._problems),
            self._devices,
            self._inodes,
        )

    def _walk(self, top: str, name: str) -> None:
        """List what is in the folder *top*, without recursion: trees may be deep.

        A folder stays open until all that is in it has been listed, and what is in it is looked up
        in it: a link that takes the place of a folder meanwhile leads nowhere.
        """
        try:
            levels = [_Level(top, name, None)]
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
                        self._problem(f"{level.path}/{item.name}", _reason(error))
        finally:
            for level in levels:
                level.close()

    def _add_inner(self, level: _Level, item: os.DirEntry[str]) -> bool:
        """List one thing inside a tree; True if it is a folder to go into."""
        path = f"{level.path}/{item.name}"
        try:
            is_folder = item.is_dir(follow_symlinks=False)
            if self._exclusion.matches(item.name, path, is_folder):
                return False
            safe_path(path)
            status = item.stat(follow_symlinks=False)
        except UnsafeName as error:
            self._problem(path, str(error))
            return False
        except OSError as error:
            self._problem(path, _reason(error))
            return False
        if is_folder:
            self._append(_entry(path, Kind.DIRECTORY, status), status)
        elif stat.S_ISREG(status.st_mode):
            self._append(_entry(path, Kind.FILE, status), status)
        elif stat.S_ISLNK(status.st_mode):
            self._add_link(level, item, path, status)
        else:
            self._note(path, "it is not a file")
        return is_folder

    def _add_link(
        self, level: _Level, item: os.DirEntry[str], path: str, status: os.stat_result
    ) -> None:
        if not self._links:
            self._note(path, "it is a symbolic link")
            return
        try:
            target = os.readlink(item.path, dir_fd=level.fd)
            size = len(target.encode())
        except OSError as error:
            self._problem(path, _reason(error))
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

    def _note(self, path: str, reason: str) -> None:
        self._notes.append(f"{printable(path)}: left out: {reason}")

    def _problem(self, path: str, reason: str) -> None:
        self._problems.append(Problem(path, reason))


class _Level:
    """A folder that is being listed.

    Args:
        place: where it is; of the top one the path that was named, which may be a link.
        path: its path in the manifest.
        above: the folder that it is in; None for the top.

    Raises:
        OSError: it can't be read, or is a link by now.
    """

    __slots__ = ("_inside", "fd", "items", "path")

    def __init__(self, place: str, path: str, above: _Level | None) -> None:
        self.path = path
        self._inside = os.path.join(place, "x")[:-1]
        self.fd: int | None = None
        "Where the system can look names up in it."
        if USE_DESCRIPTORS and above is None:
            self.fd = os.open(place, _FOLDER & ~NOFOLLOW)
        elif USE_DESCRIPTORS and above is not None:
            self.fd = os.open(os.path.basename(place), _FOLDER, dir_fd=above.fd)
        try:
            with os.scandir(place if self.fd is None else self.fd) as items:
                self.items = sorted(items, key=lambda item: item.name, reverse=True)
        except BaseException:
            self.close()
            raise

    def place(self, item: os.DirEntry[str]) -> str:
        """Return the path of something in it."""
        return self._inside + item.name

    def close(self) -> None:
        """Let go of the descriptor."""
        if self.fd is not None:
            os.close(self.fd)


def _entry(path: str, kind: Kind, status: os.stat_result) -> Entry:
    size = status.st_size if kind is Kind.FILE else 0
    stored: int | None = None
    blocks: int | None = getattr(status, "st_blocks", None)  # Windows does not say
    if blocks is not None and blocks * 512 + SPARSE_MARGIN <= size:
        stored = blocks * 512
    return Entry(path, kind, size, status.st_mode & 0o777, _mtime(status), "", stored)


def _top_name(path: str) -> str:
    """Return what a named thing is called for the receiver."""
    name = os.path.basename(path.rstrip("/" + os.sep))
    if name in ("", ".", ".."):
        name = os.path.basename(os.path.realpath(path))
    _usable_top(name, path)
    return name


def _usable_top(name: str, path: str = "") -> None:
    shown = printable(path or name)
    try:
        components = safe_path(name)
    except UnsafeName as error:
        raise UsageError(f"can't send {shown}: {error}", "give it another name") from None
    if len(components) != 1:
        raise UsageError(f"can't send {shown}: a name holds no slash", "give it another name")


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
            f"two things called {printable(name)} can't be sent at once",
            "rename one, or send the folder that holds it",
        )
    names.add(name)


def _missing(path: str, error: OSError | ValueError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"no such file or folder: {printable(path)}")
    reason = _reason(error) if isinstance(error, OSError) else "not a path"
    return SourceError(f"can't read {printable(path)}: {reason}")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "unknown error"


def _mtime(status: os.stat_result) -> int | None:
    """Return the time in microseconds; None where no file could sensibly have it."""
    mtime = status.st_mtime_ns // 1000
    return mtime if abs(mtime) < 2**53 else None  # what Entry.mtime can say
