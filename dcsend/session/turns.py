"""Loops whose length the peer decides, and that wait for nothing: they leave the loop its turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

__all__ = ["in_turns"]

T = TypeVar("T")

_TURN: Final = 0.01
"Seconds after which everything else that waits for the loop has its turn."


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield *items*, and now and then give way to the rest of the loop."""
    clock = asyncio.get_running_loop().time
    until = clock() + _TURN
    for item in items:
        yield item
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + _TURN
