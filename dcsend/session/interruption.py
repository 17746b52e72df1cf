"""When another connection is prepared, and when a connection is taken for interrupted.

    in use ─ 2 s of silence ─► in doubt ─ 5 s, or lost ─► interrupted
       ▲                          │                            │
       ├─ a datagram ◄────────────┤                            │
       └─ another connection ◄────┴────────────────────────────┴─ a datagram, too

A connection in doubt is used as before, and nothing is reported: silence of some seconds is common
in a Wi-Fi. No input, output or clock: the time is a parameter, in seconds with any origin.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

__all__ = ["DOUBT", "SILENT", "Interruption", "Stage"]

DOUBT: Final = 2.0
"""Seconds without a datagram after which another connection is prepared. A check is sent after 1 to
1.25 s (`ice.consent`), so a path with a round trip of 0.75 s has answered. A slower one answers
before another connection is complete, which takes more round trips."""
SILENT: Final = 5.0
"""Seconds without a datagram after which a connection is taken for interrupted. By then consent has
been checked three times, and every ICE agent responds to that."""
_VAIN: Final = 3
"Preparations in `_WITHIN` seconds that the path may make needless; the next begins after `SILENT`."
_WITHIN: Final = 60.0
"So two sides open at most so many mailboxes on a server, however often their path falls silent."


class Stage(Enum):
    """What becomes of a connection."""

    IN_USE = auto()
    IN_DOUBT = auto()
    INTERRUPTED = auto()


class Interruption:
    """The stage of one connection after the other with the same peer."""

    def __init__(self) -> None:
        self.stage = Stage.IN_USE
        self._vain: deque[float] = deque(maxlen=_VAIN)
        "When preparations became needless."

    def due(self, now: float, silence: float, *, usable: bool, ready: bool) -> Stage:
        """Return the stage to `enter` now.

        Args:
            now: the time.
            silence: seconds since the last datagram.
            usable: whether the connection can go on: it is not lost, nor about to be replaced.
            ready: whether the peer is sure to accept another connection.
        """
        if silence >= SILENT:
            return Stage.INTERRUPTED
        if not usable:
            return self.stage
        if silence < DOUBT or self.stage is Stage.INTERRUPTED:
            return Stage.IN_USE
        if ready and (len(self._vain) < _VAIN or now - self._vain[0] >= _WITHIN):
            return Stage.IN_DOUBT
        return self.stage

    def enter(self, stage: Stage, now: float, *, replaced: bool = False) -> Stage:
        """Enter a stage; return the former one.

        Args:
            stage: the next one.
            now: the time.
            replaced: whether another connection is in use.
        """
        former, self.stage = self.stage, stage
        if former is Stage.IN_DOUBT and stage is Stage.IN_USE and not replaced:
            self._vain.append(now)
        return former
