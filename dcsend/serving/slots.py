"""Slots for connections of untrusted clients: a limit that one client can't use up for the others.

When all slots are taken, a new connection gets that of the oldest one of the address with the most
connections. So a client that keeps connections open loses its own ones first. Must not import
anything of dcsend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["Slot", "Slots"]


class Slot:
    """The slot of one connection. Made by `Slots.take`.

    Args:
        host: IP address of the client.
        end: ends the connection.
    """

    def __init__(self, host: str, end: Callable[[], None]) -> None:
        self.host = host
        self.end = end
        self.is_kept = False
        "Whether the connection is never ended for another one."

    def keep(self) -> None:
        """Never give the slot to another connection."""
        self.is_kept = True


class Slots:
    """A limited number of slots.

    Args:
        most: the number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[Slot, None] = {}
        "In the order in which they were taken."

    def __len__(self) -> int:
        """Return how many slots are taken."""
        return len(self._taken)

    def take(self, host: str, end: Callable[[], None]) -> Slot | None:
        """Return a slot for a new connection; None if no other one can be ended for it.

        Args:
            host: IP address of the client.
            end: ends the connection, if another one gets its slot.
        """
        slot = Slot(host, end)
        self._taken[slot] = None
        if len(self._taken) > self._most:
            loser = self._loser()
            self.leave(loser)
            if loser is slot:
                return None
            loser.end()
        return slot

    def leave(self, slot: Slot) -> None:
        """Free a slot, at the end of its connection; idempotent."""
        self._taken.pop(slot, None)

    def _loser(self) -> Slot:
        """Return the oldest slot, which is not kept, of the host that has most of these."""
        idle = [slot for slot in self._taken if not slot.is_kept]
        held = Counter(slot.host for slot in idle)
        most = max(held.values())
        return next(slot for slot in idle if held[slot.host] == most)
