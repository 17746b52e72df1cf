"""How many requests a second are answered; further ones wait.

The addresses of clients take turns, so that one that sends many requests delays its own ones. Must
not import anything of dcsend.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["RATE", "Budget"]

RATE: Final = 10.0
"Requests a second. A browser needs one to open the page."
_WHOLE: Final = 1 - 1e-6
"Of a token: a timer may run that early, by rounding."


class Budget:
    """Turns of requests: as many at once as one second has, after a second without requests.

    Args:
        rate: turns a second.
    """

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._tokens = self._most = max(1.0, rate)
        self._updated = 0.0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        "Requests by address, the address whose turn is next first."
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, host: str) -> None:
        """Return when a request may be answered.

        The caller limits how many requests wait, and for how long.

        Args:
            host: IP address of the client.
        """
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(host, deque()).append(mine)
        self._give()
        await mine

    def _give(self) -> None:
        """Give the turns that are due, and wait for the next one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._tokens = min(self._most, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        while self._waiting and self._tokens > _WHOLE:
            host = next(iter(self._waiting))
            queue = self._waiting.pop(host)
            first = queue.popleft()
            if queue:
                self._waiting[host] = queue  # behind the other addresses
            if not first.done():  # cancelled with its connection
                first.set_result(None)
                self._tokens -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._timer = loop.call_later((1 - self._tokens) / self._rate, self._give)
