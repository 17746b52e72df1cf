"""Writing to standard output and standard error, which may go away at any time."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["Stream", "is_terminal"]


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person looks at *stream*, on a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


class Stream:
    """A stream that never raises: a closed terminal must not end a transfer's clean-up."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    @classmethod
    def stdout(cls) -> Stream:
        """What a program reads."""
        return cls(sys.stdout)

    @classmethod
    def stderr(cls) -> Stream:
        """What a person reads."""
        return cls(sys.stderr)

    @property
    def raw(self) -> TextIO | None:
        """The stream itself."""
        return self._stream

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        return self._stream is not None and is_terminal(self._stream)

    @property
    def encoding(self) -> str:
        """The name of its encoding."""
        return getattr(self._stream, "encoding", None) or "ascii"

    def line(self, text: str = "", end: str = "\n") -> None:
        """Write a line at once; what the encoding lacks is escaped."""
        if self._stream is None:
            return
        safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        try:
            self._stream.write(safe + end)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None  # a closed pipe, a hung-up terminal: nobody reads any more
