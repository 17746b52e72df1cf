"""Which parts of the frames in flight an acknowledgement covers."""

from __future__ import annotations

from dcsend.protocol.limits import DIGEST, FRAME_HEADER
from dcsend.session.inflight import InFlight


def acknowledged(in_flight: InFlight, upto: int) -> list[tuple[int, int]]:
    return list(in_flight.acknowledge(upto))


def test_each_file_of_a_frame_ends_after_its_content_and_digest() -> None:
    sizes = (5, 0, 7)
    ends = []
    end = FRAME_HEADER
    for size in sizes:
        end += size + DIGEST
        ends.append(end)
    for file, end in enumerate(ends):
        in_flight = InFlight()
        in_flight.add(ends[-1], list(enumerate(sizes)))
        assert acknowledged(in_flight, end - 1) == list(enumerate(sizes))[:file]
        assert acknowledged(in_flight, end) == [(file, sizes[file])]


def test_frame_of_one_file_ends_where_its_cost_does() -> None:
    in_flight = InFlight()
    in_flight.add(FRAME_HEADER + 100, [(3, 100)])  # no digest: more follows
    in_flight.add(FRAME_HEADER + 8, [(3, 0)])  # a hole
    first, second = FRAME_HEADER + 100, 2 * FRAME_HEADER + 108
    assert acknowledged(in_flight, first - 1) == []
    assert acknowledged(in_flight, first) == [(3, 100)]
    assert acknowledged(in_flight, second - 1) == []
    assert acknowledged(in_flight, second) == [(3, 0)]


def test_files_of_a_later_frame_are_counted_from_the_beginning_of_the_transfer() -> None:
    in_flight = InFlight()
    in_flight.add(1000, [(0, 1000 - FRAME_HEADER)])
    in_flight.add(FRAME_HEADER + 2 * (1 + DIGEST), [(1, 1), (2, 1)])
    middle = 1000 + FRAME_HEADER + 1 + DIGEST
    assert acknowledged(in_flight, middle - 1) == [(0, 1000 - FRAME_HEADER)]
    assert acknowledged(in_flight, middle) == [(1, 1)]
    assert in_flight
    assert acknowledged(in_flight, middle + 1 + DIGEST) == [(2, 1)]
    assert not in_flight


def test_one_acknowledgement_covers_several_frames() -> None:
    in_flight = InFlight()
    for file in range(3):
        in_flight.add(100, [(file, 60)])
    assert acknowledged(in_flight, 299) == [(0, 60), (1, 60)]
    assert acknowledged(in_flight, 300) == [(2, 60)]
