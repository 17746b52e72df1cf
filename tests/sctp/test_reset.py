"""Resetting streams: one request at a time, again until it is answered, each answered once."""

from __future__ import annotations

import struct

import pytest

from dcsend.sctp import wire
from dcsend.sctp.reset import Reset, StreamResets
from dcsend.sctp.transmission import Transmission
from dcsend.sctp.wire import Malformed
from tests.sctp.ends import kinds, make_pair
from tests.sctp.reno import Reno

OURS, THEIRS = 0xFFFFFFFF, 50


def requested(number: int, last: int, *streams: int) -> bytes:
    """Return the value of a RE-CONFIG with a request."""
    value = struct.pack("!LLL", number & 0xFFFFFFFF, 0, last & 0xFFFFFFFF)
    return wire.parameter(13, value + struct.pack(f"!{len(streams)}H", *streams), last=True)


def answered(number: int, result: int = 1) -> bytes:
    """Return the value of a RE-CONFIG with an answer."""
    return wire.parameter(16, struct.pack("!LL", number & 0xFFFFFFFF, result))


def result(reply: bytes) -> tuple[int, int]:
    """Return number and result of an answer."""
    number, code = struct.unpack("!LL", reply[8:])
    return number, code


def test_a_request_is_performed_and_answered() -> None:
    resets = StreamResets(OURS, THEIRS)
    [reply], done = resets.received(requested(THEIRS, 9, 1, 3), 9)
    assert result(reply) == (THEIRS, 1)
    assert done == [Reset(1, by_peer=True), Reset(3, by_peer=True)]


def test_a_request_that_comes_again_gets_its_answer_again_and_nothing_else_happens() -> None:
    resets = StreamResets(OURS, THEIRS)
    first, _ = resets.received(requested(THEIRS, 9, 1), 9)
    again, done = resets.received(requested(THEIRS, 9, 1), 9)
    assert again == first
    assert done == []


@pytest.mark.parametrize("number", [THEIRS + 1, THEIRS - 1, THEIRS + 2**31])
def test_a_request_with_a_wrong_number_is_passed_over(number: int) -> None:
    assert StreamResets(OURS, THEIRS).received(requested(number, 9, 1), 9) == ([], [])


@pytest.mark.parametrize("step", [0, 1])
def test_a_request_before_all_has_come_is_to_be_made_again_under_either_number(step: int) -> None:
    resets = StreamResets(OURS, THEIRS)
    [reply], done = resets.received(requested(THEIRS, 9, 1), 8)
    assert result(reply) == (THEIRS, 6)
    assert done == []
    [reply], done = resets.received(requested(THEIRS + step, 9, 1), 9)
    assert result(reply) == (THEIRS + step, 1)
    assert done == [Reset(1, by_peer=True)]
    [reply], done = resets.received(requested(THEIRS + step + 1, 9, 2), 9)
    assert done == [Reset(2, by_peer=True)]


def test_a_new_number_is_only_for_what_was_to_be_made_again() -> None:
    resets = StreamResets(OURS, THEIRS)
    resets.received(requested(THEIRS, 9, 1), 8)
    resets.received(requested(THEIRS, 9, 1), 9)
    assert resets.received(requested(THEIRS + 2, 9, 1), 9) == ([], [])


def test_a_stream_named_twice_is_reset_once() -> None:
    _, done = StreamResets(OURS, THEIRS).received(requested(THEIRS, 9, 1, 1, 2, 1), 9)
    assert [reset.stream for reset in done] == [1, 2]


def test_a_request_for_no_stream_has_nothing_to_do() -> None:
    [reply], done = StreamResets(OURS, THEIRS).received(requested(THEIRS, 9), 9)
    assert result(reply) == (THEIRS, 0)
    assert done == []


