r"""The lower end of a terminal: temporary rows below permanent lines.

    permanent lines
    permanent lines
    QR code, command              the block, while a peer is awaited: later lines go above it
    total  12% |███      | …      temporary rows: bars,
    typed text_                   or a status, or a question

The terminal echoes typed text in the row of the cursor. Nothing is replaced off a terminal, or on
one whose cursor can't be moved.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from dcsend.display.streams import Stream
from dcsend.display.wording import clipped, width, wrapped

__all__ = ["Screen", "watched_window"]

_SAVE: Final = "\x1b7"
_RESTORE: Final = "\x1b8"
_CLEAR_ROW: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"
_CLEAR_FROM_HERE: Final = f"{_CLEAR_ROW}\x1b[B{_CLEAR_BELOW}\x1b[A"
"""As `_CLEAR_BELOW` if a row follows. If a program clears from the first row of the window on, tmux
copies the cleared rows to its history."""
_MORE: Final = " (more above)"
_INVISIBLE: Final = re.compile(r"\x1b\[[0-9;]*[mD]")
"Colours, and what moves the cursor to the left at the end of a row."
_SETTLED: Final = 0.2
"Seconds after a change of the window until rows are drawn again: a person drags its edge."
_SIGWINCH: Final[int] = getattr(signal, "SIGWINCH", 0)
"Windows has none."


@contextmanager
def watched_window(changed: Callable[[], None]) -> Iterator[None]:
    """Call *changed* after the size of the window has changed, in the running event loop."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def wait() -> None:
        nonlocal timer
        if timer is not None:
            timer.cancel()
        timer = loop.call_later(_SETTLED, changed)

    with suppress(NotImplementedError, ValueError, RuntimeError):
        loop.add_signal_handler(_SIGWINCH, wait)
    try:
        yield
    finally:
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.remove_signal_handler(_SIGWINCH)
        if timer is not None:
            timer.cancel()


