"""When a consent check is due (RFC 7675, 5.1).

No input, output or clock: the time is a parameter, in seconds with any origin.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Final

__all__ = ["Consent"]

INTERVAL: Final = 5.0
"Seconds between two checks, times a random factor of 0.8 to 1.2 (RFC 7675, 5.1)."
EXPIRES: Final = 30.0
"Seconds after the last response until consent expires (RFC 7675, 5.1)."
SILENCE: Final = 1.0
"""Seconds without a datagram of the peer, or without the response to a check, after which checks
are sent more often."""
SILENT_INTERVAL: Final = 1.0
"""Seconds between two checks then. The end of an outage is detected by a check; with `INTERVAL` one
of 20 s could last five seconds longer, and one of 25 s could end the connection. The datagrams that
arrive after an outage are no consent: if checks were rare again from the first one on, an outage of
20 s soon after the connection was set up could end it."""
PAUSE: Final = 0.3
"""Seconds without a datagram after many of them, as in a transfer, after which one check is sent.
Behind a NAT that has assigned another port it is what the peer detects the new address by."""

POLL: Final = 0.25
"Seconds between two tests of whether a datagram has arrived."
BUSY_POLL: Final = 0.1
"Seconds between two such tests while many datagrams arrive."
_MANY: Final = 40.0
"Datagrams a second that are many: a transfer of 100 kB/s has more, and connecting fewer."
_BUSY: Final = 0.5
"Seconds before a datagram in which there were many."


class Consent:
    """The timer of one connection."""

    def __init__(
        self, now: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._uniform = uniform
        self.expires = now + EXPIRES
        self._received = now
        self._sent = now
        self._unanswered: float | None = None
        "When the first check after the last response was sent."
        self._next = now + self._interval()
        self.quiet_checks = 0
        "Checks that were sent on a busy path from which nothing had just arrived."
        self.round_trip = 0.0
        "Seconds from the last check to its response, with what waits in queues of the path."
        self._busy_at = -math.inf
        "When many datagrams had arrived."

    def _interval(self) -> float:
        """Return the seconds until the next check, random so that checks do not synchronise."""
        return INTERVAL * self._uniform(0.8, 1.2)

    @property
    def _is_busy(self) -> bool:
        """Whether many datagrams have arrived, before the last one."""
        return self._received - self._busy_at <= _BUSY

    def received(self, now: float, count: int) -> bool:
        """Note that so many authentic datagrams have arrived; return whether a silence has ended.

        A silence has lasted for `SILENCE` seconds, or `PAUSE` after many datagrams.
        """
        since = now - self._received
        has_ended = since >= (PAUSE if self._is_busy else SILENCE)
        self._received = now
        if count >= _MANY * since:
            self._busy_at = now
        return has_ended

    def answered(self, now: float) -> None:
        """Note the response to a check: consent is valid for `EXPIRES` seconds from now."""
        self.expires = now + EXPIRES
        self.round_trip = now - self._sent
        self._unanswered = None

    def wait(self, now: float) -> float:
        """Return the seconds until `is_due` has to be called again."""
        return max(0.0, min(self._next - now, BUSY_POLL if self._is_busy else POLL))

    def is_due(self, now: float) -> bool:
        """Return whether a check is to be sent; if so, it is taken as sent."""
        waited_since = self._received
        if self._unanswered is not None:
            waited_since = min(waited_since, self._unanswered)
        silent = now - waited_since >= SILENCE and now - self._sent >= SILENT_INTERVAL
        paused = self._is_busy and self._sent <= self._received <= now - PAUSE
        if now < self._next and not (silent or paused):
            return False
        self.quiet_checks += self._is_busy and self._received < now
        self._sent = now
        if self._unanswered is None:
            self._unanswered = now
        self._next = now + self._interval()
        return True
