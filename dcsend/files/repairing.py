"""Bytes of a part that were changed on the disk are overwritten with those of the sender."""

from __future__ import annotations

import os

from dcsend.content import Repair
from dcsend.files.disk import write_all
from dcsend.files.intake import zeros

__all__ = ["overwrite"]


def overwrite(fd: int, repair: Repair) -> None:
    """Write *repair* at its offset; blocks that are zero already stay holes.

    Args:
        fd: of the part, open for reading and writing; its file offset is changed.
        repair: at least one byte.

    Raises:
        OSError: a system call failed.
    """
    os.lseek(fd, repair.offset, os.SEEK_SET)
    if repair.payload:
        write_all(fd, repair.payload)
        return
    offset = repair.offset
    for block in zeros(repair.length):
        if os.read(fd, len(block)) != block:
            os.lseek(fd, offset, os.SEEK_SET)
            write_all(fd, block)
        offset += len(block)
