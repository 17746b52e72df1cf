"""Load aiortc beside everything else: it takes half a second, the person need not wait.

What it is loaded for, the makers of peer connections, can be named here without loading it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from dcsend.engines.certificate import Certificate

if TYPE_CHECKING:
    from dcsend.engines.ice import IceConnection
    from dcsend.engines.peer import PeerConnection, Role
    from dcsend.engines.talk import TalkConnection
    from dcsend.engines.transfer import TransferConnection

__all__ = ["Make", "Peer", "load_aiortc", "stock", "talk_peer", "transfer_peer"]

Peer = TypeVar("Peer", bound="PeerConnection")
Make = Callable[["IceConnection", Certificate, "Role"], Peer]
"Makes the kind of peer connection that is wanted; called when aiortc is loaded."

_LOADED: threading.Event = threading.Event()


async def load_aiortc() -> None:
    """Return when aiortc and what is built on it are imported; the loop runs meanwhile.

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
            import dcsend.engines.transfer  # noqa: F401
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


def transfer_peer(ice: IceConnection, certificate: Certificate, role: Role) -> TransferConnection:
    """Make a connection with the three channels of a transfer."""
    from dcsend.engines.transfer import TransferConnection

    return TransferConnection(ice, certificate, role)


def talk_peer(ice: IceConnection, certificate: Certificate, role: Role) -> TalkConnection:
    """Make a connection with whatever channels either side opens."""
    from dcsend.engines.talk import TalkConnection

    return TalkConnection(ice, certificate, role)


def stock(make: Make[Peer]) -> Make[Peer]:
    """Let *make* use aiortc's own SCTP."""

    def made(ice: IceConnection, certificate: Certificate, role: Role) -> Peer:
        return make(ice, certificate, replace(role, stock=True))

    return made
