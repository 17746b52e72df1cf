"""Files to send: random bytes, never sparse, and room for them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["random_file", "require_room", "workshop"]

_SPARE: Final = 2_000_000_000
"Bytes that stay free beside the files."


@contextmanager
def workshop(needed: int = 0) -> Iterator[Path]:
    """Make a folder for files, removed at the end; TMPDIR selects the disk.

    Args:
        needed: bytes of its files; ends the program without so much free space.
    """
    with tempfile.TemporaryDirectory(prefix="dcsend-bench-") as name:
        require_room(Path(name), needed)
        yield Path(name)


def require_room(folder: Path, needed: int) -> None:
    """End the program, plainly, where the disk is too small."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise SystemExit(
            f"this needs {(needed + _SPARE) / 1e9:.1f} GB in {folder.parent} and {free / 1e9:.1f} "
            "are free; TMPDIR=… names another place, smaller sizes need less"
        )


def random_file(path: Path, size: int) -> Path:
    """Fill *path* with *size* random bytes."""
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))
    return path
