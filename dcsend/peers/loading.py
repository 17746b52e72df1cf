"""Import aiortc in a thread, which takes half a second, and make peer connections after that.

This module can be imported before aiortc is.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from dcsend.dtls.certificate import Certificate

if TYPE_CHECKING:
    from dcsend.ice.connection import IceConnection
    from dcsend.peers.peer import ConnectionRole, PeerConnection
    from dcsend.peers.transfer import TransferConnection

__all__ = ["Make", "Peer", "load_aiortc", "transfer_peer"]

logger = logging.getLogger(__name__)

Peer = TypeVar("Peer", bound="PeerConnection")
Make = Callable[["IceConnection", Certificate, "ConnectionRole"], Peer]
"Makes a peer connection of one kind; called after `load_aiortc`."

_LOADED: threading.Event = threading.Event()


async def load_aiortc() -> None:
    """Return when aiortc and the modules that need it are imported; the loop runs meanwhile.

    The thread is a daemon, so that Ctrl-C does not wait for the import.

    Raises:
        ImportError: aiortc, or a library that it needs, cannot be imported.
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
            import dcsend.peers.transfer  # noqa: F401
        except Exception as exc:  # noqa: BLE001 - raised in the coroutine
            # A native library that lacks another one raises OSError, among others.
            error = exc if isinstance(exc, ImportError) else ImportError(str(exc))
        else:
            _LOADED.set()
            logger.debug("aiortc is imported")
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:
            return  # the loop has ended

    threading.Thread(target=load, name="dcsend-load-aiortc", daemon=True).start()
    await done


def transfer_peer(
    ice: IceConnection, certificate: Certificate, role: ConnectionRole
) -> TransferConnection:
    """Make a connection with the three channels of a transfer."""
    from dcsend.peers.transfer import TransferConnection

    return TransferConnection(ice, certificate, role)
