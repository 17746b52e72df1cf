"""A file system with one file, an image of a disk, that records each write and each flush.

It is the disk of `tests.support.odd_disk` in a process of its own, started by `disks.Recording`.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time
from typing import Final

from tests.support.odd_disk import Disk, Rules, mount

__all__ = ["FLUSH", "RECORD"]

RECORD: Final = struct.Struct("<qqq")
"Of each entry: nanoseconds of the monotonic clock, offset or `FLUSH`, bytes that follow."
FLUSH: Final = -1


class _Recorder(Disk):
    def __init__(self, rules: Rules, log: int, delay: float) -> None:
        super().__init__(rules)
        self._log = log
        self._delay = delay

    def _check(self, call: str) -> None:
        if call == "fsync":
            os.write(self._log, RECORD.pack(time.monotonic_ns(), FLUSH, 0))
        super()._check(call)

    def _write(self, at: int, rest: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", rest)
        data = rest[40 : 40 + size]
        os.write(self._log, RECORD.pack(time.monotonic_ns(), offset, len(data)) + data)
        if self._delay:
            time.sleep(self._delay * size)
        return super()._write(at, rest)


_NEW_MOUNTS: Final = 0x20000  # CLONE_NEWNS
_PRIVATE: Final = 0x44000  # MS_REC | MS_PRIVATE
_DETACH: Final = 2  # MNT_DETACH


def _leave_mounts(place: str) -> None:
    """Hold no mount of this disk, or of a disk on it.

    The laboratory may be killed. Its mounts then end, for which this process must still serve.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_MOUNTS) or libc.mount(b"none", b"/", None, _PRIVATE, None):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    libc.umount2(place.encode(), _DETACH)


def _main(place: str, content: str, log: str, delay: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    disk = _Recorder(Rules(content=content), os.open(log, flags), float(delay))
    fd = mount(place)
    _leave_mounts(place)
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    disk.serve(fd)


if __name__ == "__main__":
    _main(*sys.argv[1:])
