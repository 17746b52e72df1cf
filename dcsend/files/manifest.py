"""Make the list of what shall be sent, from the paths that a person named.

Lists only; opens no file. A tree is listed in sorted order, each folder before what is in
it. What can't be sent is told, never silently left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from dcsend.entry import Entry, Kind
from dcsend.errors import SourceError, UsageError
from dcsend.files.exclusion import Exclusion
from dcsend.files.names import MAX_PATH, UnsafeName, safe_path
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

Origin: TypeAlias = str | bytes | BinaryIO
"Where an entry's content is: a path, the bytes of a text, or an open stream."


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

    entries: tuple[Entry, ...] = ()
    origins: tuple[Origin, ...] = ()
    "For each entry where its content is."
    notes: tuple[str, ...] = ()
    "What was left out on purpose, a line each, safe to show."
    problems: tuple[Problem, ...] = ()
    "What should have been sent and can't be."

    def __add__(self, other: Scan) -> Scan:
        """Join two lists.

        Raises:
            UsageError: both have a thing of the same name at their top.
        """
        names: set[str] = set()
        for name in [*_tops(self), *_tops(other)]:
            _refuse_same_name(name, names)
        return Scan(
            self.entries + other.entries,
            self.origins + other.origins,
            self.notes + other.notes,
            self.problems + other.problems,
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
    return Scan((Entry(name, Kind.TEXT, len(content)),), (content,))


def scan_stream(stream: BinaryIO, name: str = "stdin") -> Scan:
    """List a stream of unknown length, such as standard input.

    Args:
        stream: open for binary reading; not closed here.
        name: what the receiver shall call it.

    Raises:
        UsageError: *name* can't be the name of a file.
    """
    _usable_top(name)
    return Scan((Entry(name, Kind.FILE, None),), (stream,))


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
        self._entries: list[Entry] = []
        self._origins: list[Origin] = []
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
            self._append(_entry(name, Kind.DIRECTORY, status), os.path.abspath(path))
            self._walk(os.path.abspath(path), name)
        elif stat.S_ISREG(status.st_mode):
            # Resolved now, so that no link need be followed when it is opened.
            self._append(_entry(name, Kind.FILE, status), os.path.realpath(path))
        elif stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
            self._append(Entry(name, Kind.FILE, None), os.path.abspath(path))
        else:
            raise SourceError(f"{printable(path)} is neither a file nor a folder nor a pipe")

    def result(self) -> Scan:
        """Return what has been found."""
        return Scan(
            tuple(self._entries), tuple(self._origins), tuple(self._notes), tuple(self._problems)
        )

    def _walk(self, top: str, name: str) -> None:
        """List what is in the folder *top*, without recursion: trees may be deep."""
        pending = self._read(top, name, top=True)
        while pending:
            item, path = pending.pop()
            if self._add_inner(item, path):
                pending.extend(self._read(item.path, path))

    def _read(
        self, place: str, path: str, *, top: bool = False
    ) -> list[tuple[os.DirEntry[str], str]]:
        """Return what is in one folder, last name first."""
        try:
            with os.scandir(place) as items:
                found = sorted(items, key=lambda item: item.name, reverse=True)
        except OSError as error:
            if top:
                raise _missing(place, error) from None
            self._problem(path, _reason(error))
            return []
        return [(item, f"{path}/{item.name}") for item in found]

    def _add_inner(self, item: os.DirEntry[str], path: str) -> bool:
        """List one thing inside a tree; True if it is a folder to go into."""
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
            self._append(_entry(path, Kind.DIRECTORY, status), item.path)
        elif stat.S_ISREG(status.st_mode):
            self._append(_entry(path, Kind.FILE, status), item.path)
        elif stat.S_ISLNK(status.st_mode):
            self._add_link(item, path, status)
        else:
            self._note(path, "it is not a file")
        return is_folder

    def _add_link(self, item: os.DirEntry[str], path: str, status: os.stat_result) -> None:
        if not self._links:
            self._note(path, "it is a symbolic link")
            return
        try:
            target = os.readlink(item.path)
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
            self._append(Entry(path, Kind.LINK, 0, 0o777, mtime, target), item.path)

    def _append(self, entry: Entry, origin: Origin) -> None:
        self._entries.append(entry)
        self._origins.append(origin)

    def _note(self, path: str, reason: str) -> None:
        self._notes.append(f"{printable(path)}: left out: {reason}")

    def _problem(self, path: str, reason: str) -> None:
        self._problems.append(Problem(path, reason))


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
