"""When a consent check is due (RFC 7675, 5.1). Pure: time is passed in, in seconds, any origin."""

from __future__ import annotations

import random
from typing import Final

__all__ = ["Consent"]

INTERVAL: Final = 5.0
"Seconds between two checks, times a random factor of 0.8 to 1.2 (RFC 7675, 5.1)."
EXPIRES: Final = 30.0
"Seconds after the last answer until nothing may be sent any more (RFC 7675, 5.1)."
SILENCE: Final = 2.0
"Seconds without any datagram of the peer after which the path is asked for more often."
SILENT_INTERVAL: Final = 1.0
"""Seconds between two checks then. An outage ends unannounced; at `INTERVAL` one of 20 s could
go on for five seconds more, and one of 25 s end the connection."""

LOOK: Final = 0.5
"Seconds between two looks at whether anything has arrived."


class Consent:
    """The clock of one connection."""

    def __init__(self, now: float) -> None:
        self.expires = now + EXPIRES
        self._heard = now
        self._asked = now
        self._next = now + self._interval()

    def _interval(self) -> float:
        """Return the seconds until the next check, at random so that many don't coincide."""
        return INTERVAL * random.uniform(0.8, 1.2)

    def heard(self, now: float) -> None:
        """Note that an authentic datagram of any kind has arrived."""
        self._heard = now

    def answered(self, now: float) -> None:
        """Note that a check was answered: consent is given for `EXPIRES` seconds more."""
        self.expires = now + EXPIRES

    def wait(self, now: float) -> float:
        """Return for how many seconds `is_due` need not be asked."""
        return max(0.0, min(self._next - now, LOOK))

    def is_due(self, now: float) -> bool:
        """Tell whether a check is to be sent; it counts as sent then."""
        silent = now - self._heard >= SILENCE and now - self._asked >= SILENT_INTERVAL
        if now < self._next and not silent:
            return False
        self._asked = now
        self._next = now + self._interval()
        return True
