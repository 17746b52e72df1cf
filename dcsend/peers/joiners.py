"""The joiners of short codes that use the port of a listener, and why one of them is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dcsend.errors import CodeExpired, ConnectionFailed, DcsendError
from dcsend.net.address import Address

if TYPE_CHECKING:
    from dcsend.ice.checks import Refusal

__all__ = ["Joiners", "Receive", "Taken", "refused"]

Receive = Callable[[bytes, Address], bool]
"Handles a datagram and returns True, or returns False if it is for another one."


class Taken(ConnectionFailed):
    """Another peer of the same listener is connected, or has used the code."""

    def __init__(self) -> None:
        super().__init__("another device has connected")


class Joiners:
    """What handles the datagrams of each joiner."""

    def __init__(self) -> None:
        self._receivers: dict[str, Receive] = {}
        "By the ice-ufrag that this side has for the joiner."

    def add(self, name: str, receive: Receive) -> None:
        """Pass datagrams to *receive* from now on."""
        self._receivers[name] = receive

    def remove(self, name: str) -> None:
        """Pass no more datagrams to the receiver of *name*; idempotent."""
        self._receivers.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._receivers

    def received(self, data: bytes, source: Address) -> bool:
        """Handle a datagram; return False if it is for none of them."""
        return any(receive(data, source) for receive in tuple(self._receivers.values()))


def refused(refusal: Refusal | None, *, closed: bool) -> DcsendError:
    """Return why a joiner cannot connect, or why its attempt was cancelled.

    Args:
        refusal: with which the listener refuses dialers.
        closed: whether the listener is closed.
    """
    from dcsend.ice.checks import Refusal

    if refusal is Refusal.EXPIRED:
        return CodeExpired("the code has expired")
    if refusal is not None:
        return Taken()
    if closed:
        return ConnectionFailed("the listener is closed")
    return ConnectionFailed("the same device has begun another connection")
