"""The window: how many bytes of data messages may be in flight.

Data channels do not limit a sender to what the receiver's application takes, so the protocol does.
Both sides compute the same: the sender to wait, the receiver to refuse a sender that does not.
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

    def shrink(self, size: int) -> None:
        """Let *size* bytes be in flight at most; no effect if it was less."""
        self.size = min(self.size, size)

    def resize(self, size: int) -> None:
        """Let *size* bytes be in flight from now on; there may be more at present."""
        self.size = size

    def allows(self, cost: int) -> bool:
        """Return whether a data message of *cost* bytes may be sent now."""
        in_flight = self.sent - self.acknowledged
        return not in_flight or in_flight + cost <= self.size

    def room(self, frame: int) -> int:
        """Return the bytes that may be sent now; at least *frame* if nothing is in flight."""
        in_flight = self.sent - self.acknowledged
        return max(0, self.size - in_flight) if in_flight else max(self.size, frame)

    def send(self, cost: int) -> None:
        """Count a data message that is sent."""
        self.sent += cost

    def fault(self, total: int) -> str:
        """Return what is wrong with *total* as the next acknowledgement; empty if nothing is."""
        if total < self.acknowledged:
            return f"acknowledges {total} bytes after {self.acknowledged}"
        if total > self.sent:
            return f"acknowledges {total} bytes, only {self.sent} were sent"
        return ""

    def acknowledge(self, total: int) -> None:
        """Note that the receiver has written *total* bytes since the beginning."""
        self.acknowledged = total
