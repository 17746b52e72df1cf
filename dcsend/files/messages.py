"""Binary messages of a chat, each as a file of its own. Blocking; nothing is ever replaced."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from dcsend.errors import DestinationError
from dcsend.printable import printable

__all__ = ["MessageFolder"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST: Final = 40
"Characters of a label that a file's name keeps."


class MessageFolder:
    """Names and writes the files: `LABEL-000001.bin` and so on.

    A label is a stranger's text; of it only letters, digits, `-` and `_` get into a name.
    """

    def __init__(self, root: Path) -> None:
        """Use *root*, which is made with the first message."""
        self._root = root
        self._numbers: dict[str, int] = {}

    def save(self, label: str, data: bytes) -> Path:
        """Write one message; return where.

        Raises:
            DestinationError: it can't be written; nothing is left of it.
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
                f"can't save a message in {printable(str(self._root))}: {exc.strerror}",
                "make room, or choose another folder with --save",
            ) from exc
        return path

    def _new(self, stem: str) -> tuple[Path, int]:
        """Make the next file that is not there yet."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        while True:
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            path = self._root / f"{stem}-{number:06}.bin"
            try:
                return path, os.open(path, flags, 0o666)
            except FileExistsError:
                continue  # of an earlier chat
