"""A disk in memory: what processes see, and what is left of it when the power fails.

Content is durable when its file was synced. Names are durable, in their order, as on a file system
with a journal: a sync of any file or folder makes all names before it durable. A power cut keeps
some of the other names, none before those that are lost, and some of the other writes of each file
in any order, or the first sectors of one. So a file may have zeros where a write was lost.
"""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["Disk", "Inode", "fault"]

_SECTOR: Final = 512
_SHARES: Final = (0.0, 0.3, 0.7, 1.0)
"Parts of the unsynced writes that a power cut leaves."


def fault(number: int) -> OSError:
    """Return the error of a system call."""
    return OSError(number, os.strerror(number))


class Inode:
    """A file, or a folder."""

    def __init__(self, number: int, mode: int, now: int) -> None:
        self.number = number
        self.mode = mode
        self.mtime = now
        self.links = 0
        self.content = bytearray()
        self.durable = b""
        self.pending: list[tuple[int, bytes | None]] = []
        "Writes since the last sync: offset and bytes, or a new length and None."
        self.names: dict[str, Inode] = {}
        "Of a folder."
        self.durable_names: dict[str, Inode] = {}
        self.locks: dict[object, bool] = {}
        "Whether a lock is exclusive, by open file."

    @property
    def is_folder(self) -> bool:
        """Whether it has names."""
        return stat.S_ISDIR(self.mode)

    def write(self, offset: int, payload: bytes) -> None:
        """Write bytes; a gap before them becomes zeros."""
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(payload)] = payload
        self.pending.append((offset, payload))

    def truncate(self, length: int) -> None:
        """Set the length."""
        self._resize(self.content, length)
        self.pending.append((length, None))

    def sync(self) -> None:
        """Make the content durable."""
        if self.pending:
            self.durable = bytes(self.content)
            self.pending.clear()

    def cut(self, rng: random.Random) -> None:
        """Lose some of what is not durable."""
        content, share = bytearray(self.durable), rng.choice(_SHARES)
        for offset, payload in self.pending:
            if rng.random() >= share:
                continue
            if payload is None:
                self._resize(content, offset)
                continue
            if rng.random() < 0.2:
                payload = payload[: rng.randint(0, len(payload) // _SECTOR) * _SECTOR]
            if payload and len(content) < offset:
                content.extend(bytes(offset - len(content)))
            content[offset : offset + len(payload)] = payload
        self.content, self.durable = content, bytes(content)
        self.pending.clear()

    @staticmethod
    def _resize(content: bytearray, length: int) -> None:
        if length < len(content):
            del content[length:]
        else:
            content.extend(bytes(length - len(content)))


_Change = tuple[Inode, str, Inode | None]
"Folder, name, and what has it; None: nothing."


class Disk:
    """One file system.

    Args:
        number: of the device.
        clock: seconds of the simulation.
        on_name: called with each path that gets a name.
        exclusive: whether it has a rename that replaces nothing.
    """

    def __init__(
        self,
        number: int,
        clock: Callable[[], float],
        on_name: Callable[[str, Inode], None] = lambda path, inode: None,
        *,
        exclusive: bool = True,
    ) -> None:
        self.number = number
        self.exclusive = exclusive
        self._clock = clock
        self._on_name = on_name
        self._last = 1
        self._journal: list[tuple[_Change, ...]] = []
        "Changes of names that are not durable; each tuple is one step."
        self.root = self.make(stat.S_IFDIR | 0o755)
        self.root.links = 1

    def make(self, mode: int) -> Inode:
        """Return a file or folder without a name."""
        self._last += 1
        return Inode(self._last, mode, self.now)

    @property
    def now(self) -> int:
        """Nanoseconds since 1970."""
        return int(self._clock() * 1e9) + 1_700_000_000_000_000_000

    # --- names

    def find(self, path: str, at: Inode | None = None) -> Inode:
        """Return what has a path.

        Raises:
            OSError: nothing has it.
        """
        found = self.root if at is None or path.startswith("/") else at
        for name in path.split("/"):
            if name in ("", "."):
                continue
            if not found.is_folder:
                raise fault(errno.ENOTDIR)
            below = found.names.get(name)
            if below is None:
                raise fault(errno.ENOENT)
            found = below
        return found

    def place(self, path: str, at: Inode | None = None) -> tuple[Inode, str]:
        """Return the folder of a path, and the last name of it."""
        above, _, name = path.rstrip("/").rpartition("/")
        folder = self.find((above or "/") if path.startswith("/") else above, at)
        if not folder.is_folder:
            raise fault(errno.ENOTDIR)
        return folder, name

    def change(self, *changes: _Change) -> None:
        """Change names, in one step of the journal."""
        for folder, name, inode in changes:
            before = folder.names.pop(name, None)
            if before is not None:
                before.links -= 1
            if inode is not None:
                folder.names[name] = inode
                inode.links += 1
        self._journal.append(changes)
        for folder, name, inode in changes:
            if inode is not None:
                self._on_name(f"{self._path(folder)}/{name}", inode)

    def commit(self) -> None:
        """Make all names durable."""
        self._apply(len(self._journal))

    def cut(self, rng: random.Random) -> None:
        """Lose some of what is not durable: the power fails."""
        self._apply(rng.randint(0, len(self._journal)))
        self._journal.clear()
        found: dict[int, Inode] = {}
        for folder in list(self._folders(self.root, found)):
            folder.names = dict(folder.durable_names)
        found.clear()
        for _ in self._folders(self.root, found):
            pass
        for inode in found.values():
            inode.links = 0
            inode.locks.clear()
            inode.cut(rng)
        self.root.links = 1
        for inode in found.values():
            for below in inode.names.values():
                below.links += 1

    def files(self, *, durable: bool = False) -> Iterator[tuple[str, Inode]]:
        """Yield the path of each file, as it is, or as it is in the journal."""
        waiting = [("", self.root)]
        while waiting:
            path, folder = waiting.pop()
            names = folder.durable_names if durable else folder.names
            for name, inode in names.items():
                if inode.is_folder:
                    waiting.append((f"{path}/{name}", inode))
                else:
                    yield f"{path}/{name}", inode

    def durable_content(self, path: str) -> bytes | None:
        """Return what a file has after any power cut; None if it may be gone."""
        found = self.root
        for name in path.split("/"):
            if name:
                below = found.durable_names.get(name)
                if below is None:
                    return None
                found = below
        return found.durable

    def _apply(self, count: int) -> None:
        for step in self._journal[:count]:
            for folder, name, inode in step:
                folder.durable_names.pop(name, None)
                if inode is not None:
                    folder.durable_names[name] = inode
        del self._journal[:count]

    def _folders(self, top: Inode, found: dict[int, Inode]) -> Iterator[Inode]:
        waiting = [top]
        while waiting:
            inode = waiting.pop()
            if inode.number in found:
                continue
            found[inode.number] = inode
            if inode.is_folder:
                yield inode
                waiting += inode.names.values()

    def _path(self, folder: Inode) -> str:
        waiting = [("", self.root)]
        while waiting:
            path, one = waiting.pop()
            if one is folder:
                return path
            waiting += [(f"{path}/{n}", i) for n, i in one.names.items() if i.is_folder]
        return "?"