class Screen:
    """Writes permanent lines, and redraws the temporary rows below them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rows: list[str] = []
        "The block, if it is still redrawn, and the temporary rows."
        self._lasting = 0
        "How many of these, from the first, are the block."
        self._below = 0
        "Rows from the last of these to the cursor: 1 where lines can be typed, otherwise 0."
        self._question = False
        self._block = (0, 0)
        "Columns of the window, and rows from the start of the last block to the temporary rows."

    @property
    def is_block_visible(self) -> bool:
        """Whether the last block is still in the window, with everything below it."""
        columns, rows = self._stream.window
        before, taken = self._block
        return before == columns and taken + sum(_height(row, columns) for row in self._rows) < rows

    @property
    def has_block(self) -> bool:
        """Whether there is a block that can be replaced."""
        return self._lasting > 0

    def lines(self, texts: Sequence[str]) -> None:
        """Write permanent lines, and redraw the temporary rows once."""
        if texts:
            self.line("\n".join(texts))

    def line(self, text: str) -> None:
        """Write a permanent line."""
        self._count(text.split("\n"))
        if self._stream.movable:
            self._stream.write(self._up() + text + "\n" + self._drawn())
        elif self._question:
            self._stream.write(f"\n{text}\n{self._rows[0]}")
        else:
            self._stream.line(text)

    def overflows(self, lines: Sequence[str], block: Sequence[str] | None = None) -> bool:
        """Return whether *lines* above a block and its status do not fit into the window.

        Args:
            lines: permanent lines.
            block: the next block; None for the current one, if there is one.
        """
        columns, rows = self._stream.window
        present = self._rows if self._lasting else []
        below = present if block is None else [*block, ""]
        return bool(below) and sum(_height(row, columns) for row in [*lines, *below]) > rows

    def notice(self, text: str, texts: Sequence[str] = ()) -> str:
        """Write *texts*, or *text*; if they scroll out above a block, show *text* in one row, too.

        It is cut between words, a mark is added, and the row is the first one of the window, or, if
        the block leaves none, the status.

        Returns:
            That status; empty if it is not replaced.
        """
        written = list(texts or [text])
        columns, rows = self._stream.window
        if not self._lasting or not self.overflows(written):
            self.lines(written)
            return ""
        more = _MORE if len(written) > 1 and columns > 2 * len(_MORE) else ""
        brief = clipped(text, columns - 2 - len(more)) + more
        room = rows - sum(_height(row, columns) for row in self._rows)
        if room > 0:
            self.lines([*written, brief, *[""] * (room - 1)])
            return ""
        self.lines(written)
        self._rows[-1] = brief
        self._stream.write(f"\r{_CLEAR_ROW}{brief}")
        return brief

    def typed(self, text: str) -> None:
        """Replace the line that has just been typed by a permanent line."""
        self._count(text.split("\n"))
        if self._stream.movable:
            # Enter has moved the cursor one row down.
            self._stream.write(self._up(1) + text + "\n" + self._drawn())

    def entered(self) -> None:
        """Draw the temporary rows again where they were: Enter has moved the cursor."""
        if self._stream.movable and self._below:
            self._stream.write(self._up(1) + self._drawn())

    def status(self, text: str, *, typing: bool = False) -> None:
        """Show a temporary row below all lines; *typing*: the cursor is in the row below it."""
        if not self._stream.movable:
            self._stream.line(text)
            return
        self._replace([_one_row(text, self._stream.window[0])], below=int(typing))

    def restatus(self, text: str) -> None:
        """Replace the status, and leave the block above it; the cursor is where *text* ends."""
        if self._rows and not self._below and not self._question and self._stream.movable:
            self._rows[-1] = text
            self._stream.write(f"\r{_CLEAR_ROW}{text}")

    def block(self, lines: Sequence[str], status: str) -> None:
        """Keep *lines* visible above a status; they become permanent when the status is replaced.

        They replace the present block; if it has rows of the same heights, only those that differ
        are written. If they do not fit into the window, they are permanent at once.
        """
        columns, rows = self._stream.window
        fits = sum(_height(line, columns) for line in lines) < rows
        if not self._stream.movable or not fits:
            self.lines(lines)
            self.status(status)
            self._block = (0, 0)
            return
        drawn = [*lines, _one_row(status, columns)]
        if self._lasting == len(lines) and self._same_heights(drawn):
            self._amend(drawn)
        else:
            self.withdraw()
            self._replace(drawn)
        self._lasting = len(lines)
        self._block = columns, sum(_height(line, columns) for line in lines)

    def withdraw(self) -> None:
        """Remove the block and the temporary rows."""
        self._lasting = 0
        self.clear()

    def ask(self, text: str) -> None:
        """Show a question; the answer is typed after it."""
        if self._stream.movable:
            rows = wrapped(text.rstrip(), self._stream.window[0] - 1)
            self._replace([*rows[:-1], f"{rows[-1]} "])
        else:
            self._rows = [text]
            self._stream.write(text)
        self._question = True

    def answered(self) -> None:
        """Make the question permanent: Enter has moved the cursor below it."""
        self._count(self._rows)
        self._rows, self._question = [], False

    def cancel_question(self) -> None:
        """Remove the temporary rows, including an unanswered question and its typed text."""
        if self._question and not self._stream.movable:
            self._stream.line()
            self.answered()
        elif self._rows:
            self._replace([])

    def bars(self, rows: Sequence[str]) -> None:
        """Show bars, or replace the current ones; ignored if the cursor can't be moved."""
        if not self._stream.movable or not rows:
            return
        if not self._below or len(rows) != len(self._rows):
            self._replace(rows, below=1)
            return
        self._rows = list(rows)
        # The cursor returns to its position, which may be inside an unfinished typed line.
        drawn = "".join(f"{row}{_CLEAR_ROW}\n" for row in rows)
        self._stream.write(f"{_SAVE}\x1b[{len(rows)}A\r{drawn}{_RESTORE}", passing=True)

    def clear(self) -> None:
        """Remove the temporary rows; an unanswered question becomes permanent."""
        if self._question:
            self._stream.line()
            self.answered()
        elif self._rows:
            self._replace([])

    def forget(self) -> None:
        """Forget the block and the temporary rows: another program has used the terminal."""
        self._rows, self._lasting, self._block = [], 0, (0, 0)
        self._below, self._question = 0, False

    def redraw(self) -> None:
        """Draw the temporary rows again, after another program has used the terminal."""
        self._rows, self._lasting, self._block = self._rows[self._lasting :], 0, (0, 0)
        if self._rows:
            clear = f"\r{_CLEAR_BELOW}" if self._stream.movable else ""
            self._stream.write(clear + self._drawn())

    def _count(self, lines: Sequence[str]) -> None:
        """Add lines to the rows below the start of the block, once it is permanent."""
        if not self._lasting:
            columns, rows = self._block
            self._block = columns, rows + sum(_height(line, columns or 1) for line in lines)

    def _replace(self, rows: Sequence[str], below: int = 0) -> None:
        self._rows, self._lasting = self._rows[self._lasting :], 0
        up = self._up()
        self._rows, self._below, self._question = list(rows), below, False
        self._stream.write(up + self._drawn())

    def _same_heights(self, rows: Sequence[str]) -> bool:
        """Return whether *rows* take the same rows of the window as the present ones."""
        columns, _ = self._stream.window
        before = [_height(row, columns) for row in self._rows]
        return self._below == 0 and before == [_height(row, columns) for row in rows]

    def _amend(self, rows: Sequence[str]) -> None:
        """Write those of *rows* that differ from the present ones, which have the same heights."""
        columns, _ = self._stream.window
        text, up = "", -1
        for before, row in zip(reversed(self._rows), reversed(rows), strict=True):
            up += _height(row, columns)
            if row != before and not up:  # the status, at whose end the cursor stays
                text += f"\r{_CLEAR_ROW}{row}"
            elif row != before:
                text += f"{_SAVE}\x1b[{up}A\r{row}{_CLEAR_ROW}{_RESTORE}"
        self._rows = list(rows)
        if text:
            self._stream.write(text)

    def _up(self, further: int = 0) -> str:
        """Return the sequence that moves the cursor to the first row and clears from there."""
        columns, _ = self._stream.window
        heights = [_height(row, columns) for row in self._rows]
        up = sum(heights) - (1 if heights and not self._below else 0) + further
        return f"\x1b[{up}A\r{_CLEAR_FROM_HERE}" if up else f"\r{_CLEAR_BELOW}"

    def _drawn(self) -> str:
        return "\n".join(self._rows) + "\n" * self._below


def _one_row(text: str, columns: int) -> str:
    """Cut off the end of a status that takes more than one row."""
    return text if _height(text, columns - 1) == 1 else clipped(text, columns - 2)


def _height(row: str, columns: int) -> int:
    """Return the rows of the window that a line takes."""
    return max(1, -(-width(_INVISIBLE.sub("", row)) // columns))
