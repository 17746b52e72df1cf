"""Whether the peer is alive and makes progress, by the messages that arrive; time is passed in."""

from __future__ import annotations

import enum
import math
import secrets
import string

from dcsend.errors import ConnectionFailed
from dcsend.protocol.limits import KEEP_ALIVE_LETTERS

__all__ = ["Deadline", "Liveness", "Overdue", "Sign", "is_line", "random_letters"]


class Overdue(ConnectionFailed):
    """The peer has missed a deadline of the protocol."""

    def __init__(self, missed: str) -> None:
        super().__init__(f"the other side {missed}", "run it again on both sides")


class Sign(enum.Enum):
    """What is due now."""

    SEND = enum.auto()
    "Send a keep-alive message."
    REPORT = enum.auto()
    "Report that the peer is silent."
    GIVE_UP = enum.auto()
    "The peer is gone."


def random_letters() -> str:
    """Return a keep-alive message: fifteen random letters, without a line end."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(KEEP_ALIVE_LETTERS))


def is_line(message: str) -> bool:
    r"""Return whether a message is a typed line: a keep-alive message has no line end.

    >>> is_line("hello\n"), is_line("congratulations\n"), is_line("congratulations")
    (True, True, False)
    """
    return message.endswith("\n")


class Liveness:
    """Three timers: next keep-alive message, report, end. Times in seconds, any origin."""

    def __init__(self, now: float, *, interval: float, report: float, limit: float) -> None:
        self._interval = interval
        self._report = report
        self._limit = limit
        self._next_send = now + interval
        self._last_arrival = now
        self._reported = False

    def note_arrival(self, now: float) -> None:
        """Note that a message has arrived, on any channel."""
        self._last_arrival = now
        self._reported = False

    def silence(self, now: float) -> float:
        """Return the seconds since the last message."""
        return now - self._last_arrival

    def due(self, now: float) -> list[Sign]:
        """Return what is due, each once."""
        signs = []
        if self.silence(now) >= self._limit:
            return [Sign.GIVE_UP]
        if self.silence(now) >= self._report and not self._reported:
            self._reported = True
            signs.append(Sign.REPORT)
        if now >= self._next_send:
            # From now, not from when it was due: one message after a suspended minute, not twelve.
            self._next_send = now + self._interval
            signs.append(Sign.SEND)
        return signs

    def next_due(self) -> float:
        """Return when `due` should be called again."""
        silent = self._limit if self._reported else self._report
        return min(self._next_send, self._last_arrival + silent)


class Deadline:
    """The deadline of the peer's next step, if there is one. Times in seconds, any origin."""

    def __init__(self) -> None:
        self.due = math.inf
        "When `missed` should be called again."
        self._missed = ""
        self._seconds = 0.0

    def expect(self, now: float, seconds: float, missed: str) -> None:
        """Set it to *seconds* from now; *missed* completes "the other side …"."""
        self.due, self._missed, self._seconds = now + seconds, missed, seconds

    def put_off(self, now: float) -> None:
        """Begin it anew, if there is one: nothing could arrive from the peer."""
        if self.due != math.inf:
            self.due = now + self._seconds

    def lift(self) -> None:
        """Remove the deadline."""
        self.due = math.inf

    def missed(self, now: float) -> str:
        """Return what the peer has missed; empty if the deadline has not passed."""
        return self._missed if now >= self.due else ""
