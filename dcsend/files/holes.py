"""Holes of sparse files, which are not read from the disk.

The readers of what is sent and of what was received use it.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from dcsend.files.manifest import SPARSE_MARGIN

__all__ = ["MAX_HOLE", "MIN_HOLE", "Holes"]

MIN_HOLE: Final = 64 << 10
"Bytes; a shorter hole is read as zeros."
MAX_HOLE: Final = 1 << 30
"Bytes; a longer hole is sent as several (limit of the protocol)."


class Holes:
    """Finds the holes of an open file that is read from one place on.

    Args:
        fd: of the file; its file offset is where the next read begins.
        size: bytes of the file that are examined.
        status: of the file.
    """

    def __init__(self, fd: int, size: int, status: os.stat_result) -> None:
        self._fd = fd
        self._size = size
        blocks: int = getattr(status, "st_blocks", size)
        self.sparse = hasattr(os, "SEEK_HOLE") and blocks * 512 + SPARSE_MARGIN <= size
        "Whether the file has holes that the system shows."
        self._hole: tuple[int, int] = (0, 0)
        "The last hole found: its start and its end."

    def at(self, position: int) -> tuple[int, int]:
        """Return start and end of the hole at *position*, or of the next; (size, size) if none.

        Sets the file offset to the place of the next read.

        Raises:
            OSError: a system call failed.
        """
        first, last = self._hole
        if position < last:
            if position >= first:
                os.lseek(self._fd, last, os.SEEK_SET)
            return self._hole
        if sys.platform == "win32":
            return self._size, self._size
        first = position
        try:
            while first < self._size:
                first = min(os.lseek(self._fd, first, os.SEEK_HOLE), self._size)
                last = self._data_after(first)
                if last - first >= MIN_HOLE:
                    break
                first = last
            else:
                first = last = self._size
        except OSError:
            self.sparse = False  # this file system does not support it
            first = last = self._size
        self._hole = (first, last)
        # The next read is after the hole, or at *position*.
        os.lseek(self._fd, last if first <= position else position, os.SEEK_SET)
        return self._hole

    def _data_after(self, position: int) -> int:
        if sys.platform == "win32":
            return position
        try:
            return min(os.lseek(self._fd, position, os.SEEK_DATA), self._size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return self._size
            raise
