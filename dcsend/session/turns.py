"""Iteration over as many items as a peer likes, without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

__all__ = ["in_turns"]

T = TypeVar("T")

_TURN: Final = 0.01
"Seconds after which other tasks of the loop run."


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and let other tasks run in between."""
    clock = asyncio.get_running_loop().time
    until = clock() + _TURN
    for item in items:
        yield item
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _TURN
