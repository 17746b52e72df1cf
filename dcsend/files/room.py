"""Whether a manifest fits on the disk."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from dcsend.entry import Kind
from dcsend.errors import DestinationError
from dcsend.files.names import PART_SUFFIX, beside, safe_path
from dcsend.files.resuming import FoundPart
from dcsend.listing import Entries
from dcsend.printable import format_size, printable

__all__ = ["check_room", "free_room", "nearest_existing"]


def check_room(
    entries: Entries,
    skip: Container[int],
    root: Path,
    folders: int = 0,
    found: Mapping[int, FoundPart] = MappingProxyType({}),
) -> list[int]:
    """Refuse a manifest that exceeds the free space, as far as sizes are known.

    Args:
        entries: the manifest.
        skip: numbers of the entries that are not received.
        root: the chosen folder.
        folders: how many are created; each takes a block of the disk.
        found: the parts that are continued, by number of the entry.

    Returns:
        Entries whose parts of an earlier run must be removed first to make room.

    Raises:
        DestinationError: there is not enough room.
    """
    nearest, _ = nearest_existing(root)
    needed = folders * _block(nearest)
    for number, entry in enumerate(entries):
        if entry.kind is Kind.FILE and entry.size is not None and number not in skip:
            whole = entry.size if entry.stored is None else min(entry.size, entry.stored)
            needed += max(0, whole - (found[number].stored if number in found else 0))
    if not needed:
        return []
    free, stale = free_room(nearest), list[int]()
    if free is None:
        return []
    if needed > free:
        for number, taken in _parts(entries, skip, root):
            if number in found:
                continue
            free += taken
            stale.append(number)
            if needed <= free:
                return stale
        without = ", those of unfinished files of an earlier run counted" if stale else ""
        raise DestinationError(
            f"not enough room in {printable(str(root))}: "
            f"{format_size(needed)} needed, {format_size(free)} free{without}",
            "make room, or choose another folder with --output",
        )
    return stale


def free_room(path: Path) -> int | None:
    """Return the free bytes on the disk of *path*, which may not exist yet; None if unknown."""
    try:
        usage = shutil.disk_usage(nearest_existing(path)[0])
    except OSError:
        return None
    return usage.free if usage.total else None  # 0: ramfs, and some network and FUSE file systems


def _parts(entries: Entries, skip: Container[int], root: Path) -> Iterator[tuple[int, int]]:
    """Yield each entry with a part of an earlier run, and the bytes on the disk of the part."""
    for number, entry in enumerate(entries):
        if entry.kind is not Kind.FILE or number in skip:
            continue
        *folders, name = safe_path(entry.path)
        try:
            status = os.lstat(os.path.join(root, *folders, beside(name, PART_SUFFIX)))
        except OSError:
            continue
        # Removing one of two hard links frees no space.
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            blocks: int | None = getattr(status, "st_blocks", None)  # not on Windows
            yield number, status.st_size if blocks is None else blocks * 512


def _block(path: Path) -> int:
    """Return the size of a block of the disk of *path*, in bytes."""
    if sys.platform == "win32":
        return 4096
    try:
        return os.statvfs(path).f_frsize or 4096
    except OSError:
        return 4096


def nearest_existing(path: Path) -> tuple[Path, Path | None]:
    """Return *path*, or the closest of its parents that exists, and the missing one in it.

    Raises:
        OSError: a system call failed.
    """
    missing = None
    while not path.exists() and path.parent != path:
        path, missing = path.parent, path
    return path, missing
