"""Partial reliability between two associations: messages that are abandoned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.handshake import EXTENSIONS
from dcsend.sctp.queue import Reliability
from tests.sctp.ends import PLAIN, kinds, make_pair
from tests.sctp.reno import Reno


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("size", [10, 5000])
def test_a_message_that_is_given_up_lets_the_next_one_through(*, ordered: bool, size: int) -> None:
    pair = make_pair()
    pair.send(0, bytes(size), how=Reliability(ordered, max_retransmits=0))
    pair.lose(1)
    pair.send(0, b"next", how=Reliability(ordered))
    pair.run(10.0)
    assert pair.messages(1) == [b"next"]
    assert pair.ends[0].is_drained
    assert pair.ends[1].held == 0


def test_half_a_message_that_expires_does_not_stop_its_stream() -> None:
    pair = make_pair(PLAIN, Options(congestion=Reno))
    pair.controllers[0].window = 1200
    pair.send(0, bytes(9000), how=Reliability(max_lifetime=0.05))
    pair.now += 0.1
    pair.ends[0].send(0, 53, b"next", pair.now)
    pair.run(10.0)
    assert pair.messages(1)[-1] == b"next"
    assert pair.ends[0].is_drained


def test_half_a_message_that_is_given_up_does_not_stop_its_stream_whatever_is_lost() -> None:
    pair = make_pair()
    pair.controllers[0].window = 2400
    pair.send(0, bytes(9000), how=Reliability(max_retransmits=0))
    first = pair.lose(1)
    pair.wait()
    pair.wait()
    pair.poll(0)
    pair.lose(1)  # with it the first FORWARD TSN
    pair.wire[1].extend(first)  # late, not lost
    pair.ends[0].send(0, 53, b"next", pair.now)
    pair.run(30.0)
    assert pair.messages(1) == [b"next"]
    assert pair.ends[0].is_drained


def test_a_lost_forward_tsn_is_sent_again_though_nothing_else_is_sent() -> None:
    pair = make_pair()
    pair.send(0, b"lost", how=Reliability(max_retransmits=0))
    pair.lose(1)
    sent = list[int]()
    while wire.FORWARD_TSN not in sent:
        pair.wait()
        sent = kinds(pair.poll(0))
        pair.lose(1)
    pair.run(10.0)
    assert pair.ends[0].is_drained


def test_a_peer_that_acknowledges_forward_tsn_only_is_alive() -> None:
    pair = make_pair()
    for _ in range(12):
        pair.send(0, b"lost", how=Reliability(max_retransmits=0))
        pair.lose(1)
        pair.wait()
        pair.settle()
        assert pair.ends[0].is_drained
    assert not pair.endings(0)
    assert pair.ends[0].transmission.timeouts == 0


def test_what_expires_while_it_waits_to_be_sent_again_is_not() -> None:
    pair = make_pair()
    pair.send(0, bytes(8000), how=Reliability(max_lifetime=1.5))
    pair.lose(1)
    pair.wait()
    pair.poll(0)
    pair.lose(1)
    pair.now += 0.8
    pair.controllers[0].window = 100_000
    assert kinds(pair.poll(0)) == [wire.FORWARD_TSN]


def test_a_peer_without_forward_tsn_gets_everything() -> None:
    pair = make_pair(PLAIN, replace(PLAIN, extensions=EXTENSIONS - {wire.FORWARD_TSN}))
    pair.send(0, bytes(3000), how=Reliability(max_retransmits=0))
    pair.lose(1)
    pair.run(10.0)
    assert pair.messages(1) == [bytes(3000)]
