"""What strangers may use up of this machine: so much per second, so much memory.

Pure: time is passed in.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from dcsend.engines.udp import Address

__all__ = ["Budget", "Gate", "Once", "SeenChecks"]

_REMEMBERED: Final = 32_768
"Authentic checks remembered; four hours of a browser's, at two a second, and about 6 MB then."
_LATEST: Final = 1024
"Messages of a peer that are known when they come again."
REPEATS_PER_SECOND: Final = 20
"""Of one peer's checks, those that are handled once more because they come once more. A peer
repeats a check that was not answered, a few times; everything beyond is recorded and replayed."""


class Budget:
    """A token bucket: so many per second, a second's worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Spend one token; False if there is none. *now* in seconds, any origin."""
        if self.is_empty(now):
            return False
        self._tokens -= 1
        return True

    def is_empty(self, now: float) -> bool:
        """Tell whether there is no token."""
        self._tokens = min(self._rate, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return self._tokens < 1


class SeenChecks:
    """Which check came from where first.

    A check is readable on its way, its password included. Who records one and sends it
    again from another address could answer what comes back; but the transaction id is
    signed, and tells on him.
    """

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._sources: dict[bytes, Address] = {}

    def first(self, transaction_id: bytes) -> Address | None:
        """Return where a check came from when it was added; None if it was not."""
        return self._sources.get(transaction_id)

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


class Once:
    """Which things have been before, of the latest ones."""

    def __init__(self, limit: int = _LATEST) -> None:
        self._limit = limit
        self._before: dict[Hashable, None] = {}

    def __contains__(self, thing: Hashable) -> bool:
        return thing in self._before

    def is_first(self, thing: Hashable) -> bool:
        """Tell whether *thing* has not been before; from now on it has."""
        if thing in self._before:
            return False
        self._before[thing] = None
        if len(self._before) > self._limit:
            del self._before[next(iter(self._before))]
        return True


class Gate:
    """Which authentic checks are parsed, and answered: so many a second of each kind.

    A check costs 300 us with its answer, 4 us until it has been authenticated (measured, Python
    3.11). Whoever records checks can send them again as fast as the line allows; they never use
    what is for those that are new.
    """

    def __init__(self, seen: SeenChecks, per_second: float) -> None:
        """Prepare.

        Args:
            seen: those that were handled before; the caller adds to it.
            per_second: new checks.
        """
        self._seen = seen
        self._admitted = Once()
        "Transaction ids, also of those that the caller had no reason to add."
        self._new = Budget(per_second)
        self._repeats = Budget(REPEATS_PER_SECOND)

    def is_overrun(self, data: bytes, now: float) -> bool:
        """Tell whether *data* can only be a repeated check, for which there is no budget now."""
        return self._repeats.is_empty(now) and self._seen.first(data[8:20]) is not None

    def admits(self, data: bytes, source: Address, now: float) -> bool:
        """Tell whether an authentic check, which has its transaction id, is to be handled now."""
        transaction_id = data[8:20]
        first = self._seen.first(transaction_id)
        if first is None and transaction_id not in self._admitted:
            return self._new.take(now) and self._admitted.is_first(transaction_id)
        return first in (None, source) and self._repeats.take(now)
