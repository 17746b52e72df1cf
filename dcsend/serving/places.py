"""Places for connections of untrusted clients: a limit that one client can't use up for the others.

When all places are taken, a new connection gets that of the oldest one of the address with the most
connections. So a client that keeps connections open loses its own ones first. Must not import
anything of dcsend.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["Place", "Places"]


class Place:
    """The place of one connection. Made by `Places.take`.

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
        """Never give the place to another connection."""
        self.is_kept = True


class Places:
    """A limited number of places.

    Args:
        most: the number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[Place, None] = {}
        "In the order in which they were taken."

    def __len__(self) -> int:
        """Return how many places are taken."""
        return len(self._taken)

    def take(self, host: str, end: Callable[[], None]) -> Place | None:
        """Return a place for a new connection; None if no other one can be ended for it.

        Args:
            host: IP address of the client.
            end: ends the connection, if another one gets its place.
        """
        place = Place(host, end)
        self._taken[place] = None
        if len(self._taken) > self._most:
            loser = self._loser()
            self.leave(loser)
            if loser is place:
                return None
            loser.end()
        return place

    def leave(self, place: Place) -> None:
        """Free a place, at the end of its connection; idempotent."""
        self._taken.pop(place, None)

    def _loser(self) -> Place:
        """Return the oldest place, which is not kept, of the host that has most of these."""
        idle = [place for place in self._taken if not place.is_kept]
        held = Counter(place.host for place in idle)
        most = max(held.values())
        return next(place for place in idle if held[place.host] == most)
