"""A path that takes less than it did: what was sent in larger packets goes again in smaller ones.

Between two dcsends in parts; towards another implementation by the chunk, as each is small enough.
"""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.handshake import EXTENSIONS
from dcsend.sctp.parts import Parts, split
from dcsend.sctp.probing import BASE_PAYLOAD, MAX_PAYLOAD
from dcsend.sctp.queue import RELIABLE, Reliability
from dcsend.sctp.states import State
from tests.sctp.ends import WITHOUT_BULK, End, check_books, kinds
from tests.sctp.liar import Liar
from tests.sctp.path import Link, Simulation

_LARGEST_PACKET = 12 + wire.DATA_HEADER.size + BASE_PAYLOAD
"Bytes of a packet that every path takes."


def data(size: int, tsn: int = 7, flags: int = wire.FIRST) -> bytes:
    """Return a DATA chunk with so many bytes, all different from their neighbours."""
    return wire.data_chunk(flags, tsn, 3, 4, 53, Random(size).randbytes(size))


def values(chunk: bytes) -> list[tuple[int, bytes]]:
    """Return flags and value of each part of a chunk."""
    parts = [list(wire.chunks(bytes(12) + part)) for part in split(chunk)]
    assert all(kind == wire.PART for [(kind, _, _)] in parts)
    return [(flags, value) for [(_, flags, value)] in parts]


# Packets


@settings(max_examples=50)
@given(st.integers(1, MAX_PAYLOAD), st.sampled_from([0, 1, 2, 3, 7, 15]), st.randoms())
def test_parts_in_any_order_and_twice_make_the_chunk(size: int, flags: int, random: Random) -> None:
    chunk = data(size, flags=flags)
    assert all(len(part) <= _LARGEST_PACKET - 12 for part in split(chunk))
    parts = values(chunk)
    order = parts[:-1] + parts[:-1]
    random.shuffle(order)
    together = Parts()
    assert [together.add(*part) for part in order] == [None] * len(order)
    made = together.add(*parts[-1])
    assert made is not None
    assert made + bytes(-len(made) % 4) == chunk


def test_parts_of_several_chunks_are_kept_apart_and_not_without_end() -> None:
    together = Parts()
    chunks = [values(data(2000, tsn)) for tsn in range(100)]
    for first, _ in chunks:
        assert together.add(*first) is None
    made = [together.add(*last) is not None for _, last in reversed(chunks)]
    # The first parts of all others were dropped.
    assert made == [True] * 16 + [False] * 84


def impossible() -> list[tuple[int, bytes]]:
    """Return parts that can't be."""
    (flags, first), (_, last) = values(data(2000))
    numbers = [(0, 0), (2, 2), (1, 1), (255, 255), (3, 100)]
    return [
        (flags, last[:16]),
        (flags, b""),
        (flags, first[:16]),
        (flags, first[:-1]),
        (flags, first + b"x"),
        *((flags, first[:12] + bytes(pair) + first[14:]) for pair in numbers),
    ]


@pytest.mark.parametrize("part", impossible())
def test_an_impossible_part_is_dropped(part: tuple[int, bytes]) -> None:
    with pytest.raises(wire.Malformed):
        Parts().add(*part)
    liar = Liar()
    liar.send(wire.chunk(wire.PART, *part))
    assert liar.association.state is State.ESTABLISHED


# Whole associations

SMALL = 12 + wire.DATA_HEADER.size + BASE_PAYLOAD


