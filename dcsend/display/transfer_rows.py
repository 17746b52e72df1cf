"""The rows of a transfer in progress: bars, the check of a continued file, a lost connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dcsend.display.bars import BLOCKS, bar_rows
from dcsend.display.check_line import CheckLine
from dcsend.display.outage import Outage, announced
from dcsend.display.screen import Screen
from dcsend.display.standstill import Standstill
from dcsend.display.streams import Stream
from dcsend.session.events import Checking, Damaged, Disconnected, Progressed, Reconnected

__all__ = ["TransferRows"]


class TransferRows:
    """Keeps the last event of each kind, and draws all of them."""

    def __init__(
        self,
        screen: Screen,
        err: Stream,
        write: Callable[[str], None],
        *,
        sends: bool,
        limit: float | None = None,
    ) -> None:
        """Prepare.

        Args:
            screen: where they are drawn.
            err: the stream of the screen.
            write: writes a permanent sentence.
            sends: whether this side sends.
            limit: of the rate, bytes per second; None for none.
        """
        self._limit = limit
        self._several = False
        self.progressed: Progressed | None = None
        "The last event of progress; None before the first."
        self._screen = screen
        self._err = err
        self._write = write
        self._smooth = err.can_show(BLOCKS)
        self._check = CheckLine(sends=sends, redrawn=err.movable)
        self._outage = Outage(self._draw)
        self._standstill = Standstill(self._draw)

    def expect(self, files: int) -> None:
        """Note how many files there are: of several, the current one has a bar, too."""
        self._several = files > 1

    def show(self, event: Progressed | Checking | Damaged | Disconnected | Reconnected) -> None:
        """Show one event."""
        match event:
            case Progressed():
                self._progress(event)
            case Checking() | Damaged():
                if line := self._check.update(event):
                    self._write(line)
                else:
                    self._draw()
            case Disconnected():
                self._standstill.end()
                self._outage.begin(event)
                self._show_outage(event)
            case Reconnected():
                self._outage.end()
                self._show_outage(event)

    def change_limit(self, rate: float | None) -> None:
        """Show another limit beside the rate."""
        self._limit = rate
        if self.progressed is not None and self.progressed.total != 0:
            self._draw()

    def end_file(self, path: str) -> None:
        """Show nothing more about the check of a file."""
        self._check.end(path)

    def end(self) -> None:
        """Draw nothing more; idempotent."""
        self._standstill.end()
        self._outage.end()

    def _progress(self, event: Progressed) -> None:
        self.progressed = event
        if event.total == 0:
            self._screen.clear()
            return
        self._draw()
        if event.bytes != event.total:
            self._standstill.begin()
        else:
            self._standstill.end()

    def _show_outage(self, event: Disconnected | Reconnected) -> None:
        if not self._err.movable:
            self._write(announced(event))
        elif self.progressed is not None or isinstance(event, Disconnected):
            self._draw()
        else:
            self._screen.clear()

    def _draw(self, still: float = 0.0) -> None:
        """Draw the rows; *still* is the number of seconds without progress."""
        columns, _ = self._err.window
        lost = self._outage.rows(columns)
        bars: list[str] = []
        if (progressed := self.progressed) is not None:
            bars = bar_rows(
                replace(progressed, rate=0.0) if lost else progressed,
                several=self._several,
                columns=columns,
                smooth=self._smooth,
                still=still,
                limit=self._limit,
            )
        self._screen.bars([*bars, *self._check.rows(columns), *lost])
