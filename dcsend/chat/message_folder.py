"""Binary messages of `dcsend chat --save`, each in a file of its own. No file is replaced."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable, system_reason

__all__ = ["MessageFolder"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST: Final = 40
"Characters of a label in a file name."


class MessageFolder:
    """Writes files `LABEL-000001.bin` and so on.

    The peer chooses the label; only its letters, digits, `-` and `_` are used in a name.

    Args:
        root: the folder, created for the first message.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers: dict[str, int] = {}

    def save(self, label: str, data: bytes) -> Path:
        """Write one message and return the path of its file.

        Raises:
            DestinationError: it can't be written; no file is left.
        """
        stem = _UNSAFE.sub("_", label)[:_LONGEST].strip("_") or "channel"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            path, descriptor = self._new(stem)
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        except OSError as exc:
            raise DestinationError(
                f"can't save a message in {printable(str(self._root))}: {system_reason(exc)}",
                "make room, or choose another folder with --save",
            ) from exc
        return path

    def _new(self, stem: str) -> tuple[Path, int]:
        """Create the next file that does not exist."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        while True:
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            path = self._root / f"{stem}-{number:06}.bin"
            try:
                return path, os.open(path, flags, 0o666)
            except FileExistsError:
                continue  # of an earlier chat
