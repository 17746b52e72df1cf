"""Counts the bytes that arrive at a host of a test network, over time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final

from tests.support.netns import Host, enter

__all__ = ["START", "Traffic", "verify"]

START: Final = 3.0
"Seconds after the first bytes in which a rate is not measured."
_EXACT: Final = 0.01
"Seconds that a reading may take: the thread may be stopped between the counter and the clock."
_INTERVAL: Final = 0.02
"Seconds between two readings."


@dataclass
class Traffic:
    """Reads the counter of `eth0` of a host in a thread, while the context lasts.

    Args:
        host: the host.
    """

    host: Host
    readings: list[tuple[float, int]] = field(default_factory=list)
    "Seconds of the monotonic clock, and bytes since the interface was made, headers included."

    def __enter__(self) -> Traffic:
        """Begin."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read, name="traffic")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._end.set()
        self._thread.join()

    def rates(
        self, content: int, since: float, until: float, seconds: float = 2.0
    ) -> list[tuple[float, float]]:
        """Return the content per second in each span of *seconds*, with the start of the span.

        Args:
            content: bytes of content in all that has arrived: the headers have the same share in
                each span.
            since: start of the first span, seconds of the monotonic clock.
            until: end of the last span.
            seconds: length of a span.
        """
        share = content / (self.readings[-1][1] - self.readings[0][1])
        spans: list[tuple[float, float]] = []
        end = 0
        for begin, before in self.readings:
            while end < len(self.readings) and self.readings[end][0] < begin + seconds:
                end += 1
            if end == len(self.readings) or self.readings[end][0] > until:
                break
            if begin >= since:
                later, after = self.readings[end]
                spans.append((begin, share * (after - before) / (later - begin)))
        return spans

    @property
    def span(self) -> tuple[float, float]:
        """When the first bytes of content and almost the last ones arrived."""
        start, total = self.readings[0][1], self.readings[-1][1] - self.readings[0][1]
        begin = next(when for when, count in self.readings if count - start > 20_000)
        end = next(when for when, count in self.readings if count - start > total * 0.98)
        return begin, end

    def _read(self) -> None:
        enter(self.host.namespace)
        over = False
        while not over:
            over = self._end.wait(_INTERVAL)
            before = time.monotonic()
            with open("/proc/thread-self/net/dev", encoding="ascii") as file:
                (line,) = (line for line in file if line.strip().startswith("eth0:"))
            when = time.monotonic()
            if when - before < _EXACT or over:
                self.readings.append((when, int(line.split(":")[1].split()[0])))


def verify(
    traffic: Traffic,
    content: int,
    rate: float,
    since: float,
    until: float,
    stretch: float,
    *,
    late: bool,
) -> None:
    """Compare each two seconds of a time with a limit.

    Args:
        traffic: of one transfer.
        content: its bytes of content.
        rate: the limit, in bytes of content per second.
        since: begin of that time, seconds of the monotonic clock.
        until: its end.
        stretch: by how much longer than on an idle machine a program takes: the transfer may be
            slower then.
        late: whether it may be faster, too: a receiver limits a sender that has been stopped for
            half a second, and then sends what it was permitted to send.
    """
    rates = [found for _, found in traffic.rates(content, since, until)]
    assert rates, (since, until, traffic.span)
    least, most = rate * (1 - 0.05 * stretch), rate * (1.05 if not late else 1 + 0.05 * stretch)
    assert least <= min(rates) <= max(rates) <= most, (min(rates), max(rates), stretch)
