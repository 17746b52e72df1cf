"""The Binding requests of one peer that are passed to aioice, which answers each one it is given.

The order of the tests is that of their cost, so that forged datagrams cost as little as possible:
rate of copies, MESSAGE-INTEGRITY, rate of new requests, parsing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from dcsend.ice.integrity import is_authentic
from dcsend.ice.rate_limits import ReplayCache, RequestLimiter
from dcsend.net.address import Address

if TYPE_CHECKING:
    from aioice.stun import Message

__all__ = ["CHECKS_PER_SECOND", "RequestFilter"]

logger = logging.getLogger(__name__)

CHECKS_PER_SECOND: Final = 200
"""New authentic requests that are handled: those of sources with a route, and as many of others.
A peer sends fewer than 50."""


class RequestFilter:
    """Validates the requests of one peer."""

    def __init__(
        self,
        password: str,
        parse: Callable[[bytes], Message | None],
        *,
        cache: ReplayCache | None = None,
        belongs: Callable[[bytes, Address], bool] = lambda data, source: True,
        forged: Callable[[bytes, Address], None] = lambda data, source: None,
    ) -> None:
        """Prepare.

        Args:
            password: our ice-pwd, the key of the MESSAGE-INTEGRITY of the requests.
            parse: returns the request in an authentic datagram, or None if it is malformed.
            cache: the requests that were handled; None for a new cache.
            belongs: whether an authentic datagram is a request of this peer.
            forged: called with each datagram that is not authentic.
        """
        self.has_received = False
        "Whether a valid request has arrived."
        self._key = password.encode()
        self._parse = parse
        self._cache = ReplayCache() if cache is None else cache
        self._belongs = belongs
        self._forged = forged
        self._routed = RequestLimiter(self._cache, CHECKS_PER_SECOND)
        self._unrouted = RequestLimiter(self._cache, CHECKS_PER_SECOND)
        self._logs = logger.isEnabledFor(logging.DEBUG)

    def from_routed(
        self, data: bytes, source: Address, *, is_selected: bool = False
    ) -> Message | None:
        """Return the request in a datagram whose source has a route to the peer, or None.

        Args:
            data: the datagram.
            source: where it came from.
            is_selected: whether the path in use leads there.
        """
        return self._validated(data, source, self._routed, is_selected=is_selected)

    def from_unknown(self, data: bytes, source: Address) -> Message | None:
        """Return the request in a datagram of any other source, or None."""
        return self._validated(data, source, self._unrouted)

    def _validated(
        self,
        data: bytes,
        source: Address,
        limiter: RequestLimiter,
        *,
        is_selected: bool = False,
    ) -> Message | None:
        fault = self._fault(data, source, limiter, is_selected=is_selected)
        message = None if fault else self._parse(data)
        if self._logs:
            reason = fault or ("valid" if message is not None else "malformed")
            logger.debug("request from %s: %s", source, reason)
        if message is not None:
            self.has_received = True
            self._cache.add(message.transaction_id, source)
        return message

    def _fault(
        self, data: bytes, source: Address, limiter: RequestLimiter, *, is_selected: bool
    ) -> str:
        """Return why a datagram is discarded before it is parsed; empty if it is not."""
        now = asyncio.get_running_loop().time()
        if limiter.is_exhausted(data, now):
            return "too many copies"
        if not is_authentic(data, self._key):
            self._forged(data, source)
            return "not authentic"
        if not self._belongs(data, source):
            return "of another peer"
        admitted = limiter.admits(data, source, now, is_selected=is_selected)
        return "" if admitted else "too many, or a copy"
