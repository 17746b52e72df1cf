"""A path for a sender to find its pace on: a line with a queue, and a disk at its end.

A discrete-event simulation without packets: a frame waits for the line, takes as long as the line
needs for it, travels, is written, and is acknowledged. Deterministic; time is simulated.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dcsend.protocol.limits import MAX_FRAME
from dcsend.protocol.pace import Pace

__all__ = ["Journey", "Line", "journey"]

_OVERHEAD: Final = 1.07
"Bytes on the line for each byte of a frame: headers of SCTP, DTLS, UDP and IP per 1160 bytes."
_LOOK: Final = 0.01
"Seconds between two looks at whether there is something to send again."


def _always(time: float) -> bool:
    return True


def _written_at_once(time: float) -> float:
    return 0.0005


@dataclass(frozen=True, slots=True)
class Line:
    """What lies between sender and disk; functions of the time in seconds."""

    trip: Callable[[float], float]
    "Seconds there and back, without any queue."
    rate: Callable[[float], float]
    "Bytes per second."
    write: Callable[[float], float] = _written_at_once
    "Seconds that a frame takes on the disk, if it begins then."
    wanted: Callable[[float], bool] = _always
    "Whether there is something to send."


@dataclass(slots=True)
class Journey:
    """What happened."""

    acknowledged: list[tuple[float, int]] = field(default_factory=list)
    "Time and total of each acknowledgement."
    sizes: list[tuple[float, int]] = field(default_factory=list)
    "Time and the pace's size after each event."
    queues: list[tuple[float, float]] = field(default_factory=list)
    "Time and bytes in front of the line, at each frame that goes, this one included."
    events: list[tuple[str, float, int, int]] = field(default_factory=list)
    "`send` or `ack`, time, cost or total, the size afterwards."

    def rate(self, start: float, end: float) -> float:
        """Return the bytes per second that were acknowledged from *start* to *end*."""
        before = max((total for time, total in self.acknowledged if time <= start), default=0)
        after = max((total for time, total in self.acknowledged if time <= end), default=0)
        return (after - before) * _OVERHEAD / (end - start)

    def queue(self, start: float, end: float) -> float:
        """Return the longest queue from *start* to *end*, in bytes."""
        return max((queue for time, queue in self.queues if start <= time <= end), default=0.0)

    def size(self, time: float) -> int:
        """Return the pace's size at *time*."""
        return [size for when, size in self.sizes if when <= time][-1]


def journey(
    pace: Pace, line: Line, until: float, frame: int = MAX_FRAME, before: int = 0
) -> Journey:
    """Send frames of *frame* bytes over *line* as *pace* lets them, for *until* seconds.

    The pace has seen *before* bytes before, all of them acknowledged.
    """
    told = Journey()
    coming: list[tuple[float, int]] = []
    sent, line_free, disk_free, now, look = before, 0.0, 0.0, 0.0, 0.0
    while now <= until:
        while line.wanted(now) and pace.allows(frame):
            pace.send(frame, now)
            sent += frame
            told.events.append(("send", now, frame, pace.size))
            rate, trip = line.rate(now), line.trip(now)
            line_free = max(now, line_free) + frame * _OVERHEAD / rate
            told.queues.append((now, (line_free - now) * rate))
            arrived = line_free + trip / 2
            disk_free = max(disk_free, arrived)
            disk_free += line.write(disk_free)
            heapq.heappush(coming, (disk_free + trip / 2, sent))
        if coming and coming[0][0] <= look:
            now, total = heapq.heappop(coming)
            pace.acknowledge(total, now)
            told.acknowledged.append((now, total))
            told.events.append(("ack", now, total, pace.size))
        else:
            now, look = look, look + _LOOK
        told.sizes.append((now, pace.size))
    return told
