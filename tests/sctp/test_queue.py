"""The send queue: turns of the streams, fragments, and messages that expire."""

from __future__ import annotations

import pytest

from dcsend.sctp.queue import RELIABLE, QueuedMessage, Reliability, SendQueue
from dcsend.sctp.wire import FIRST, LAST, UNORDERED


def put(
    queue: SendQueue, stream: int, data: bytes, how: Reliability = RELIABLE, now: float = 0.0
) -> QueuedMessage:
    """Queue a message."""
    message = QueuedMessage(stream, 53, data, how, now)
    queue.put(message)
    return message


def cut_all(queue: SendQueue, size: int, now: float = 0.0) -> list[tuple[int, int, int, bytes]]:
    """Cut until nothing is left; return stream, flags, number and bytes of each piece."""
    pieces = []
    while (piece := queue.cut(size, now)) is not None:
        message, flags, sequence, data = piece
        pieces.append((message.stream, flags, sequence, bytes(data)))
    return pieces


def test_streams_take_turns_and_messages_are_not_mixed() -> None:
    queue = SendQueue()
    put(queue, 1, b"aaabb")
    put(queue, 1, b"c")
    put(queue, 2, b"d", Reliability(ordered=False))
    assert queue.queued(1) == 6
    assert cut_all(queue, 3) == [
        (1, FIRST, 0, b"aaa"),
        (1, LAST, 0, b"bb"),
        (2, FIRST | LAST | UNORDERED, 0, b"d"),
        (1, FIRST | LAST, 1, b"c"),
    ]
    assert queue.queued(1) == queue.queued(2) == queue.queued(3) == 0
    assert not queue


@pytest.mark.parametrize(("size", "pieces"), [(1, 4), (3, 2), (4, 1), (5, 1)])
def test_a_message_is_cut_as_packets_have_room(size: int, pieces: int) -> None:
    queue = SendQueue()
    put(queue, 0, b"abcd")
    cut = cut_all(queue, size)
    assert len(cut) == pieces
    assert b"".join(piece[3] for piece in cut) == b"abcd"
    assert cut[0][1] & FIRST
    assert cut[-1][1] & LAST


@pytest.mark.full
def test_only_ordered_messages_have_numbers_and_these_wrap_around() -> None:
    queue = SendQueue()
    for number in range(65_540):
        put(queue, 0, b"x", Reliability(ordered=number % 2 == 0))
        put(queue, 0, b"y")
    numbers = [p[2] for p in cut_all(queue, 9) if not p[1] & UNORDERED]
    assert numbers == [n & 0xFFFF for n in range(len(numbers))]
    assert len(numbers) > 65_536


def test_what_expires_before_it_leaves_takes_no_number() -> None:
    queue = SendQueue()
    put(queue, 0, b"a", Reliability(max_lifetime=1.0))
    put(queue, 0, b"b")
    assert cut_all(queue, 9, now=1.0) == [(0, FIRST | LAST, 0, b"b")]
    assert queue.queued(0) == 0


def test_what_has_begun_goes_on_though_it_expires() -> None:
    queue = SendQueue()
    put(queue, 0, b"abcd", Reliability(max_lifetime=1.0))
    queue.cut(2, 0.5)
    assert cut_all(queue, 9, now=5.0) == [(0, LAST, 0, b"cd")]


def test_the_rest_of_an_abandoned_message_is_returned_and_not_sent() -> None:
    queue = SendQueue()
    message = put(queue, 0, b"abcd", Reliability(max_retransmits=0))
    queue.cut(2, 0.0)
    message.abandon()
    piece = queue.cut(2, 0.0)
    assert piece is not None
    assert piece[0] is message
    assert len(piece[3]) == 0
    assert queue.cut(2, 0.0) is None
    assert queue.queued(0) == 0


def test_a_stream_that_was_reset_counts_from_zero() -> None:
    queue = SendQueue()
    put(queue, 0, b"a")
    cut_all(queue, 9)
    queue.restart_stream(0)
    put(queue, 0, b"b")
    assert cut_all(queue, 9)[0][2] == 0
