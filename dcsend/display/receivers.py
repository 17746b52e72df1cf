"""The receivers of a run that serves several: a row for each, and a line for each that has ended.

    phone   34% |███       | 12.1 MB/s, 12 s left        temporary rows
    laptop  waiting for an answer
    and 12 more: 3 waiting, 9 receiving
    for others: dcsend receive 8-otter-basin

While there are such rows, the block of the code is not redrawn: its short code is in the last row.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from dcsend.display import wording
from dcsend.display.bars import BLOCKS, bar_rows
from dcsend.display.codes import CodeDisplay
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.printable import format_size, printable
from dcsend.session.events import (
    Arrived,
    Connected,
    Disconnected,
    Left,
    OfReceiver,
    Progressed,
    ReceiverCounts,
    ReceiverFinished,
    Reconnected,
    TextExchanged,
    Warned,
)

__all__ = ["ReceiverRows", "describe_counts"]

_INTERVAL: Final = 0.1
"Seconds between two drawings of progress."
_STEP: Final = 1.0
"Seconds between two drawings without progress."
_TOLERATED: Final = 5.0
"Seconds without progress of a receiver that are not shown."
_SPARE: Final = 3
"Rows of the window that are left: for a line that has just been written, typed text, the code."
_NAME: Final = 24
"Columns of a name in a row."


@dataclass(slots=True)
class _Receiver:
    """What is known of one that is connected."""

    name: str
    "Of the device, or its address; untrusted."
    is_introduced: bool = False
    progress: Progressed | None = None
    since: float = 0.0
    "When it was, in seconds."
    is_lost: bool = False

    def introduce(self, name: str) -> None:
        """Note that it has sent its Hello, and the name in it, which may be empty."""
        self.name = name or self.name
        self.is_introduced = True

    def receive(self, progress: Progressed, now: float) -> None:
        """Note its progress."""
        self.progress, self.since = progress, now

    def lose(self, *, is_lost: bool) -> None:
        """Note that the connection to it is lost, or made again."""
        self.is_lost = is_lost

    @property
    def shown(self) -> str:
        """The name, escaped."""
        return printable(self.name)

    @property
    def state(self) -> str:
        """In one word."""
        if self.is_lost:
            return "reconnecting"
        return "waiting" if self.progress is None else "receiving"

    def row(self, columns: int, now: float, *, smooth: bool) -> str:
        """Return its row, narrower than the window."""
        if self.progress is not None and not self.is_lost:
            named = replace(self.progress, path=self.name)
            still = now - self.since if now - self.since > _TOLERATED else 0.0
            return bar_rows(
                named, several=False, columns=columns, smooth=smooth, still=still, aligned=True
            )[0]
        state = "connection lost, trying again" if self.is_lost else "waiting for an answer"
        name = wording.isolated(wording.fit(self.shown, max(6, min(_NAME, columns // 5))))
        return wording.clipped(f"{name} {state}", columns - 1)


class ReceiverRows:
    """Shows the events of all receivers.

    Args:
        screen: where rows are drawn.
        err: the stream of the screen.
        codes: of the run.
        write: writes a permanent sentence.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        screen: Screen,
        err: Stream,
        codes: CodeDisplay,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._screen = screen
        self._err = err
        self._codes = codes
        self._write = write
        self._smooth = err.can_show(BLOCKS)
        self._receivers: dict[int, _Receiver] = {}
        "By number."
        self._later: asyncio.TimerHandle | None = None
        "Draws next time."
        self._is_soon = False

    def show(self, event: OfReceiver) -> None:
        """Show an event of a receiver."""
        number, inner = event.number, event.inner
        if isinstance(inner, Arrived):
            self._receivers[number] = _Receiver(inner.address)
        receiver = self._receivers.get(number)
        if receiver is None:
            return
        match inner:
            case Arrived():
                self._codes.stand_aside(self.draw)
                self.draw()
            case Connected():
                receiver.introduce(inner.name)
                self.draw()
            case Progressed():
                receiver.receive(inner, self._clock())
                self._draw_soon()
            case Disconnected() | Reconnected():
                receiver.lose(is_lost=isinstance(inner, Disconnected))
                self.draw()
            case Left() | ReceiverFinished():
                self._end(number, receiver, inner)
            case TextExchanged(kind="line", sent=False, text=text):
                self._write(f"{receiver.shown}: {printable(text)}")
            case Warned():
                self._write(f"note: {receiver.shown}: {wording.sentence(inner.message)}")
            case _:
                pass

    def end(self) -> None:
        """Draw nothing more; idempotent."""
        self._draw_after(None)
        self._receivers.clear()

    def draw(self) -> None:
        """Draw the rows of all receivers, and the code for others."""
        self._is_soon = False
        self._draw_after(_STEP if self._receivers and self._err.movable else None)
        if self._receivers:
            self._screen.bars(self.rows())

    def rows(self) -> list[str]:
        """Return the rows for the present window."""
        columns, window = self._err.window
        code = self._codes.brief(columns)
        receivers = list(self._receivers.values())
        room = max(1, window - _SPARE - len(code))
        shown = receivers if len(receivers) <= room else receivers[: max(0, room - 1)]
        now = self._clock()
        rows = [one.row(columns, now, smooth=self._smooth) for one in shown]
        if rest := receivers[len(shown) :]:
            rows.append(wording.clipped(_summed_up(rest, bool(shown)), columns - 1))
        return [*rows, *code]

    def _draw_soon(self) -> None:
        if self._is_soon or not self._err.movable:
            return
        self._is_soon = self._draw_after(_INTERVAL)
        if not self._is_soon:
            self.draw()

    def _draw_after(self, seconds: float | None) -> bool:
        """Draw next after *seconds*, None for not at all; return False without an event loop."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if seconds is None:
            return True
        try:
            self._later = asyncio.get_running_loop().call_later(seconds, self.draw)
        except RuntimeError:
            return False
        return True

    def _end(self, number: int, receiver: _Receiver, event: Left | ReceiverFinished) -> None:
        """Write how a receiver has ended; one that has sent nothing has no line."""
        del self._receivers[number]
        if isinstance(event, ReceiverFinished):
            lines = [_ended(receiver.shown, event)]
        else:
            reason = wording.sentence(event.message)
            lines = [f"{receiver.shown} has left: {reason}"] if receiver.is_introduced else []
        if not self._receivers and self._err.movable:
            self.end()
            self._codes.return_with(lines)
            return
        for line in lines:
            self._write(line)
        self.draw()


def _ended(name: str, event: ReceiverFinished) -> str:
    """Return the line for a receiver that has accepted or declined.

    >>> _ended("phone", ReceiverFinished(0, 2_000_000, 12.3, 3))
    'phone has everything: 3 files, 2.0 MB in 12 s'
    """
    if event.error is None:
        files = wording.counted(event.files, "file")
        return (
            f"{name} has everything: {files}, {format_size(event.bytes)} in "
            f"{wording.duration(event.seconds)}"
        )
    return f"{name}: {wording.sentence(event.error.message)}"


def _summed_up(receivers: list[_Receiver], is_more: bool) -> str:
    """Return how many receivers are in each state.

    >>> _summed_up([_Receiver("a"), _Receiver("b", is_lost=True), _Receiver("c")], True)
    'and 3 more: 2 waiting, 1 reconnecting'
    """
    states = [one.state for one in receivers]
    parts = [f"{states.count(one)} {one}" for one in dict.fromkeys(states)]
    head = f"and {len(states)} more" if is_more else wording.counted(len(states), "receiver")
    return f"{head}: {', '.join(parts)}"


def describe_counts(counts: ReceiverCounts) -> str:
    """Return how the receivers of a run have ended.

    >>> describe_counts(ReceiverCounts(3, 1)), describe_counts(ReceiverCounts(0, 0, 2))
    ('3 receivers have everything, 1 failed', 'no receiver has everything, 2 declined')
    """
    complete, failed, declined = counts
    verb = "has" if complete < 2 else "have"
    number = wording.counted(complete, "receiver") if complete else "no receiver"
    ends = [(failed, "failed"), (declined, "declined")]
    return ", ".join([f"{number} {verb} everything", *(f"{n} {end}" for n, end in ends if n)])
