"""The limit of the rate of a process: one bucket, from which all its transfers take in turn.

A sender takes before it sends a frame, a receiver before it acknowledges what it has written
(`Unacknowledged`), with a window of half a second of the rate (`window_of`). Must not import the
protocol, except its limits.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from dcsend.errors import UsageError
from dcsend.protocol.limits import MAX_FRAME
from dcsend.session.bucket import LEAST_RATE, Bucket

__all__ = ["RateLimit", "Unacknowledged", "parse_rate"]

_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_MOST_RATE: Final = 10**12
_HINT: Final = "write 500K, 2M or 1G (bytes per second, at least 1K), or off"

_WINDOW_SECONDS: Final = 0.5
"Bytes in flight to a receiver with a limit, in seconds of the rate."
_LEAST_WINDOW: Final = 16 << 10
"Bytes: sixteen of the shortest frames."
_LEAST_FOR_FRAMES: Final = 2 * MAX_FRAME
"Bytes of the window for a sender that sends frames of any length."


def parse_rate(text: str) -> float | None:
    """Return the bytes per second of a rate such as `500K`, `2M` or `1.5G`; None for `off`.

    Raises:
        UsageError: *text* is not a rate, or too low.

    >>> parse_rate("2M"), parse_rate("off")
    (2000000.0, None)
    """
    plain = text.strip().lower()
    if plain == "off":
        return None
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?)\s*([kmg]?)", plain, re.ASCII)
    rate = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not LEAST_RATE <= rate <= _MOST_RATE:
        raise UsageError(f"{text!r} is not a rate", _HINT)
    return rate


class RateLimit:
    """Bytes of content per second, over all transfers that are given this object.

    All of them must run in one event loop. The rate can be changed at any time.

    Args:
        rate: bytes per second, from 1000 to 10**12; None for no limit.

    Raises:
        UsageError: *rate* is none of these.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._bucket = Bucket(_checked(rate))
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[], None]] = []

    @property
    def rate(self) -> float | None:
        """Bytes per second; None: no limit."""
        return self._bucket.rate

    def change(self, rate: float | None) -> None:
        """Use another rate from now on, for what waits, too.

        Raises:
            UsageError: as above.
        """
        self._bucket.change(_checked(rate))
        self._changed.set()
        for changed in tuple(self._watchers):
            changed()

    @property
    def piece(self) -> int:
        """Bytes that should pass at once at most."""
        return self._bucket.piece

    def window(self, most: int, *, divides: bool) -> int:
        """Return the bytes that may be in flight to a receiver with this limit.

        Args:
            most: without a limit.
            divides: whether the sender divides what it sends to fit the window.
        """
        rate = self.rate
        if rate is None:
            return most
        least = _LEAST_WINDOW if divides else _LEAST_FOR_FRAMES
        return min(most, max(least, int(rate * _WINDOW_SECONDS)))

    @contextmanager
    def watched(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call *changed* after each change of the rate, as long as the context lasts."""
        self._watchers.append(changed)
        try:
            yield
        finally:
            self._watchers.remove(changed)

    async def take(self, size: int) -> None:
        """Wait until *size* bytes may pass; calls return in the order in which they began."""
        if self.rate is None:
            return
        loop = asyncio.get_running_loop()
        async with self._turn:
            while (delay := self._bucket.delay(size, loop.time())) > 0:
                self._changed.clear()
                timer = loop.call_later(delay, self._changed.set)
                try:
                    await self._changed.wait()
                finally:
                    timer.cancel()
            self._bucket.take(size, loop.time())


class Unacknowledged:
    """Portions that a receiver with a limit has written and not acknowledged, in order."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, int]] = deque()
        "Bytes of the window, and those of them that count for the limit."
        self.total = 0
        "Bytes of the window."
        self.added = asyncio.Event()
        "Set while there is such a portion."

    def add(self, cost: int, counted: int) -> None:
        """Add what is written: *cost* bytes of the window, of which *counted* are content."""
        self._parts.append((cost, min(cost, counted)))
        self.total += cost
        self.added.set()

    def counted(self, most: int) -> int:
        """Return what counts for the limit if at most *most* bytes of the first part are taken."""
        return min(most, self._parts[0][1]) if self._parts else 0

    def remove(self, counted: int) -> None:
        """Acknowledge *counted* bytes of content, and all of a part that has no more of it."""
        while self._parts:
            cost, left = self._parts.popleft()
            if left > counted:
                self._parts.appendleft((cost - counted, left - counted))
                self.total -= counted
                break
            counted -= left
            self.total -= cost
        if not self._parts:
            self.added.clear()

    def shrink(self, total: int) -> None:
        """Acknowledge what exceeds *total* bytes of the window, whatever it counts."""
        while self.total > total:
            cost, left = self._parts.popleft()
            excess = self.total - total
            if cost > excess:
                self._parts.appendleft((cost - excess, min(left, cost - excess)))
                cost = excess
            self.total -= cost
        if not self._parts:
            self.added.clear()


def _checked(rate: float | None) -> float | None:
    if rate is not None and not LEAST_RATE <= rate <= _MOST_RATE:
        raise UsageError(
            f"a limit has {LEAST_RATE} to {_MOST_RATE} bytes per second",
            "for no limit, leave it out, or write off",
        )
    return rate
