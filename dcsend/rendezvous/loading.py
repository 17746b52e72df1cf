"""Imports `websocket`, and with it aiohttp, in a thread: that takes 0.2 s."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from dcsend.threads import begin, call_in_loop

__all__ = ["load_aiohttp"]

_LOADED: Final = threading.Event()


async def load_aiohttp() -> None:
    """Return when `dcsend.rendezvous.websocket` is imported; the loop runs meanwhile.

    Raises:
        ImportError: aiohttp, or a library that it needs, cannot be imported.
    """
    if _LOADED.is_set():
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: ImportError | None) -> None:
        if done.done():
            return  # cancelled
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def load() -> None:
        error: ImportError | None = None
        try:
            import dcsend.rendezvous.websocket  # noqa: F401
        except Exception as exc:  # noqa: BLE001 - raised in the coroutine
            # A native library that lacks another one raises OSError, among others.
            error = exc if isinstance(exc, ImportError) else ImportError(str(exc))
        else:
            _LOADED.set()
        call_in_loop(loop, settle, error)

    begin(load, "dcsend-load-aiohttp")
    await done
