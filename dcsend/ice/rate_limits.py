"""Limits on what remote hosts can use: requests per second, and memory for replay detection.

No input, output or clock: the time is a parameter.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from dcsend.net.address import Address

__all__ = ["RecentSet", "ReplayCache", "RequestLimiter", "TokenBucket"]

_CACHE_SIZE: Final = 32_768
"Transaction ids in a replay cache: a browser sends two checks a second; four hours, about 6 MB."
_RECENT: Final = 1024
"Entries of a recent set: messages of one peer."
REPEATS_PER_SECOND: Final = 20
"""Requests of one peer that are handled again although their transaction id is known. A peer
retransmits an unanswered check a few times; any further copy is a replay."""


class TokenBucket:
    """A token bucket that holds the tokens of one second."""

    def __init__(self, rate: float) -> None:
        """Start full; *rate* is in tokens per second."""
        self._rate = rate
        self._tokens = rate
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Take one token; False if there is none. *now* is in seconds, with any origin."""
        if self.is_empty(now):
            return False
        self._tokens -= 1
        return True

    def is_empty(self, now: float) -> bool:
        """Return whether there is no token."""
        self._tokens = min(self._rate, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return self._tokens < 1


class ReplayCache:
    """The source address from which each authentic request arrived first, by transaction id.

    A check and the password in its USERNAME can be read on the path. An attacker who records a
    check and sends it from another address could answer the checks that it triggers. The
    transaction id is covered by MESSAGE-INTEGRITY, so that a copy is recognised by it.
    """

    def __init__(self, limit: int = _CACHE_SIZE) -> None:
        self._limit = limit
        self._sources: dict[bytes, Address] = {}

    def first(self, transaction_id: bytes) -> Address | None:
        """Return the source with which a request was added, or None."""
        return self._sources.get(transaction_id)

    def __len__(self) -> int:
        return len(self._sources)

    def is_new(self, transaction_id: bytes) -> bool:
        """Return whether no request with this transaction id was added."""
        return transaction_id not in self._sources

    def add(self, transaction_id: bytes, source: Address) -> None:
        """Add a request, unless it was added before."""
        self._sources.setdefault(transaction_id, source)
        if len(self._sources) > self._limit:
            del self._sources[next(iter(self._sources))]


class RecentSet:
    """A set of bounded size, which discards its oldest entry."""

    def __init__(self, limit: int = _RECENT) -> None:
        self._limit = limit
        self._entries: dict[Hashable, None] = {}

    def __contains__(self, entry: Hashable) -> bool:
        return entry in self._entries

    def add(self, entry: Hashable) -> bool:
        """Add an entry; return whether it is new."""
        if entry in self._entries:
            return False
        self._entries[entry] = None
        if len(self._entries) > self._limit:
            del self._entries[next(iter(self._entries))]
        return True


class RequestLimiter:
    """Limits how many authentic requests are parsed and answered; new ones and copies separately.

    A request costs 4 us until it is authenticated and 300 us with its answer (measured, Python
    3.11). Copies of recorded requests can arrive at the rate of the link; they have a limit of
    their own, so that they do not use up the one for new requests.
    """

    def __init__(self, cache: ReplayCache, per_second: float) -> None:
        """Prepare.

        Args:
            cache: the requests that were handled; the caller adds to it.
            per_second: new requests that are admitted.
        """
        self._cache = cache
        self._admitted = RecentSet()
        "Transaction ids, including those of requests that the caller did not add to the cache."
        self._new = TokenBucket(per_second)
        self._repeats = TokenBucket(REPEATS_PER_SECOND)

    def is_exhausted(self, data: bytes, now: float) -> bool:
        """Return whether *data* is a copy of a handled request and the limit for copies is reached.

        Used before the request is authenticated, since it costs less than that.
        """
        return self._repeats.is_empty(now) and self._cache.first(data[8:20]) is not None

    def admits(
        self, data: bytes, source: Address, now: float, *, is_selected: bool = False
    ) -> bool:
        """Return whether to handle an authentic request; a copy from another source never is.

        Unless that is the selected address of the peer: an attacker may overtake each request with
        a copy from an address of its own, and then consent would expire.
        """
        transaction_id = data[8:20]
        first = self._cache.first(transaction_id)
        if first is None and transaction_id not in self._admitted:
            return self._new.take(now) and self._admitted.add(transaction_id)
        return (is_selected or first in (None, source)) and self._repeats.take(now)
