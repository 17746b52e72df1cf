"""Limits the memory for what other hosts send by mDNS. Imports zeroconf, hence imported late."""

from __future__ import annotations

import math
from typing import Final

from zeroconf import RecordUpdate, RecordUpdateListener, Zeroconf

__all__ = ["CacheLimit"]

MAX_RECORDS: Final = 500
"""Records after which the cache is emptied, together with those of one message (at most 9 KB each).
zeroconf's own limit is 10 000, which can be 90 MB. Nothing here needs a record for long."""


class CacheLimit(RecordUpdateListener):
    """Empties the cache of zeroconf each time that it has got `MAX_RECORDS` records."""

    def __init__(self, zeroconf: Zeroconf) -> None:
        """Limit the cache of *zeroconf*, to which this is added as a listener."""
        self._zeroconf = zeroconf
        self._seen = 0

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Count the records of one message."""
        self._seen += len(records)

    def async_update_records_complete(self) -> None:
        """Empty the cache, which has the records of the message by now."""
        if self._seen >= MAX_RECORDS:
            self._seen = 0
            self._zeroconf.cache.async_expire(math.inf)