@pytest.mark.parametrize("kind", [14, 15, 17, 18])
def test_other_requests_are_denied(kind: int) -> None:
    value = wire.parameter(kind, struct.pack("!LL", THEIRS, 0))
    [reply], done = StreamResets(OURS, THEIRS).received(value, 9)
    assert result(reply) == (THEIRS, 2)
    assert done == []


@pytest.mark.parametrize(
    "value",
    [
        b"\0",
        wire.parameter(13, b"abc"),
        wire.parameter(13, struct.pack("!LL", THEIRS, 0)),
        wire.parameter(13, struct.pack("!LLL", THEIRS, 0, 9) + b"\0"),
        wire.parameter(16, b"abcd"),
    ],
)
def test_lengths_that_are_wrong_are_malformed(value: bytes) -> None:
    with pytest.raises(Malformed):
        StreamResets(OURS, THEIRS).received(value, 9)


def asked() -> tuple[StreamResets, Transmission]:
    """Return resets with a request on its way."""
    resets, sending = StreamResets(OURS, THEIRS), Transmission(OURS, Reno, 0.0)
    resets.request(3)
    resets.request(3)
    resets.request(5)
    [chunk] = resets.requests(sending, 1.0)
    [(_, _, value)] = wire.chunks(bytes(12) + chunk)
    assert value == requested(OURS, OURS - 1, 3, 5)[:8] + struct.pack(
        "!LLHH", THEIRS - 1, OURS - 1, 3, 5
    )
    return resets, sending


def test_a_request_goes_again_until_it_is_answered() -> None:
    resets, sending = asked()
    assert resets.requests(sending, 1.5) == []
    assert len(resets.requests(sending, 2.0)) == 1
    _, done = resets.received(answered(OURS), 0)
    assert done == [Reset(3, by_peer=False), Reset(5, by_peer=False)]
    assert resets.requests(sending, 9.0) == []
    assert resets.deadline is None


def test_the_next_request_waits_for_the_answer_to_the_first() -> None:
    resets, sending = asked()
    resets.request(7)
    resets.request(3)
    resets.received(answered(OURS + 1), 0)
    assert resets.requests(sending, 1.5) == []
    resets.received(answered(OURS), 0)
    [chunk] = resets.requests(sending, 1.6)
    [(_, _, value)] = wire.chunks(bytes(12) + chunk)
    assert value[4:8] == bytes(4)  # the number has wrapped around
    assert value[16:] == b"\0\7"


def test_a_request_in_progress_is_not_answered_and_any_other_answer_is_one() -> None:
    resets, _ = asked()
    assert resets.received(answered(OURS, 6), 0) == ([], [])
    _, done = resets.received(answered(OURS, 2), 0)
    assert len(done) == 2


def test_a_stream_is_reset_after_what_was_sent_on_it_has_arrived() -> None:
    pair = make_pair()
    pair.send(0, bytes(3000), stream=4)
    pair.ends[0].reset(4)
    pair.poll(0)
    assert wire.RE_CONFIG not in kinds(pair.wire[1])
    pair.settle()
    assert pair.messages(1) == [bytes(3000)]
    assert pair.resets(1) == [Reset(4, by_peer=True)]
    assert pair.resets(0) == [Reset(4, by_peer=False)]
    pair.send(0, b"from zero", stream=4)
    pair.settle()
    assert pair.messages(1)[-1] == b"from zero"


@pytest.mark.parametrize("lost", [0, 1])
def test_a_request_or_its_answer_may_be_lost(lost: int) -> None:
    pair = make_pair()
    pair.ends[0].reset(4)
    pair.poll(0)
    if lost:
        pair.lose(1)
    else:
        pair.deliver(1)
        pair.lose(0)
    pair.run(5.0)
    assert pair.resets(1) == [Reset(4, by_peer=True)]
    assert pair.resets(0) == [Reset(4, by_peer=False)]


def test_a_reset_before_the_handshake_is_not_requested() -> None:
    pair = make_pair(established=False)
    assert not pair.ends[0].reset(1)
