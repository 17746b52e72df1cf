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

__all__ = ["DOUBT", "SILENT", "Interruption", "LinkState"]

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
"""So two sides open few mailboxes on a server, however often their path is silent for less than
`SILENT`. After a longer silence each opens one, as after every interruption."""


class LinkState(Enum):
    """The state of the connection in use."""

    IN_USE = auto()
    IN_DOUBT = auto()
    INTERRUPTED = auto()


class Interruption:
    """The state of the connections with one peer, one after the other."""

    def __init__(self) -> None:
        self.state = LinkState.IN_USE
        self._vain: deque[float] = deque(maxlen=_VAIN)
        "When preparations became needless."

    def due(self, now: float, silence: float, *, usable: bool, ready: bool) -> LinkState:
        """Return the state to `enter` now.

        Args:
            now: the time.
            silence: seconds since the last datagram.
            usable: whether the connection can go on: it is not lost, nor about to be replaced.
            ready: whether the peer is sure to accept another connection.
        """
        if silence >= SILENT:
            return LinkState.INTERRUPTED
        if not usable:
            return self.state
        if silence < DOUBT or self.state is LinkState.INTERRUPTED:
            return LinkState.IN_USE
        if ready and (len(self._vain) < _VAIN or now - self._vain[0] >= _WITHIN):
            return LinkState.IN_DOUBT
        return self.state

    def enter(self, state: LinkState, now: float, *, replaced: bool = False) -> LinkState:
        """Enter a state; return the former one.

        Args:
            state: the next one.
            now: the time.
            replaced: whether another connection is in use.
        """
        former, self.state = self.state, state
        if former is LinkState.IN_DOUBT and state is LinkState.IN_USE and not replaced:
            self._vain.append(now)
        return former
