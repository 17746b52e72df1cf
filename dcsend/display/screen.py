r"""The lower end of a terminal: what is still going on, below the lines that stay.

    lines that stay
    lines that stay
    QR code, command              while the other side is awaited: later lines go above these
    total  12% |███      | …      rows that are replaced: bars,
    what is being typed_          or one row that says what is awaited, or a question

What a person types is echoed by the terminal itself, in the row of the cursor. Off a terminal,
and on one that can't move its cursor, nothing is ever replaced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from dcsend.display.streams import Stream
from dcsend.display.wording import fit, width

__all__ = ["Screen"]

_SAVE: Final = "\x1b7"
_RESTORE: Final = "\x1b8"
_CLEAR_ROW: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"
_CLEAR_FROM_HERE: Final = f"{_CLEAR_ROW}\x1b[B{_CLEAR_BELOW}\x1b[A"
"""As `_CLEAR_BELOW` where a row follows. What is cleared from the first row of the window on, tmux
takes for lines that scroll out, and keeps a copy."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Screen:
    """Writes lines that stay, and keeps below them what does not."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rows: list[str] = []
        "What stands below the lines that stay."
        self._lasting = 0
        "How many of these, from the first, stay when the rest is replaced."
        self._below = 0
        "Rows that the cursor stands below the last of these: 1 for bars, else 0."
        self._question = False

    def lines(self, texts: Sequence[str]) -> None:
        """Write lines that stay, and what is below them once."""
        if texts:
            self.line("\n".join(texts))

    def line(self, text: str) -> None:
        """Write a line that stays."""
        if self._stream.movable:
            self._stream.write(self._up() + text + "\n" + self._drawn())
        elif self._question:
            self._stream.write(f"\n{text}\n{self._rows[0]}")
        else:
            self._stream.line(text)

    def notice(self, text: str, texts: Sequence[str] = ()) -> None:
        """Write *texts*, or *text*; where a block fills the window, put *text* below it, too."""
        written = "\n".join(texts or [text])
        self.line(written)
        columns, rows = self._stream.window
        heights = (_height(row, columns) for row in [*written.split("\n"), *self._rows])
        if self._lasting and sum(heights) > rows:
            self._rows[-1] = fit(text, columns - 1).rstrip()
            self._stream.write(f"\r{_CLEAR_ROW}{self._rows[-1]}")

    def typed(self, text: str) -> None:
        """Turn the line that has just been typed into one that stays above the rest."""
        if self._stream.movable:
            # Enter has moved the cursor one row down.
            self._stream.write(self._up(1) + text + "\n" + self._drawn())

    def status(self, text: str) -> None:
        """Say what is awaited, below all lines, until that is cleared or replaced."""
        if not self._stream.movable:
            self._stream.line(text)
            return
        self._replace([fit(text, self._stream.window[0] - 1).rstrip()])

    def block(self, lines: Sequence[str], status: str) -> None:
        """Keep *lines* in sight above a status; when that is replaced, they stay where they are.

        Lines that do not fit into the window together are lines like others.
        """
        columns, rows = self._stream.window
        fits = sum(_height(line, columns) for line in lines) < rows
        if not self._stream.movable or not fits:
            self.lines(lines)
            self.status(status)
            return
        self._replace([*lines, fit(status, columns - 1).rstrip()])
        self._lasting = len(lines)

    def withdraw(self) -> None:
        """Take away everything below the lines that stay, a block included."""
        self._lasting = 0
        self.clear()

    def ask(self, text: str) -> None:
        """Show a question; the answer is typed behind it."""
        if self._stream.movable:
            self._replace([text])
        else:
            self._rows = [text]
            self._stream.write(text)
        self._question = True

    def answered(self) -> None:
        """Let the question stay: Enter has moved the cursor below it."""
        self._rows, self._question = [], False

    def take_back(self) -> None:
        """Take away what does not stay, an unanswered question with all that was typed, too."""
        if self._question and not self._stream.movable:
            self._stream.line()
            self.answered()
        elif self._rows:
            self._replace([])

    def bars(self, rows: Sequence[str]) -> None:
        """Show bars, or move those that are there; ignored where nothing can be moved."""
        if not self._stream.movable or not rows:
            return
        if not self._below or len(rows) != len(self._rows):
            self._replace(rows, below=1)
            return
        self._rows = list(rows)
        # The cursor returns to where it was, so that half a typed line is not torn apart.
        drawn = "".join(f"{row}{_CLEAR_ROW}\n" for row in rows)
        self._stream.write(f"{_SAVE}\x1b[{len(rows)}A\r{drawn}{_RESTORE}")

    def clear(self) -> None:
        """Take away what does not stay; a question without an answer stays."""
        if self._question:
            self._stream.line()
            self.answered()
        elif self._rows:
            self._replace([])

    def _replace(self, rows: Sequence[str], below: int = 0) -> None:
        self._rows, self._lasting = self._rows[self._lasting :], 0
        up = self._up()
        self._rows, self._below, self._question = list(rows), below, False
        self._stream.write(up + self._drawn())

    def _up(self, further: int = 0) -> str:
        """Return what moves the cursor to the first row and clears from there."""
        columns, _ = self._stream.window
        heights = [_height(row, columns) for row in self._rows]
        up = sum(heights) - (1 if heights and not self._below else 0) + further
        return f"\x1b[{up}A\r{_CLEAR_FROM_HERE}" if up else f"\r{_CLEAR_BELOW}"

    def _drawn(self) -> str:
        return "\n".join(self._rows) + "\n" * self._below


def _height(row: str, columns: int) -> int:
    """Return how many rows of the window a line takes."""
    return max(1, -(-width(_COLOURS.sub("", row)) // columns))
