"""Ranges of a part that were changed on the receiver's disk, and are sent again.

Both sides keep the same queue: the receiver adds what it asks for, the sender what it is asked for.
Frames of kind AGAIN answer one range after the other. Methods whose name ends in `_fault` return
what is wrong, or "".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dcsend.protocol import limits

__all__ = ["Range", "Ranges"]


class Range(NamedTuple):
    """Bytes of a file."""

    number: int
    "Number of the entry."
    start: int
    "Offset of the next byte."
    end: int
    "Offset of the byte after the last; *start* if no byte is of use any more."


class Ranges:
    """The ranges of a transfer that are asked for and not answered.

    Args:
        have: bytes of each file that the receiver had at the beginning, by its number.
        has_verdict: returns whether a file has its status.
    """

    def __init__(self, have: Mapping[int, int], has_verdict: Callable[[int], bool]) -> None:
        self._have = have
        self._has_verdict = has_verdict
        self._asked: dict[int, tuple[int, int]] = {}
        "How many ranges of a file were asked for, and the end of the last one."
        self._useless: set[int] = set()
        "Files that have begun again or were aborted."
        self._waiting: deque[Range] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def due(self) -> Range | None:
        """What the next frame of kind AGAIN has; None if nothing is asked for."""
        if not self._waiting:
            return None
        due = self._waiting[0]
        useless = due.number in self._useless or self._has_verdict(due.number)
        return due._replace(end=due.start) if useless else due

    def fault(self, number: int, start: int, end: int) -> str:
        """Return what is wrong with asking for the bytes [start, end) of a file."""
        count, last = self._asked.get(number, (0, 0))
        if not last <= start < end <= self._have.get(number, 0):
            return f"asks again for bytes {start} to {end} of file {number}, which it can't"
        if self._has_verdict(number):
            return f"asks again for file {number}, which has a verdict"
        if count == limits.MAX_AGAIN or len(self._waiting) == limits.MAX_AGAIN:
            return f"asks again for more than {limits.MAX_AGAIN} ranges"
        return ""

    def ask(self, number: int, start: int, end: int) -> None:
        """Add a range that has no fault."""
        count, _ = self._asked.get(number, (0, 0))
        self._asked[number] = (count + 1, end)
        self._waiting.append(Range(number, start, end))

    def give_up(self, number: int) -> None:
        """Note that a file of *have* begins again or was aborted: its ranges are of no use."""
        if number in self._have:
            self._useless.add(number)

    def frame_fault(self, number: int, offset: int, length: int) -> str:
        """Return what is wrong with a frame of kind AGAIN; *length* 0 ends the range."""
        due = self._waiting[0] if self._waiting else None
        if due is None or (number, offset) != due[:2] or offset + length > due.end:
            return f"bytes {offset} to {offset + length} of file {number} are not due again"
        return ""

    def pass_frame(self, length: int) -> None:
        """Count a frame that has no fault."""
        due = self._waiting.popleft()
        if length and due.start + length < due.end:
            self._waiting.appendleft(due._replace(start=due.start + length))
