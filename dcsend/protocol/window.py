"""The window: how many bytes of data messages may be in flight.

No engine and no browser slows a peer down by itself, so the protocol does. Both sides
run the same arithmetic: the sender to wait, the receiver to refuse who doesn't.
"""

from __future__ import annotations

__all__ = ["Window"]


class Window:
    """Bytes of data messages sent and acknowledged, headers included.

    Args:
        size: how many may be in flight, in bytes. One frame always may, however
            long, when nothing else is: otherwise a small window would stop it all.

    >>> window = Window(100)
    >>> window.send(60)
    >>> window.allows(60), window.room(60)
    (False, 40)
    """

    __slots__ = ("acknowledged", "sent", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.acknowledged = 0

    def allows(self, cost: int) -> bool:
        """Say whether a data message of *cost* bytes may go now."""
        in_flight = self.sent - self.acknowledged
        return not in_flight or in_flight + cost <= self.size

    def room(self, frame: int) -> int:
        """Count the bytes that may go now; at least *frame* if nothing is in flight."""
        in_flight = self.sent - self.acknowledged
        return max(0, self.size - in_flight) if in_flight else max(self.size, frame)

    def send(self, cost: int) -> None:
        """Count a data message that goes."""
        self.sent += cost

    def fault(self, total: int) -> str:
        """Say what is wrong with *total* as the next acknowledgement; empty if nothing is."""
        if total < self.acknowledged:
            return f"acknowledges {total} bytes after {self.acknowledged}"
        if total > self.sent:
            return f"acknowledges {total} bytes, only {self.sent} were sent"
        return ""

    def acknowledge(self, total: int) -> None:
        """Take *total*, counted since the beginning, as written by the receiver."""
        self.acknowledged = total
