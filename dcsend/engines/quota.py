"""What strangers may use up of this machine: so much per second, so much memory.

Pure: time is passed in.
"""

from __future__ import annotations

from typing import Final

from dcsend.engines.udp import Address

__all__ = ["Budget", "SeenChecks"]

_REMEMBERED: Final = 4096
"Checks remembered; half an hour of a browser's, at two a second, and about 1 MB."


class Budget:
    """A token bucket: so many per second, a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Spend one token; False if there is none. *now* in seconds, any origin."""
        self._tokens = min(self._rate, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class SeenChecks:
    """Which check came from where first.

    A check is readable on its way, its password included. Who records one and sends it
    again from another address could answer what comes back; but the transaction id is
    signed, and tells on him.
    """

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._sources: dict[bytes, Address] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def is_new(self, transaction_id: bytes) -> bool:
        """Tell whether no such check has been added."""
        return transaction_id not in self._sources

    def add(self, transaction_id: bytes, source: Address) -> bool:
        """Remember a check; False if it came from another address before."""
        first = self._sources.setdefault(transaction_id, source)
        if len(self._sources) > self._limit:
            del self._sources[next(iter(self._sources))]
        return first == source
