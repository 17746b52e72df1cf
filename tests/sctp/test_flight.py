"""The chunks in flight: losses detected by time, timers, and messages that are abandoned."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsend.sctp.flight import Flight, Sent
from dcsend.sctp.queue import RELIABLE, QueuedMessage, Reliability
from dcsend.sctp.reassembly import Violation
from dcsend.sctp.timing import RoundTrip

SIZE = 1000


class Sky:
    """A flight, and the time."""

    def __init__(self, first: int = 100) -> None:
        self.now = 10.0
        self.round_trip = RoundTrip()
        self.flight = Flight(first, self.round_trip)
        self.first = first

    def send(
        self, count: int = 1, how: Reliability = RELIABLE, *, stream: int = 0, at: float = 0.0
    ) -> list[Sent]:
        """Send chunks of a message, at once or so many seconds apart."""
        message = QueuedMessage(stream, 53, bytes(SIZE), how, self.now)
        records = []
        for _ in range(count):
            record = self.flight.add(b"chunk", SIZE, message)
            self.flight.transmitted(record, self.now)
            records.append(record)
            self.now += at
        return records

    def hear(self, cumulative: int, *gaps: tuple[int, int]) -> int:
        """Take a SACK, TSNs counted from the first; return what it acknowledges."""
        first = self.first
        gone = [(first + a, first + b) for a, b in gaps]
        got = self.flight.acknowledge(first + cumulative, gone, self.now)
        self.check()
        return got

    def losses(self) -> int:
        """Look for losses; return the bytes."""
        found = self.flight.find_losses(self.now)
        self.check()
        return found

    def check(self) -> None:
        """Compare what is counted with what is there."""
        here = [r for r in self.flight if not r.acknowledged]
        assert self.flight.outstanding == sum(r.size for r in here)
        assert self.flight.bytes == sum(r.size for r in here if not r.lost)

    def resend(self) -> list[int]:
        """Send again what is lost; return the TSNs, counted from the first."""
        sent = []
        while (record := self.flight.take_lost()) is not None:
            self.flight.transmitted(record, self.now)
            sent.append(record.tsn - self.first)
        self.check()
        return sent


def test_what_is_acknowledged_is_counted_once() -> None:
    sky = Sky()
    sky.send(5)
    sky.now += 0.05
    assert sky.hear(0, (2, 3)) == 3 * SIZE
    assert sky.hear(0, (2, 3)) == 0
    assert sky.hear(3) == SIZE
    assert sky.hear(4) == SIZE
    assert sky.flight.is_empty
    assert sky.flight.total == 5 * SIZE


@pytest.mark.parametrize(("cumulative", "gaps"), [(5, []), (0, [(2, 5)]), (900, [])])
def test_acknowledging_what_was_not_sent_is_a_violation(
    cumulative: int, gaps: list[tuple[int, int]]
) -> None:
    sky = Sky()
    sky.send(5)
    with pytest.raises(Violation):
        sky.hear(cumulative, *gaps)


def test_what_left_well_before_something_that_arrived_is_lost() -> None:
    sky = Sky()
    sky.send(4, at=0.001)
    sky.now = 10.1
    sky.hear(-1, (2, 2))
    assert sky.losses() == 0
    assert sky.flight.reorder_deadline is not None
    sky.now = sky.flight.reorder_deadline
    assert sky.losses() == SIZE
    sky.now = sky.flight.reorder_deadline
    assert sky.losses() == SIZE
    assert sky.resend() == [0, 1]


def test_what_left_after_it_is_not() -> None:
    sky = Sky()
    sky.send(3, at=0.001)
    sky.now = 10.1
    sky.hear(0)
    sky.now = 20.0
    assert sky.losses() == 0


def test_what_is_lost_in_a_train_is_found_by_what_left_in_the_same_call() -> None:
    sky = Sky()
    sky.send(4)
    sky.now = 10.1
    sky.hear(0, (2, 2))
    sky.now = 10.2
    assert sky.losses() == SIZE
    assert sky.resend() == [1]


def test_a_packet_that_is_a_little_late_is_not_lost_and_enlarges_the_reordering_window() -> None:
    sky = Sky()
    waits = []
    for first in (0, 2):
        start = sky.now
        sky.send(2, at=0.01)
        sky.now = start + 0.11
        sky.hear(first - 1, (first + 1, first + 1))
        assert sky.losses() == 0
        assert sky.flight.reorder_deadline is not None
        waits.append(sky.flight.reorder_deadline - start)
        sky.now = start + 0.115
        sky.hear(first + 1)
        assert sky.losses() == 0
    assert waits[0] < waits[1]


def test_what_counted_as_lost_and_was_not_is_not_sent_again() -> None:
    sky = Sky()
    sky.send(2, at=0.01)
    sky.now = 10.11
    sky.hear(-1, (1, 1))
    sky.now = 11.0
    assert sky.losses() == SIZE
    sky.hear(1)
    assert sky.resend() == []


def test_a_lost_retransmission_is_found_without_a_timeout() -> None:
    sky = Sky()
    sky.send(2, at=0.001)
    sky.now = 10.1
    sky.hear(-1, (1, 1))
    sky.now += 0.05
    sky.losses()
    assert sky.resend() == [0]
    sky.now += 0.01
    sky.send(1)
    sky.now += 0.1
    sky.hear(-1, (1, 2))
    sky.now += 0.1
    assert sky.losses() == SIZE
    assert sky.resend() == [0]


def test_an_acknowledgement_too_quick_for_a_retransmission_is_of_the_first_one() -> None:
    sky = Sky()
    sky.send(1)
    sky.now += 0.1
    sky.hear(0)
    sky.send(2)
    sky.now += 0.5
    sky.flight.mark_all_lost()
    assert sky.resend() == [1, 2]
    sky.now += 0.01
    sky.hear(0, (2, 2))
    # Of a retransmission, it would be the last of those that arrived, and the one before it late.
    assert sky.losses() == 0
    assert sky.flight.reorder_deadline is None
    assert sky.round_trip.smoothed == pytest.approx(0.1)


def test_a_timeout_loses_everything_that_is_not_acknowledged() -> None:
    sky = Sky()
    sky.send(4)
    sky.hear(0, (2, 2))
    sky.flight.mark_all_lost()
    sky.check()
    assert sky.flight.bytes == 0
    assert sky.resend() == [1, 3]


def test_what_the_peer_took_back_is_sent_again_after_a_timeout() -> None:
    sky = Sky()
    sky.send(4)
    sky.hear(0, (2, 3))
    sky.hear(0, (3, 3))
    sky.flight.mark_all_lost()
    sky.check()
    assert sky.resend() == [1, 2]
    assert sky.hear(3) == 2 * SIZE
    assert sky.flight.total == 4 * SIZE


def test_what_was_taken_back_can_be_acknowledged_again_beyond_a_gap() -> None:
    sky = Sky()
    sky.send(4)
    sky.hear(-1, (1, 2))
    sky.hear(-1)
    sky.flight.mark_all_lost()
    assert sky.resend() == [0, 1, 2, 3]
    assert sky.hear(-1, (1, 2)) == 2 * SIZE


def test_a_tail_loss_probe_takes_the_last_chunk_in_flight() -> None:
    sky = Sky()
    sky.send(4)
    sky.hear(0, (3, 3))
    record = sky.flight.last()
    assert record is not None
    assert record.tsn == 102
    assert sky.flight.recall(record)
    sky.flight.transmitted(record, sky.now)
    sky.check()


def test_a_chunk_that_is_in_flight_no_more_is_not_recalled() -> None:
    sky = Sky()
    [one, two] = sky.send(2)
    sky.hear(0)
    assert not sky.flight.recall(one)
    sky.flight.mark_all_lost()
    assert not sky.flight.recall(two)
    sky.check()
    assert sky.flight.last() is None


# Messages that are given up


def test_what_may_not_be_sent_again_is_given_up_when_it_is_lost() -> None:
    sky = Sky()
    sky.send(3, Reliability(max_retransmits=0))
    sky.flight.mark_all_lost()
    to_abandon = sky.flight.to_abandon(sky.now)
    assert len(to_abandon) == 3
    for record in to_abandon:
        sky.flight.abandon(record)
    sky.check()
    assert sky.flight.advance() == [(0, 0)]
    assert sky.flight.advanced == 102
    assert sky.resend() == []


def test_as_many_times_as_allowed_it_is_sent_again() -> None:
    sky = Sky()
    sky.send(1, Reliability(max_retransmits=2))
    for _ in range(2):
        sky.flight.mark_all_lost()
        assert sky.flight.to_abandon(sky.now) == []
        assert sky.resend() == [0]
    sky.flight.mark_all_lost()
    assert len(sky.flight.to_abandon(sky.now)) == 1


def test_what_has_expired_is_given_up_when_it_is_lost() -> None:
    sky = Sky()
    sky.send(1, Reliability(max_lifetime=1.0))
    sky.flight.mark_all_lost()
    assert sky.flight.to_abandon(10.9) == []
    assert len(sky.flight.to_abandon(11.0)) == 1


def test_one_lost_fragment_gives_up_its_whole_message_and_no_other() -> None:
    sky = Sky()
    sky.send(2, stream=1)
    middle = sky.send(3, Reliability(max_retransmits=0), stream=2)
    sky.send(2, stream=3)
    sky.flight.abandon(middle[1])
    sky.check()
    assert [r.acknowledged for r in sky.flight] == [False] * 2 + [True] * 3 + [False] * 2
    assert sky.flight.advance() == []
    sky.hear(1)
    assert sky.flight.advance() == [(2, 0)]
    assert sky.flight.advanced == 104
    sky.hear(4)
    assert sky.flight.advance() == []


def test_what_the_peer_took_back_is_not_skipped() -> None:
    sky = Sky()
    [first] = sky.send(1, Reliability(max_retransmits=0))
    sky.send(2)
    sky.hear(-1, (1, 2))
    sky.flight.abandon(first)
    sky.flight.advance()
    sky.hear(-1, (2, 2))
    [last] = sky.send(1, Reliability(max_retransmits=0))
    sky.flight.mark_all_lost()
    sky.flight.abandon(last)
    sky.flight.advance()
    assert sky.flight.advanced == 100


def test_unordered_messages_have_no_number_to_skip() -> None:
    sky = Sky()
    [record] = sky.send(1, Reliability(ordered=False, max_retransmits=0))
    sky.flight.abandon(record)
    assert sky.flight.advance() == []
    assert sky.flight.advanced == 100


def test_the_rest_of_a_message_that_was_not_sent_keeps_the_peer_from_acknowledging_all() -> None:
    sky = Sky()
    [record] = sky.send(1, Reliability(max_retransmits=0))
    sky.flight.add_unsent(record.message)
    record.message.abandon()
    sky.hear(0)
    assert not sky.flight.is_empty
    assert sky.flight.advance() == [(0, 0)]
    assert sky.flight.advanced == 101
    assert sky.hear(1) == 0
    assert sky.flight.is_empty


def test_no_more_streams_are_skipped_at_once_than_a_packet_holds() -> None:
    sky = Sky()
    for stream in range(400):
        [record] = sky.send(1, Reliability(max_retransmits=0), stream=stream)
        sky.flight.abandon(record)
    first = sky.flight.advance()
    assert len(first) == 250
    sky.hear(sky.flight.advanced - sky.first)
    rest = sky.flight.advance()
    assert first + rest == [(stream, 0) for stream in range(400)]


def test_what_the_peer_has_skipped_is_not_in_the_next_forward_tsn() -> None:
    sky = Sky()
    for number in range(3):
        [record] = sky.send(1, Reliability(max_retransmits=0), stream=number)
        sky.flight.abandon(record)
    assert len(sky.flight.advance()) == 3
    sky.hear(0)
    assert sky.flight.advance() == [(1, 0), (2, 0)]


# Any order of events


def acknowledge_some(sky: Sky, data: st.DataObject) -> None:
    """Take any SACK that a peer may send."""
    flight = sky.flight
    last = data.draw(st.integers(flight.cumulative, flight.next - 1))
    gaps = []
    at = last + 2
    while at < flight.next and data.draw(st.booleans()):
        end = data.draw(st.integers(at, flight.next - 1))
        gaps.append((at - sky.first, end - sky.first))
        at = end + 2
    sky.hear(last - sky.first, *gaps)


def give_up_some(sky: Sky, data: st.DataObject) -> None:
    """Give up what is to_abandon."""
    flight = sky.flight
    for record in flight.to_abandon(sky.now):
        flight.abandon(record)
    flight.advance()
    assert flight.cumulative <= flight.advanced < flight.next


def probe_tail(sky: Sky, data: st.DataObject) -> None:
    """Send the last chunk again."""
    record = sky.flight.last()
    if record is not None:
        assert sky.flight.recall(record)
        sky.flight.transmitted(record, sky.now)


def send_some(sky: Sky, data: st.DataObject) -> None:
    """Send a message."""
    most = data.draw(st.sampled_from([None, 0, 1]))
    sky.send(data.draw(st.integers(1, 4)), Reliability(max_retransmits=most))


DEEDS = (
    send_some,
    acknowledge_some,
    give_up_some,
    probe_tail,
    lambda sky, data: sky.losses(),
    lambda sky, data: sky.resend(),
    lambda sky, data: sky.flight.mark_all_lost(),
)


@pytest.mark.full
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_the_books_are_right_after_anything(data: st.DataObject) -> None:
    sky = Sky()
    for _ in range(data.draw(st.integers(1, 25))):
        sky.now += data.draw(st.sampled_from([0.0, 0.001, 0.05, 1.0]))
        data.draw(st.sampled_from(DEEDS))(sky, data)
        sky.check()
