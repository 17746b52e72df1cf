"""Reassembly of random chunks, compared with a model that keeps each chunk by itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from weakref import WeakValueDictionary

from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.sctp.reassembly import Limits, Message, Reassembly
from dcsend.sctp.wire import FIRST, LAST, UNORDERED

COST = 128
"Bytes that are counted for each chunk besides its content."


class Life:
    """An object whose end can be noticed."""


class Chunk(bytes):
    """The content of a chunk that arrives."""

    life: Life


@dataclass
class Sent:
    """A message of the sender."""

    stream: int
    number: int
    "Stream sequence number."
    is_ordered: bool
    tsns: range
    data: list[bytes]
    "The content of each chunk."


def messages(random: Random, first: int) -> list[Sent]:
    """Return messages of three streams, with consecutive TSNs from *first* on."""
    made: list[Sent] = []
    counts = [0, 0, 0]
    for index in range(random.randrange(1, 20)):
        stream, is_ordered = random.randrange(3), random.random() < 0.8
        size = random.choice([1, 1, 2, 3, 6])
        data = [b"%d.%d " % (index, part) for part in range(size)]
        made.append(Sent(stream, counts[stream], is_ordered, range(first, first + size), data))
        counts[stream] += is_ordered
        first += size
    return made


class Model:
    """What a receiver must have delivered, and must keep."""

    def __init__(self, sent: list[Sent]) -> None:
        self.sent = sent
        self.arrived = set[int]()
        self.abandoned_to = sent[0].tsns[0] - 1
        self.delivered: list[list[bytes]] = [[], [], []]
        "Ordered messages of each stream."
        self.unordered = set[bytes]()
        self._done = set[int]()
        "Indices of messages that are delivered or dropped."

    @property
    def cumulative(self) -> int:
        """The TSN up to which everything has arrived or is abandoned."""
        tsn = self.abandoned_to
        while tsn + 1 in self.arrived:
            tsn += 1
        return tsn

    def add(self, tsn: int) -> None:
        """Note a chunk that arrives."""
        if tsn > self.cumulative:
            self.arrived.add(tsn)
            self._deliver()

    def skip(self, tsn: int) -> None:
        """Abandon all up to *tsn*, the last one of a message; complete messages are delivered."""
        if tsn <= self.cumulative:
            return
        for index, one in enumerate(self.sent):
            if index not in self._done and one.tsns[-1] <= tsn:
                self._done.add(index)
                if self._is_complete(one):
                    self._take(one)
        self.abandoned_to = tsn
        self._deliver()

    def kept(self) -> set[int]:
        """Return the TSNs whose content is kept as it arrived: not that of complete messages."""
        kept = set[int]()
        for index, one in enumerate(self.sent):
            arrived = self.arrived.intersection(one.tsns)
            if index not in self._done and (len(one.tsns) == 1 or len(arrived) < len(one.tsns)):
                kept |= arrived
        return kept

    def held(self) -> int:
        """Return the bytes that are kept: a complete message counts as one chunk."""
        total = 0
        for index, one in enumerate(self.sent):
            if index in self._done:
                continue
            parts = [
                data for tsn, data in zip(one.tsns, one.data, strict=True) if tsn in self.arrived
            ]
            total += sum(map(len, parts))
            total += COST * (1 if len(parts) == len(one.tsns) else len(parts))
        return total

    def _is_complete(self, one: Sent) -> bool:
        return self.arrived.issuperset(one.tsns)

    def _take(self, one: Sent) -> None:
        data = b"".join(one.data)
        if one.is_ordered:
            self.delivered[one.stream].append(data)
        else:
            self.unordered.add(data)

    def _deliver(self) -> None:
        """Deliver each complete message that is unordered, or has none of its stream before it."""
        waits = set[int]()
        for index, one in enumerate(self.sent):
            if index in self._done:
                continue
            if self._is_complete(one) and not (one.is_ordered and one.stream in waits):
                self._done.add(index)
                self._take(one)
            elif one.is_ordered:
                waits.add(one.stream)


@given(st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_reassembly_delivers_and_keeps_what_the_model_does(random: Random) -> None:
    first = random.randrange(1, 2**32)
    sent = messages(random, first)
    model = Model(sent)
    ordered: list[list[bytes]] = [[], [], []]
    unordered = set[bytes]()
    flags_of = {one.data[0].split(b".")[0]: one for one in sent}

    def deliver(message: Message) -> None:
        if flags_of[message.data.split(b".")[0]].is_ordered:
            ordered[message.stream].append(bytes(message.data))
        else:
            unordered.add(bytes(message.data))
        book.release(len(message.data))

    book = Reassembly(first, Limits(), deliver)
    lives: WeakValueDictionary[int, Life] = WeakValueDictionary()
    chunks = [(one, part) for one in sent for part in range(len(one.tsns))]
    chunks += random.sample(chunks, len(chunks) // 3)
    random.shuffle(chunks)
    for one, part in chunks:
        tsn = one.tsns[part]
        flags = FIRST * (part == 0) | LAST * (part == len(one.tsns) - 1)
        flags |= 0 if one.is_ordered else UNORDERED
        is_new = tsn > model.cumulative and tsn not in model.arrived
        model.add(tsn)
        chunk = Chunk(one.data[part])
        chunk.life = Life()
        if is_new:
            lives[tsn] = chunk.life
        assert book.add(flags, tsn, one.stream, one.number, 53, chunk) is is_new
        del chunk
        if random.random() < 0.1:
            end = random.randrange(len(sent))
            streams = {m.stream: m.number for m in sent[: end + 1] if m.is_ordered}
            model.skip(sent[end].tsns[-1])
            book.skip(sent[end].tsns[-1], streams.items())
        assert (ordered, unordered) == (model.delivered, model.unordered)
        assert book.cumulative == model.cumulative
        assert book.held == model.held()
        assert set(lives) == model.kept()
        beyond = {tsn for low, high in book.gaps for tsn in range(low, high + 1)}
        assert beyond == {tsn for tsn in model.arrived if tsn > model.cumulative}
