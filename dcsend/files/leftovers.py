"""Parts that earlier runs have left below a folder: listing and removing them.

Only names that no received file can have are looked at (`names.safe_path`). Links are neither
followed nor removed, and a part that a run is writing stays.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dcsend.errors import DcsendError, DestinationError
from dcsend.files.disk import NOFOLLOW, NONBLOCK, OPEN_FOLDER, close_quietly, explain
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Identity, identity, is_link
from dcsend.files.locking import try_lock
from dcsend.files.names import JOURNAL_SUFFIX, MAX_LEVELS, PART_SUFFIX
from dcsend.printable import printable, system_reason

__all__ = ["Leftover", "find_leftovers", "remove_leftover"]

_SUFFIXES: Final = (PART_SUFFIX, JOURNAL_SUFFIX)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A part, or a journal without its part."""

    path: str
    "Relative to the folder that was searched."
    size: int
    "Bytes."
    mtime: float
    "Seconds since 1970-01-01 UTC: when it was written last."
    listed: Identity
    "Device and inode."
    is_busy: bool
    "Whether a run is writing it."


def find_leftovers(root: Path) -> Iterator[Leftover]:
    """Yield what earlier runs have left in *root* and the folders below it, folder by folder.

    Folders that can't be read are left out.

    Raises:
        DestinationError: *root* can't be read.
    """
    top = _open_root(root)
    try:
        yield from _search(top, "", MAX_LEVELS)
    finally:
        top.close()


def _open_root(root: Path) -> Folder:
    path = os.path.abspath(root)
    try:
        if not os.path.isdir(path):
            os.listdir(path)  # raises the reason
        # May be a link: the person at this machine chose the folder.
        fd = os.open(path, OPEN_FOLDER & ~NOFOLLOW) if USE_DESCRIPTORS else None
    except OSError as error:
        reason = explain(error, str(root)).message.replace("can't write", "can't read", 1)
        raise DestinationError(reason, "name a folder") from None
    return Folder(path, fd)


def _search(folder: Folder, above: str, levels: int) -> Iterator[Leftover]:
    below: list[str] = []
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(_place(folder)) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                below.append(one.name)
            elif one.name.endswith(_SUFFIXES):
                names.append(one.name)
    for name in sorted(names):
        stem = name.removesuffix(JOURNAL_SUFFIX)
        if stem != name and f"{stem}{PART_SUFFIX}" in names:
            continue  # it belongs to its part
        with contextlib.suppress(OSError):
            status = folder.lstat(name)
            if status is not None and stat.S_ISREG(status.st_mode) and not is_link(status):
                yield Leftover(
                    above + name,
                    status.st_size,
                    status.st_mtime,
                    identity(status),
                    _is_busy(folder, name),
                )
    for name in sorted(below) if levels else ():
        try:
            child = folder.enter(name)
        except (OSError, DcsendError):
            continue  # it can't be read, or is a link now
        try:
            yield from _search(child, f"{above}{name}/", levels - 1)
        finally:
            child.close()


def _place(folder: Folder) -> int | str:
    return folder.path if folder.fd is None else folder.fd


def _is_busy(folder: Folder, name: str) -> bool:
    fd = folder.open(name, os.O_RDONLY | NONBLOCK)
    try:
        return not try_lock(fd)
    finally:
        close_quietly(fd)


def remove_leftover(root: Path, leftover: Leftover) -> None:
    """Remove a part with its journal, or a journal.

    Args:
        root: the folder that was searched.
        leftover: as found there.

    Raises:
        DestinationError: a run is writing it, or it has been replaced, or it can't be removed.
    """
    *parents, name = leftover.path.split("/")
    folder = _open_root(root)
    try:
        for parent in parents:
            inner = folder.enter(parent)
            folder.close()
            folder = inner
        _remove(folder, name, leftover)
    except OSError as error:
        name = printable(leftover.path)
        raise DestinationError(f"can't remove {name}: {system_reason(error)}") from None
    finally:
        folder.close()


def _remove(folder: Folder, name: str, leftover: Leftover) -> None:
    fd = folder.open(name, os.O_RDONLY | NONBLOCK)
    try:
        if identity(os.fstat(fd)) != leftover.listed:
            raise DestinationError(f"{printable(leftover.path)} has been replaced meanwhile")
        if not try_lock(fd):
            raise DestinationError(f"{printable(leftover.path)}: another dcsend is receiving it")
        if os.name == "nt":
            close_quietly(fd)  # Windows removes no open file
            fd = -1
        # The journal first: without its part it has no meaning.
        stem = name.removesuffix(PART_SUFFIX)
        if stem != name:
            folder.remove(f"{stem}{JOURNAL_SUFFIX}")
        folder.remove(name)
    finally:
        if fd >= 0:
            close_quietly(fd)