class Recorded(End):
    """Keeps the packets with DATA that it has sent, and when."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.log: list[tuple[float, bytes]] = []
        self.parts = 0
        "PART chunks so far."

    def packets(self, now: float) -> list[bytes]:
        """Return what is to be sent."""
        packets = super().packets(now)
        self.log += [(now, packet) for packet in packets if packet[12] == wire.DATA]
        self.parts += kinds(packets).count(wire.PART)
        return packets

    def between(self, start: float, end: float) -> list[bytes]:
        """Return those of some time."""
        return [packet for now, packet in self.log if start <= now < end]


def contents(packet: bytes) -> list[int]:
    """Return the bytes of a message in each chunk."""
    return [len(value) - 12 for _, _, value in wire.chunks(packet)]


class Flow:
    """Ten megabytes, or so, over a path that takes less from some moment on."""

    def __init__(
        self,
        there: Link,
        back: Link | None = None,
        payloads: tuple[int, ...] = (1404,),
        *,
        foreign: bool = False,
    ) -> None:
        """Connect the two; each is another implementation for the other one if *foreign*."""
        self.foreign = foreign
        options = Options(extensions=WITHOUT_BULK if foreign else EXTENSIONS)
        self.left, self.right = Recorded(options), End(options)
        self.simulation = Simulation()
        self.simulation.connect(self.left, self.right, there, back or Link(1e7, 0.01))
        self.sent: list[bytes] = []
        association = self.left.association
        association.associate(0.0)
        self.simulation.run(10, lambda: self.left.established and self.right.established)
        association.probe(payloads, self.simulation.now)
        self.transmission = association.transmission
        probing = self.transmission.probing
        self.simulation.run(9.0, lambda: probing.payload == payloads[0])

    def send(self, count: int, size: int = 65_000, how: Reliability = RELIABLE) -> None:
        """Queue messages."""
        for _ in range(count):
            self.sent.append(len(self.sent).to_bytes(4) * (size // 4))
            self.left.association.send(0, 53, self.sent[-1], self.simulation.now, how)

    def arrives(self, limit: float) -> float:
        """Run until all has arrived; return when."""
        end = self.simulation.run(limit, lambda: self.left.association.is_drained)
        assert self.left.ended is self.right.ended is None
        assert [message.data for message in self.right.messages] == self.sent
        check_books(self.left.association)
        assert not (self.foreign and self.left.parts)
        return end


@pytest.mark.full
@pytest.mark.parametrize("payload", [1404, 8904, MAX_PAYLOAD])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_transfer_survives_that_the_path_takes_less(payload: int, loss: float) -> None:
    there = Link(1e7, 0.01, 1e6, loss=loss, narrow=(0.2, math.inf, SMALL))
    flow = Flow(there, payloads=(payload,))
    assert flow.transmission.probing.payload == payload
    flow.send(60)
    assert flow.arrives(20) < 8
    assert flow.transmission.probing.payload == BASE_PAYLOAD


@pytest.mark.parametrize("foreign", [False, True], ids=["dcsend", "foreign"])
def test_small_messages_that_arrive_do_not_hide_that_large_ones_do_not(foreign: bool) -> None:
    flow = Flow(Link(1e7, 0.01, narrow=(1.0, math.inf, SMALL)), foreign=foreign)
    flow.simulation.run(1.0)
    flow.send(1, 1384)
    for number in range(50):
        flow.simulation.run(flow.simulation.now + 0.1)
        flow.send(1, 1384 if number % 10 == 9 else 40)
    assert flow.arrives(20) < 7
    assert flow.transmission.probing.payload == BASE_PAYLOAD


def test_after_an_outage_packets_become_large_again() -> None:
    flow = Flow(Link(2e5, 0.01, 1e5, down=(1.0, 4.0)))
    flow.send(30)
    flow.simulation.run(3.9)
    assert flow.transmission.probing.payload == BASE_PAYLOAD
    flow.simulation.run(12.0)
    assert flow.transmission.probing.payload == 1404
    flow.arrives(60)


@pytest.mark.full
@pytest.mark.parametrize("foreign", [False, True], ids=["dcsend", "foreign"])
def test_a_path_that_loses_packets_is_not_taken_for_one_that_takes_less(foreign: bool) -> None:
    flow = Flow(Link(1e7, 0.01, 1e6, loss=0.05), foreign=foreign)
    assert flow.transmission.probing.payload == 1404
    flow.send(40)
    flow.arrives(300)
    for _ in range(100):  # no packet that is sent later shows the loss of these
        flow.send(1, 1384)
        flow.simulation.run(flow.simulation.now + 0.5)
        assert flow.transmission.probing.payload == 1404


@pytest.mark.parametrize("foreign", [False, True], ids=["dcsend", "foreign"])
def test_messages_that_are_given_up_show_that_the_path_takes_less(foreign: bool) -> None:
    flow = Flow(Link(1e7, 0.01, narrow=(1.0, math.inf, SMALL)), foreign=foreign)
    flow.simulation.run(1.0)
    for _ in range(80):
        flow.send(1, 1400, Reliability(max_retransmits=0))
        flow.simulation.run(flow.simulation.now + 0.1)
    assert flow.transmission.probing.payload == BASE_PAYLOAD
    assert flow.right.messages[-1].data == flow.sent[-1]


@pytest.mark.full
@pytest.mark.parametrize("foreign", [False, True], ids=["dcsend", "foreign"])
def test_small_messages_that_share_large_packets_show_that_the_path_takes_less(
    foreign: bool,
) -> None:
    flow = Flow(Link(1e6, 0.01, narrow=(1.0, math.inf, SMALL)), foreign=foreign)
    flow.send(4000, 600)
    assert flow.arrives(20) < 8
    assert flow.transmission.probing.payload == BASE_PAYLOAD


@pytest.mark.full
@pytest.mark.parametrize("foreign", [False, True], ids=["dcsend", "foreign"])
def test_large_packets_that_still_arrive_do_not_hide_that_larger_ones_do_not(
    foreign: bool,
) -> None:
    """The packets with the ends of messages are not full."""
    flow = Flow(
        Link(1e6, 0.02, 40_000, narrow=(1.0, math.inf, 1300)), Link(1e7, 0.02), foreign=foreign
    )
    flow.simulation.run(0.95)
    flow.send(1000, 5000)
    assert flow.arrives(200) < 12
    assert flow.transmission.probing.payload == BASE_PAYLOAD


# Towards another implementation

LARGE = 12 + wire.DATA_HEADER.size + 1404


@pytest.mark.full
def test_another_implementation_gets_two_chunks_that_fit_every_path_in_each_large_packet() -> None:
    flow = Flow(Link(1e6, 0.01, 1e5, narrow=(2.0, 6.0, SMALL)), foreign=True)
    flow.send(200)
    end = flow.arrives(60)
    for times in ((1.0, 2.0), (end - 1, end - 0.1)):
        large = list(map(contents, flow.left.between(*times)))
        assert large.count([692, 692]) > 0.9 * len(large) > 0
    small = flow.left.between(4.9, 5.0)
    assert max(map(len, small)) == SMALL
    everything = flow.left.between(0, end)
    assert max(max(contents(packet)) for packet in everything) == BASE_PAYLOAD
    assert max(map(len, everything)) <= LARGE


@pytest.mark.full
@pytest.mark.parametrize(("rate", "delay"), [(5e4, 0.001), (1e6, 0.02)])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_transfer_to_another_implementation_survives_that_the_path_takes_less(
    rate: float, delay: float, loss: float
) -> None:
    there = Link(rate, delay, max(rate / 10, 20_000), loss=loss, narrow=(1.0, math.inf, SMALL))
    flow = Flow(there, Link(rate, delay), foreign=True)
    flow.send(int(rate * 3) // 5000, 5000)
    flow.simulation.run(0.9)
    assert flow.transmission.probing.payload == 1404
    assert flow.arrives(60) < 12
    assert flow.transmission.probing.payload == BASE_PAYLOAD


def test_an_outage_alone_leaves_the_packets_to_another_implementation_large() -> None:
    """Nothing is sent in large packets again, so one loss of all in flight is all there is."""
    flow = Flow(Link(2e5, 0.01, 1e5, down=(1.0, 4.0)), foreign=True)
    flow.send(30)
    while not flow.left.association.is_drained:
        flow.simulation.run(flow.simulation.now + 0.1)
        assert flow.transmission.probing.payload == 1404
    flow.arrives(60)


def test_the_answer_to_a_tail_loss_probe_shows_losses_though_it_is_quick() -> None:
    """The probe is a smaller packet than those whose round trips are known."""
    flow = Flow(Link(1e5, 0.01, narrow=(2.0, math.inf, SMALL)), Link(1e7, 0.01), foreign=True)
    flow.send(5, 1384)
    flow.simulation.run(2.0)
    assert flow.left.association.is_drained
    flow.send(3, 1384)
    assert flow.arrives(20) < 2.3  # the timer T3 takes 0.3 s at least


def test_another_implementation_gets_no_probes_of_packets_that_it_may_not_read() -> None:
    flow = Flow(Link(1e7, 0.01), payloads=(8904, 1404), foreign=True)
    assert flow.transmission.probing.payload == 1404
    flow.send(1)
    flow.arrives(10)
