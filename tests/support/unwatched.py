"""Event loops that can't watch a socket, like that of Windows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Never

__all__ = ["unwatched"]


def _refuse(*_arguments: Any) -> Never:  # noqa: ANN401 - those of add_reader
    raise NotImplementedError


def unwatched(loop: type[asyncio.AbstractEventLoop]) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return a kind of loop that refuses `add_reader`; it still reads its own transports."""
    return type(f"Unwatched{loop.__name__}", (loop,), {"add_reader": _refuse})
