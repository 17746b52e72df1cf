"""Is the peer there? Decided from when datagrams arrived, with the time passed in."""

from __future__ import annotations

from typing import Final

__all__ = ["AWAY_SECONDS", "LOST_SECONDS", "Presence"]

AWAY_SECONDS: Final = 8.0
"""Without a datagram for so long, the connection is `disconnected`. Every agent answers, and
sends, a consent check each 4 to 6 s at least (RFC 7675, 5.1); two seconds for the path."""
LOST_SECONDS: Final = 30.0
"The same for `failed`: when consent expires (RFC 7675, 5.1); Pion's time, too."


class Presence:
    """Keeps when the peer was heard last. Times in seconds, any origin."""

    def __init__(self, now: float) -> None:
        self._heard = now

    def heard(self, now: float) -> None:
        """Note that something has arrived."""
        self._heard = now

    def silence(self, now: float) -> float:
        """Return for how long nothing has been heard."""
        return now - self._heard

    def is_away(self, now: float) -> bool:
        """Tell whether it is time to worry."""
        return self.silence(now) >= AWAY_SECONDS

    def is_lost(self, now: float) -> bool:
        """Tell whether it is time to give up."""
        return self.silence(now) >= LOST_SECONDS
