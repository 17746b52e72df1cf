"""The peers of a run with several: a row for each, and a line for each that has ended.

    phone   34% |███       | 12.1 MB/s, 12 s left        temporary rows
    laptop  waiting for an answer
    and 12 more: 3 waiting, 9 receiving
    for others: dcsend receive 8-otter-basin

While there are such rows, the block of the code is not redrawn: its short code is in the last row.
While a question about the offer of a sender is open, it is in the place of the rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from dcsend.display import wording
from dcsend.display.bars import BLOCKS, bar_rows
from dcsend.display.codes import CodeDisplay
from dcsend.display.screen import Screen
from dcsend.display.streams import Stream
from dcsend.errors import DestinationError
from dcsend.printable import format_size, printable
from dcsend.session.events import (
    Arrived,
    Connected,
    Disconnected,
    Left,
    ManifestKnown,
    OfPeer,
    OfSender,
    PeerCounts,
    PeerFinished,
    Progressed,
    Reconnected,
    TextExchanged,
    Warned,
)

__all__ = ["PeerRows", "describe_counts", "describe_senders"]

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
class _Peer:
    """What is known of a connected peer."""

    address: str
    name: str = ""
    "Name of the device, or its address; untrusted."
    is_introduced: bool = False
    progress: Progressed | None = None
    since: float = 0.0
    "When `progress` was reported, in seconds of the loop's clock."
    is_lost: bool = False
    is_sender: bool = False
    has_offered: bool = False
    "Whether a sender has sent its offer, about which a person may be asked."

    def __post_init__(self) -> None:
        self.name = self.name or self.address

    def change(self, event: object) -> bool:
        """Note what an event changes; return False if it changes nothing."""
        match event:
            case Connected():
                self.name = event.name or self.name
                self.is_introduced = True
            case ManifestKnown():
                self.has_offered = True
            case Disconnected() | Reconnected():
                self.is_lost = isinstance(event, Disconnected)
            case _:
                return False
        return True

    def receive(self, progress: Progressed, now: float) -> None:
        """Note the progress of the peer."""
        self.progress, self.since = progress, now

    @property
    def shown(self) -> str:
        """The name, escaped."""
        return printable(self.name)

    @property
    def state(self) -> str:
        """The state, in one word."""
        if self.is_lost:
            return "reconnecting"
        if self.progress is None:
            return "waiting"
        return "sending" if self.is_sender else "receiving"

    def row(self, columns: int, now: float, *, smooth: bool) -> str:
        """Return the row of the peer, narrower than the window."""
        if self.progress is not None and not self.is_lost:
            named = replace(self.progress, path=self.name)
            still = now - self.since if now - self.since > _TOLERATED else 0.0
            return bar_rows(
                named, several=False, columns=columns, smooth=smooth, still=still, aligned=True
            )[0]
        state = "waiting for an answer"
        if self.is_lost:
            state = "connection lost, trying again"
        elif self.is_sender:
            state = "waits for your answer" if self.has_offered else "connected, no offer yet"
        name = wording.isolated(wording.fit(self.shown, max(6, min(_NAME, columns // 5))))
        return wording.clipped(f"{name} {state}", columns - 1)


class PeerRows:
    """Shows the events of all peers.

    Args:
        screen: where rows are drawn.
        err: the stream of the screen.
        codes: of the run.
        write: writes a permanent sentence.
        clock: returns the time in seconds.
        show_text: shows a text that a sender has sent, below a sentence.
    """

    def __init__(
        self,
        screen: Screen,
        err: Stream,
        codes: CodeDisplay,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        show_text: Callable[[str, str], None] = lambda head, text: None,
    ) -> None:
        self._clock = clock
        self._screen = screen
        self._err = err
        self._codes = codes
        self._write = write
        self._show_text = show_text
        self._smooth = err.can_show(BLOCKS)
        self._peers: dict[int, _Peer] = {}
        "By number."
        self._complete = 0
        "Number of peers that have everything."
        self._later: asyncio.TimerHandle | None = None
        "The timer that draws the rows the next time."
        self._is_soon = False
        self._is_asking = False
        "Whether a question is in the place of the rows."

    def show(self, event: OfPeer) -> None:
        """Show an event of a peer."""
        number, inner = event.number, event.inner
        if isinstance(inner, Arrived):
            self._peers[number] = _Peer(inner.address, is_sender=isinstance(event, OfSender))
        peer = self._peers.get(number)
        if peer is None:
            return
        match inner:
            case Arrived():
                self._codes.stand_aside(self.draw)
                self.draw()
            case Left() | PeerFinished():
                self._end(number, peer, inner)
            case Progressed():
                peer.receive(inner, self._clock())
                self._draw_soon()
            case TextExchanged(sent=False):
                self._show_message(peer, inner)
            case Warned():
                self._write(f"note: {peer.shown}: {wording.sentence(inner.message)}")
            case _:
                if peer.change(inner):
                    self.draw()

    def _show_message(self, peer: _Peer, message: TextExchanged) -> None:
        if message.kind == "line":
            self._write(f"{peer.shown}: {printable(message.text)}")
        elif message.kind == "snippet":
            self._show_text(f"{peer.shown} sends a text:", message.text)

    def describe(self, number: int) -> str:
        """Return name and address of a peer, escaped; empty if it is not connected."""
        peer = self._peers.get(number)
        if peer is None:
            return ""
        return peer.shown if peer.name == peer.address else f"{peer.shown} ({peer.address})"

    def others(self, number: int) -> int:
        """Return how many other senders wait for an answer."""
        return sum(
            one.has_offered and one.progress is None
            for other, one in self._peers.items()
            if other != number
        )

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Leave the place of the rows to a question while the context lasts."""
        self._is_asking = True
        try:
            yield
        finally:
            self._is_asking = False
            self.draw()

    def end(self) -> None:
        """Draw nothing more; idempotent."""
        self._draw_after(None)
        self._peers.clear()

    def draw(self) -> None:
        """Draw the rows of all peers, and the code for others."""
        self._is_soon = False
        if self._is_asking:
            return
        self._draw_after(_STEP if self._peers and self._err.movable else None)
        if self._peers:
            self._screen.bars(self.rows())

    def rows(self) -> list[str]:
        """Return the rows for the present window."""
        columns, window = self._err.window
        code = self._codes.brief(columns, self._complete + len(self._peers))
        peers = list(self._peers.values())
        room = max(1, window - _SPARE - len(code))
        shown = peers if len(peers) <= room else peers[: max(0, room - 1)]
        now = self._clock()
        rows = [one.row(columns, now, smooth=self._smooth) for one in shown]
        if rest := peers[len(shown) :]:
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

    def _end(self, number: int, peer: _Peer, event: Left | PeerFinished) -> None:
        """Write how a peer has ended; one that has sent nothing has no line."""
        del self._peers[number]
        if isinstance(event, PeerFinished):
            self._complete += event.error is None
            lines = [_ended(peer, event)]
        else:
            is_refused = peer.is_sender and isinstance(event.error, DestinationError)
            how = "was refused" if is_refused else "has left"
            reason = wording.sentence(event.message)
            lines = [f"{peer.shown} {how}: {reason}"] if peer.is_introduced else []
        if not self._peers and self._err.movable:
            self.end()
            self._codes.return_with(lines)
            return
        for line in lines:
            self._write(line)
        self.draw()


