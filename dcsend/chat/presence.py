"""Whether the peer is present, from the times at which datagrams arrived. Time is an argument."""

from __future__ import annotations

from typing import Final

__all__ = ["AWAY_SECONDS", "LOST_SECONDS", "Presence"]

AWAY_SECONDS: Final = 8.0
"""Without a datagram for this time, the connection is `disconnected`. Each agent sends and answers
a consent check every 4 to 6 s (RFC 7675, 5.1); 2 s are for the path."""
LOST_SECONDS: Final = 30.0
"Without a datagram for this time, it is `failed`: consent expires (RFC 7675, 5.1); as in Pion."


class Presence:
    """Time of the last datagram of a peer. Times are in seconds, with any origin.

    Args:
        now: the time.
        away: seconds without a datagram after which the peer may be gone.
        lost: seconds after which it is.
    """

    def __init__(
        self, now: float, *, away: float = AWAY_SECONDS, lost: float = LOST_SECONDS
    ) -> None:
        self._last_arrival = now
        self._away = away
        self._lost = lost

    def arrived(self, now: float) -> None:
        """Note that a datagram has arrived."""
        self._last_arrival = now

    def silence(self, now: float) -> float:
        """Return the seconds since the last datagram."""
        return now - self._last_arrival

    def is_away(self, now: float) -> bool:
        """Return whether the peer may be gone."""
        return self.silence(now) >= self._away

    def is_lost(self, now: float) -> bool:
        """Return whether the peer is gone."""
        return self.silence(now) >= self._lost
