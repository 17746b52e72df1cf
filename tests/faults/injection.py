"""Compile inject.c, and steer it in a process that has preloaded it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.faults.calls import KINDS, SHORT

__all__ = ["LIBRARY", "Injection", "build", "join"]

LIBRARY: Final = "FAULTS_LIBRARY"
"The variable with the path of the compiled library, in the process that has preloaded it."
_SOURCE: Final = Path(__file__).with_name("inject.c")


class _Control(ctypes.Structure):
    """As `struct control` of inject.c."""

    _fields_ = (
        ("armed", ctypes.c_uint32),
        ("kinds", ctypes.c_uint32),
        ("nth", ctypes.c_uint32),
        ("error", ctypes.c_int32),
        ("lasting", ctypes.c_uint32),
        ("seen", ctypes.c_uint32),
        ("failed", ctypes.c_uint32),
        ("counts", ctypes.c_uint32 * len(KINDS)),
        ("root", ctypes.c_char * 1024),
        ("first", ctypes.c_char * 512),
    )


class Injection:
    """The calls that fail in one process.

    Args:
        path: of a new file that controls the process.
        root: only calls on paths below this folder fail.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(ctypes.sizeof(_Control))
            self._map = mmap.mmap(file.fileno(), 0)
        self._control = _Control.from_buffer(self._map)
        self._control.root = os.fsencode(root)

    def plan(self, kinds: Iterable[str], nth: int, error: str, *, lasting: bool = False) -> None:
        """Make the *nth* call of these kinds fail, from 1; with *lasting* each later one, too.

        With the error SHORT, the call transfers half of the bytes instead.
        """
        self._control.kinds = sum(1 << KINDS.index(kind) for kind in kinds)
        self._control.nth, self._control.lasting = nth, lasting
        self._control.error = 0 if error == SHORT else getattr(errno, error)

    def arm(self) -> None:
        """Count from now on."""
        self._control.armed = 1

    @property
    def failed(self) -> int:
        """How many calls have failed."""
        return int(self._control.failed)

    @property
    def first(self) -> str:
        """The call that failed first, and its path."""
        return os.fsdecode(self._control.first)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of calls of each kind that occurred."""
        pairs = zip(KINDS, self._control.counts, strict=True)
        return {kind: count for kind, count in pairs if count}

    def close(self) -> None:
        """Release the memory."""
        del self._control
        self._map.close()


def build(folder: Path) -> Path:
    """Compile the library into *folder*."""
    library = folder / "inject.so"
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-Wno-nonnull-compare", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, "-o", library, _SOURCE, "-ldl"], check=True)
    return library


def join(path: Path) -> None:
    """Be steered by an `Injection`, in the process that shall fail."""
    library = ctypes.CDLL(os.environ[LIBRARY])
    if library.faults_begin(os.fsencode(path)):
        raise OSError("the injection can't be mapped")