def _ended(peer: _Peer, event: PeerFinished) -> str:
    """Return the line for a peer that has accepted or declined, or whose offer was.

    >>> from dcsend.session.events import ReceiverFinished
    >>> _ended(_Peer("192.0.2.1", "phone"), ReceiverFinished(0, 2_000_000, 12.3, 3))
    'phone has everything: 3 files, 2.0 MB in 12 s'
    """
    if event.error is None:
        files = wording.counted(event.files, "file")
        what = "has sent" if peer.is_sender else "has everything:"
        return (
            f"{peer.shown} {what} {files}, {format_size(event.bytes)} in "
            f"{wording.duration(event.seconds)}"
        )
    return f"{peer.shown}: {wording.sentence(event.error.message)}"


def _summed_up(peers: list[_Peer], is_more: bool) -> str:
    """Return how many peers are in each state.

    >>> _summed_up([_Peer("a"), _Peer("b", is_lost=True), _Peer("c")], True)
    'and 3 more: 2 waiting, 1 reconnecting'
    """
    states = [one.state for one in peers]
    parts = [f"{states.count(one)} {one}" for one in dict.fromkeys(states)]
    head = f"and {len(states)} more" if is_more else wording.counted(len(states), "device")
    return f"{head}: {', '.join(parts)}"


def describe_counts(counts: PeerCounts) -> str:
    """Return how the receivers of a run have ended.

    >>> describe_counts(PeerCounts(3, 1)), describe_counts(PeerCounts(0, 0, 2))
    ('3 receivers have everything, 1 failed', 'no receiver has everything, 2 declined')
    """
    complete = counts.complete
    verb = "has" if complete < 2 else "have"
    number = wording.counted(complete, "receiver") if complete else "no receiver"
    return f"{number} {verb} everything{_others(counts)}"


def describe_senders(counts: PeerCounts) -> str:
    """Return how the senders of a run have ended.

    >>> describe_senders(PeerCounts(3, 1)), describe_senders(PeerCounts())
    ('3 transfers complete, 1 failed', 'nothing was received')
    """
    complete = counts.complete
    head = f"{wording.counted(complete, 'transfer')} complete" if complete else ""
    return f"{head or 'nothing was received'}{_others(counts)}"


def _others(counts: PeerCounts) -> str:
    ends = [(counts.failed, "failed"), (counts.declined, "declined")]
    return "".join(f", {n} {end}" for n, end in ends if n)
