"""Load aiortc beside everything else: it takes half a second, the person need not wait."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["load_aiortc"]

_LOADED: threading.Event = threading.Event()


async def load_aiortc() -> None:
    """Return when `dcsend.engines.aiortc` is imported; the loop runs meanwhile.

    In a daemon thread, so that Ctrl-C doesn't have to wait for the import to end.

    Raises:
        ImportError: aiortc, or a library it needs, is not installed properly.
    """
    if _LOADED.is_set():
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def load() -> None:
        error: Exception | None = None
        try:
            import dcsend.engines.aiortc  # noqa: F401
        except Exception as exc:  # noqa: BLE001 - raised where it is waited for
            # A native library that is missing one of its own raises OSError, among others.
            error = exc if isinstance(exc, ImportError) else ImportError(str(exc))
        else:
            _LOADED.set()
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:
            return  # the loop has ended; nobody waits any more

    threading.Thread(target=load, name="dcsend-load-aiortc", daemon=True).start()
    await done
