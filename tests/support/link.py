"""A Sender and a Receiver joined by a wire that can be stopped anywhere.

`step` does one thing: one message or frame delivered, one written, one made. `run`
steps until nothing is left to do. `cut` loses what is on the way and all that follows.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from dcsend.content import Abort, Content, Data, End, Hole, Repair
from dcsend.entry import Entry
from dcsend.protocol import limits
from dcsend.protocol.events import (
    Accepted,
    Completed,
    Event,
    VerdictReceived,
)
from dcsend.protocol.ledger import has_frames
from dcsend.protocol.receiver import Receiver
from dcsend.protocol.sender import Sender
from dcsend.protocol.side import TransferState

__all__ = ["Link", "Plan"]


@dataclass
class Plan:
    """What the two sides do beyond the ordinary."""

    skip: Mapping[int, str] = field(default_factory=dict)
    have: Mapping[int, int] = field(default_factory=dict)
    abort: Mapping[int, int] = field(default_factory=dict)
    "File number -> position at which the sender gives it up."
    damaged: frozenset[int] = frozenset()
    "Files whose content changes between the digest and the wire."
    unsaved: frozenset[int] = frozenset()
    "Files that the receiver can't write: it says so at their first frame."
    decline: str = ""
    "Reason to decline instead of accepting."
    window: int = limits.WINDOW
    payload: int = limits.MAX_PAYLOAD_WITH_DIGEST
    "Bytes of content in each frame."
    batch: int = 1
    "Files in one frame, if they are whole and follow each other."
    again: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict)
    "File number -> ranges of what the receiver has that were changed on its disk."
    vanished: frozenset[int] = frozenset()
    "Files of which no range can be sent again."


class Link:
    """The two sides, their wires, the sender's content and the receiver's disk.

    Args:
        entries: the manifest.
        contents: what is in each file, by number.
        plan: what is out of the ordinary.
    """

    def __init__(
        self, entries: list[Entry], contents: Mapping[int, bytes], plan: Plan | None = None
    ) -> None:
        self.plan = plan or Plan()
        self.sender = Sender(entries, agent="sender/1")
        self.receiver = Receiver(agent="receiver/1", window=self.plan.window)
        self.sender_events: list[Event] = []
        self.receiver_events: list[Event] = []
        self.saved: dict[int, bytearray] = {}
        self.largest_flight = 0
        "Most bytes that were on the way or unwritten at any time."
        self._entries = entries
        self._contents = contents
        self._to_sender: deque[str] = deque()
        self._to_receiver: deque[str] = deque()
        self._frames: deque[bytes] = deque()
        self._disk: deque[Content] = deque()
        self._made: Iterator[tuple[int, Callable[[], bytes]]] = iter(())
        self._next: tuple[int, Callable[[], bytes]] | None = None
        "How long the next frame is, at most, and what makes it."
        self._is_cut = False
        self._unasked = deque(
            (number, *one) for number, ranges in self.plan.again.items() for one in ranges
        )
        self._damaged = {number: len(ranges) for number, ranges in self.plan.again.items()}
        "Number of ranges of each file that have not been written again."
        self._given_up: set[int] = set()
        self._ended: dict[int, End] = {}
        "Files without a verdict that wait for such ranges."
        self.sender.start()
        self.receiver.start()

    def step(self, choice: int = 0) -> bool:
        """Do one of the things that can be done now; False if there is none."""
        self._collect()
        actions = list(self._actions())
        if not actions:
            return False
        actions[choice % len(actions)]()
        return True

    def run(self) -> int:
        """Step until nothing is left to do; return how many steps that took."""
        steps = 0
        while self.step():
            steps += 1
        return steps

    def cut(self) -> None:
        """Lose everything on the way, now and from now on."""
        self._is_cut = True

    @property
    def verdicts(self) -> dict[int, str]:
        """Verdicts that have reached the sender."""
        verdicts = (event for event in self.sender_events if isinstance(event, VerdictReceived))
        return {event.number: event.status for event in verdicts}

    # --- one step

    def _collect(self) -> None:
        self._to_receiver.extend(self.sender.messages_to_send())
        self._to_sender.extend(self.receiver.messages_to_send())
        if self._is_cut:
            for wire in (self._to_receiver, self._to_sender, self._frames):
                wire.clear()

    def _actions(self) -> Iterator[Callable[[], None]]:
        if self._to_sender:
            yield self._deliver_to_sender
        if self._to_receiver:
            yield self._deliver_to_receiver
        if self._frames:
            yield self._deliver_frame
        if self._disk:
            yield self._write
        if self.receiver.state is TransferState.DECIDING:
            yield self._decide
        if self.sender.state is TransferState.COMPLETED:
            yield self.sender.end
        if self._next and self.sender.sendable() >= self._next[0]:
            yield self._make_frame
        if self._unasked and self.receiver.state in (
            TransferState.RECEIVING,
            TransferState.RECEIVED,
        ):
            yield self._ask
        if self.sender.asked and self.sender.sendable() >= self.plan.payload + 24:
            yield self._make_again

    def _deliver_to_sender(self) -> None:
        for event in self.sender.receive(self._to_sender.popleft()):
            self.sender_events.append(event)
            if isinstance(event, Accepted):
                self._made = self._frames_to_make(event)
                self._next = next(self._made, None)
            if isinstance(event, Completed):
                self._next = None

    def _deliver_to_receiver(self) -> None:
        self.receiver_events.extend(self.receiver.receive(self._to_receiver.popleft()))

    def _deliver_frame(self) -> None:
        for event in self.receiver.receive_frame(self._frames.popleft()):
            self._disk.append(event)
            if event.number in self.plan.unsaved - self._given_up:
                self._given_up.add(event.number)
                self.receiver.verdict(event.number, "failed")

    def _make_frame(self) -> None:
        assert self._next
        self._frames.append(self._next[1]())
        self._next = next(self._made, None)
        flight = sum(map(len, self._frames)) + sum(event.cost for event in self._disk)
        self.largest_flight = max(self.largest_flight, flight)

    def _ask(self) -> None:
        number, start, end = self._unasked.popleft()
        if not self.receiver.again(number, start, end):
            self._damaged[number] = 0  # the file has failed

    def _make_again(self) -> None:
        due = self.sender.asked
        assert due
        part = self._contents[due.number][due.start : due.end][: self.plan.payload]
        if due.number in self.plan.vanished:
            part = part[:0]
        self._frames.append(self.sender.again(part if part.strip(b"\0") else len(part)))

    def _decide(self) -> None:
        if self.plan.decline:
            self.receiver.decline(self.plan.decline, "no room")
            return
        for number, offset in self.plan.have.items():
            self.saved[number] = bytearray(self._contents[number][:offset])
            for start, end in self.plan.again.get(number, ()):
                self.saved[number][start:end] = bytes([1]) * (end - start)
        self.receiver.accept(self.plan.skip, self.plan.have)

    # --- content into frames, frames into content

    def _frames_to_make(self, answer: Accepted) -> Iterator[tuple[int, Callable[[], bytes]]]:
        numbers = deque(
            number
            for number, entry in enumerate(self._entries)
            if has_frames(entry) and number not in answer.skip
        )
        apart = (*answer.have, *self.plan.abort)
        while numbers:
            together = [*takewhile(lambda n: n not in apart, list(numbers)[: self.plan.batch])]
            if len(together) < 2:
                number = numbers.popleft()
                for make in self._frames_of(number, answer.have.get(number, 0)):
                    yield self.plan.payload + 56, make
                continue
            for _ in together:
                numbers.popleft()
            contents = [self._contents[number] for number in together]
            digests = [hashlib.sha256(content).digest() for content in contents]
            if self.plan.damaged.intersection(together):
                contents[-1] = contents[-1][:-1] + bytes([contents[-1][-1] ^ 1])
            length = 24 + sum(map(len, contents)) + 32 * len(digests)
            yield length, lambda a=together, b=contents, c=digests: self.sender.batch(a, b, c)  # type: ignore[misc]

    def _frames_of(self, number: int, position: int) -> Iterator[Callable[[], bytes]]:
        content = self._contents[number]
        digest = hashlib.sha256(content).digest()
        if number in self.plan.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        step = self.plan.payload
        while True:
            if position == self.plan.abort.get(number):
                yield lambda: self.sender.abort(number, "gone")
                return
            part = content[position : position + step]
            at, last = position, position + len(part) == len(content)
            if part and not part.strip(b"\0"):
                yield lambda at=at, part=part: self.sender.hole(number, at, len(part))  # type: ignore[misc]
                part, at = b"", position + len(part)
            if part or last:
                end = digest if last else None
                yield lambda at=at, part=part, end=end: self.sender.data(number, at, part, end)  # type: ignore[misc]
            position += step
            if last:
                return

    def _write(self) -> None:
        event = self._disk.popleft()
        saved = self.saved.setdefault(event.number, bytearray())
        if event.number in self.plan.unsaved:
            self.receiver.written(event.cost)
            return
        match event:
            case Data() | End():
                assert len(saved) == event.offset
                saved += event.payload
            case Hole():
                assert len(saved) == event.offset
                saved += bytes(event.length)
            case Abort():
                self.receiver.verdict(event.number, "failed")
            case Repair(number, offset, length, payload):
                saved[offset : offset + length] = payload or bytes(length)
                ends = {end for _, end in self.plan.again[number]}
                self._damaged[number] -= not length or offset + length in ends
        self.receiver.written(event.cost)
        if isinstance(event, End):
            self._ended[event.number] = event
        if not self._damaged.get(event.number) and event.number in self._ended:
            end = self._ended.pop(event.number)
            same = hashlib.sha256(saved).digest() == end.digest
            self.receiver.verdict(event.number, "ok" if same else "mismatch")
