"""How an association ends: shutdown with every packet lost, and abort in every state."""

from __future__ import annotations

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.queue import Reliability
from dcsend.sctp.reassembly import Limits
from dcsend.sctp.states import TRANSITIONS, Input, State
from tests.sctp.ends import PLAIN, Pair, cookie_of, kinds, make_pair
from tests.sctp.reno import Reno

OVER = (State.ENDED, State.ENDED)


def check_over(pair: Pair) -> None:
    """See that both have ended in order, once, and wait for nothing."""
    assert pair.states == OVER
    for which in (0, 1):
        [ended] = pair.endings(which)
        assert ended.reason == ""
        assert pair.ends[which].deadline() is None


@pytest.mark.parametrize("who", [(0,), (1,), (0, 1)])
def test_a_shutdown_of_one_side_or_of_both_ends_both(who: tuple[int, ...]) -> None:
    pair = make_pair()
    for which in who:
        pair.ends[which].close(pair.now)
    pair.run()
    check_over(pair)


def test_the_three_packets_of_a_shutdown_are_those_of_the_rfc() -> None:
    pair = make_pair()
    pair.ends[0].close(pair.now)
    seen = kinds(pair.poll(0)) + kinds(pair.deliver(1)) + kinds(pair.deliver(0))
    assert seen == [wire.SHUTDOWN, wire.SHUTDOWN_ACK, wire.SHUTDOWN_COMPLETE]


@pytest.mark.parametrize("who", [(0,), (0, 1)])
@pytest.mark.parametrize("lost", [wire.SHUTDOWN, wire.SHUTDOWN_ACK, wire.SHUTDOWN_COMPLETE])
@pytest.mark.parametrize("times", [1, 3])
def test_each_packet_of_a_shutdown_may_be_lost(lost: int, times: int, who: tuple[int, ...]) -> None:
    pair = make_pair()
    for which in who:
        pair.ends[which].close(pair.now)
    left = [times, times]
    for _ in range(100):
        for which in (0, 1):
            pair.poll(1 - which)
            if left[which] and lost in kinds(pair.wire[which]):
                left[which] -= 1
                pair.lose(which)
            pair.deliver(which)
        if not any(pair.wire):
            pair.wait()
    check_over(pair)


def test_all_that_is_queued_on_both_sides_arrives_before_the_end() -> None:
    pair = make_pair()
    for which in (0, 1):
        pair.ends[which].send(0, 53, bytes(300_000), pair.now)
    pair.ends[0].close(pair.now)
    assert pair.states[0] is State.SHUTDOWN_PENDING
    pair.run()
    check_over(pair)
    assert pair.messages(0) == pair.messages(1) == [bytes(300_000)]


def test_the_end_that_shuts_down_waits_while_the_peer_still_sends() -> None:
    # A window of a byte lets a packet go in each round trip.
    pair = make_pair(Options(limits=Limits(window=1), congestion=Reno), PLAIN)
    pair.ends[1].send(0, 53, bytes(120_000), pair.now)
    pair.ends[0].close(pair.now)
    start = pair.now
    for _ in range(200):
        pair.poll(0)
        pair.poll(1)
        pair.deliver(1)
        pair.deliver(0)
        pair.wait(0.5)
        if pair.states == OVER:
            break
    pair.settle()
    assert pair.now - start > 40
    check_over(pair)
    assert pair.messages(0) == [bytes(120_000)]


def test_data_after_a_shutdown_is_answered_with_the_shutdown_again() -> None:
    pair = make_pair()
    pair.ends[1].send(0, 53, bytes(1000), pair.now)
    pair.poll(1)
    pair.ends[0].close(pair.now)
    pair.poll(0)
    assert pair.states[0] is State.SHUTDOWN_SENT
    assert kinds(pair.deliver(0)) == [wire.SACK, wire.SHUTDOWN]


def test_a_shutdown_that_acknowledges_the_last_data_lets_the_peer_end() -> None:
    pair = make_pair()
    pair.ends[1].send(0, 53, bytes(1000), pair.now)
    data = pair.poll(1)
    pair.lose(0)
    pair.ends[0].close(pair.now)
    pair.poll(0)
    pair.deliver(1)
    assert pair.states == (State.SHUTDOWN_SENT, State.SHUTDOWN_RECEIVED)
    pair.wire[0].extend(data)
    pair.deliver(0)
    pair.lose(1)  # the acknowledgement, and the first repeated SHUTDOWN
    pair.wait()
    assert wire.SHUTDOWN in kinds(pair.poll(0))
    pair.deliver(1)
    assert pair.states[1] is State.SHUTDOWN_ACK_SENT
    pair.run()
    check_over(pair)


def test_what_expires_in_the_queue_does_not_hold_up_the_end() -> None:
    pair = make_pair()
    association = pair.ends[0]
    association.send(0, 53, bytes(10), pair.now, Reliability(max_lifetime=0.0))
    association.close(pair.now)
    pair.run()
    check_over(pair)


def test_a_reset_without_an_answer_sets_no_timer_during_a_shutdown() -> None:
    pair = make_pair()
    pair.ends[0].reset(1)
    pair.poll(0)
    pair.lose(1)
    pair.ends[0].send(0, 53, bytes(10), pair.now)
    pair.ends[0].close(pair.now)
    pair.poll(0)
    pair.lose(1)
    for _ in range(20):
        pair.wait()
        pair.poll(0)
        pair.lose(1)
        deadline = pair.ends[0].deadline()
        assert deadline is None or deadline > pair.now


def test_a_peer_that_is_gone_ends_the_shutdown_after_a_while() -> None:
    pair = make_pair()
    pair.ends[0].close(pair.now)
    start = pair.now
    said = kinds(pair.poll(0))
    while pair.states[0] is not State.ENDED:
        pair.lose(1)
        pair.wait()
        said += kinds(pair.poll(0))
    assert said == [wire.SHUTDOWN] * 6
    assert pair.now - start < 60
    assert pair.endings(0)[0].reason == "the peer does not answer"


def test_a_closing_side_takes_no_more_messages() -> None:
    pair = make_pair()
    pair.ends[0].send(0, 53, b"in time", pair.now)
    pair.ends[0].close(pair.now)
    pair.ends[0].send(0, 53, b"too late", pair.now)
    pair.run()
    assert pair.messages(1) == [b"in time"]


def test_shutdown_ack_is_answered_after_the_end_and_nothing_else_is() -> None:
    pair = make_pair()
    pair.ends[0].close(pair.now)
    pair.run()
    tag = pair.ends[0].tag
    for kind, answer in ((wire.SHUTDOWN_ACK, [wire.SHUTDOWN_COMPLETE]), (wire.HEARTBEAT, [])):
        packet = wire.packet((5000, 5000), tag, wire.chunk(kind, 0))
        pair.ends[0].receive(packet, pair.now)
        assert kinds(pair.poll(0)) == answer


# Abort


def in_state(state: State) -> Pair:
    """Return a pair whose left end is in a state, with nothing on its way."""
    begun = state not in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED)
    pair = make_pair(established=begun)
    left, right = pair.ends
    if not begun and state is not State.CLOSED:
        left.associate(pair.now)
        pair.poll(0)
        if state is State.COOKIE_ECHOED:
            pair.deliver(1)
            pair.deliver(0)
    elif state is State.SHUTDOWN_PENDING:
        pair.send(0, b"x")
        left.close(pair.now)
    elif state is State.SHUTDOWN_SENT:
        left.close(pair.now)
    elif state is State.SHUTDOWN_RECEIVED:
        pair.send(0, b"x")
        right.close(pair.now)
        pair.poll(1)
        pair.deliver(0)
    elif state is State.SHUTDOWN_ACK_SENT:
        right.close(pair.now)
        pair.poll(1)
        pair.deliver(0)
    elif state is State.ENDED:
        left.abort()
    pair.poll(0)
    pair.lose(0)
    pair.lose(1)
    assert left.state is state
    return pair


LIVE = [state for state in State if state is not State.ENDED]
KNOWN = [state for state in LIVE if state not in (State.CLOSED, State.COOKIE_WAIT)]


@pytest.mark.parametrize("state", LIVE)
def test_abort_ends_in_every_state(state: State) -> None:
    pair = in_state(state)
    pair.ends[0].abort()
    packets = pair.poll(0)
    assert kinds(packets) == ([wire.ABORT] if state in KNOWN else [])
    assert pair.states[0] is State.ENDED
    [ended] = pair.endings(0)
    assert not ended.violation
    assert pair.ends[0].deadline() is None
    pair.ends[0].abort()
    assert pair.poll(0) == []


@pytest.mark.parametrize("state", KNOWN)
def test_an_abort_of_the_peer_ends_in_every_state_without_a_word(state: State) -> None:
    pair = in_state(state)
    tag = pair.ends[0].tag
    data = wire.data_chunk(3, 5, 0, 0, 53, b"x")
    abort = wire.packet((5000, 5000), tag, data + wire.chunk(wire.ABORT, 0) + data)
    pair.ends[0].receive(abort, pair.now)
    assert pair.poll(0) == []
    [ended] = pair.endings(0)
    assert ended.reason == "the peer aborted the association"


def test_a_reflected_abort_is_believed_with_the_peers_own_tag() -> None:
    pair = make_pair()
    theirs = pair.ends[1].tag
    abort = wire.packet((5000, 5000), theirs, wire.chunk(wire.ABORT, wire.REFLECTED))
    pair.ends[0].receive(abort, pair.now)
    assert pair.states[0] is State.ENDED


@pytest.mark.parametrize("state", LIVE)
def test_close_ends_from_every_state(state: State) -> None:
    pair = in_state(state)
    pair.ends[0].close(pair.now)
    if state in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED):
        assert pair.states[0] is State.ENDED
        return
    pair.run(120.0)
    assert pair.states[0] is State.ENDED


# The table


INPUTS = {
    Input.SHUTDOWN: wire.chunk(wire.SHUTDOWN, 0, bytes(4)),
    Input.SHUTDOWN_ACK: wire.chunk(wire.SHUTDOWN_ACK, 0),
    Input.SHUTDOWN_COMPLETE: wire.chunk(wire.SHUTDOWN_COMPLETE, 0),
    Input.COOKIE_ACK: wire.chunk(wire.COOKIE_ACK, 0),
    Input.ABORT: wire.chunk(wire.ABORT, 0),
}


def cookie_for_the_peer(pair: Pair) -> bytes:
    """Return the cookie with which the left end answers an INIT of the right one."""
    init = wire.Init(pair.ends[1].tag, 1 << 20, 65_535, 65_535, 0).encode(wire.INIT)
    pair.ends[0].receive(wire.packet((5000, 5000), 0, init), pair.now)
    cookies = [cookie_of(packet[12:]) for packet in pair.poll(0) if packet[12] == wire.INIT_ACK]
    return cookies[0] if cookies else bytes(60)  # an association that has ended does not answer


def happens(pair: Pair, what: Input) -> bool:
    """Let an input happen to the left end; False if a test can't make it alone."""
    association, now, tag = pair.ends[0], pair.now, pair.ends[0].tag
    has_peer = association.state in (*KNOWN, State.ENDED)
    if what is Input.ASSOCIATE:
        association.associate(now)
    elif what is Input.CLOSE:
        association.close(now)
    elif what is Input.COOKIE_ECHO and has_peer:
        chunk = wire.chunk(wire.COOKIE_ECHO, 0, cookie_for_the_peer(pair))
        association.receive(wire.packet((5000, 5000), tag, chunk), now)
    elif what is Input.SHUTDOWN and has_peer:
        last = association.transmission.flight.cumulative & 0xFFFFFFFF
        chunk = wire.shutdown_chunk(last)
        association.receive(wire.packet((5000, 5000), tag, chunk), now)
    elif what in INPUTS:
        association.receive(wire.packet((5000, 5000), tag, INPUTS[what]), now)
    else:
        return False
    return True


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("what", Input)
def test_an_input_has_the_effect_in_the_table_or_none(state: State, what: Input) -> None:
    pair = in_state(state)
    association = pair.ends[0]
    expected = TRANSITIONS[state].get(what, state)
    if what is Input.CLOSE and state in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED):
        expected = State.ENDED  # there is nothing to shut down
    if not happens(pair, what):
        return
    drained = TRANSITIONS[expected].get(Input.DRAINED)
    if association.is_drained and drained is not None and what in (Input.CLOSE, Input.SHUTDOWN):
        expected = drained
    assert association.state is expected


def test_the_table_has_every_state_and_only_the_end_has_no_way_out() -> None:
    assert set(TRANSITIONS) == set(State)
    assert [state for state in State if not TRANSITIONS[state]] == [State.ENDED]
    for state in LIVE:
        assert TRANSITIONS[state][Input.ABORT] is State.ENDED


ROWS = """
    CLOSED            ASSOCIATE         COOKIE_WAIT
    CLOSED            COOKIE_ECHO       ESTABLISHED
    COOKIE_WAIT       INIT_ACK          COOKIE_ECHOED
    COOKIE_WAIT       COOKIE_ECHO       ESTABLISHED
    COOKIE_ECHOED     COOKIE_ECHO       ESTABLISHED
    COOKIE_ECHOED     COOKIE_ACK        ESTABLISHED
    ESTABLISHED       CLOSE             SHUTDOWN_PENDING
    ESTABLISHED       SHUTDOWN          SHUTDOWN_RECEIVED
    SHUTDOWN_PENDING  DRAINED           SHUTDOWN_SENT
    SHUTDOWN_PENDING  SHUTDOWN          SHUTDOWN_RECEIVED
    SHUTDOWN_SENT     SHUTDOWN          SHUTDOWN_ACK_SENT
    SHUTDOWN_SENT     SHUTDOWN_ACK      ENDED
    SHUTDOWN_RECEIVED DRAINED           SHUTDOWN_ACK_SENT
    SHUTDOWN_ACK_SENT SHUTDOWN_ACK      ENDED
    SHUTDOWN_ACK_SENT SHUTDOWN_COMPLETE ENDED
"""


def test_the_rows_are_those_of_the_rfc() -> None:
    expected = [tuple(row.split()) for row in ROWS.strip().splitlines()]
    rows = [
        (state.name, what.name, to.name)
        for state, row in TRANSITIONS.items()
        for what, to in row.items()
        if what is not Input.ABORT
    ]
    assert sorted(rows) == sorted(expected)


def test_every_state_is_reached_from_the_beginning() -> None:
    reached = {State.CLOSED}
    for _ in State:
        reached |= {to for state in reached for to in TRANSITIONS[state].values()}
    assert reached == set(State)


def test_options_are_those_of_each_side() -> None:
    pair = make_pair(Options(ports=(5000, 7), congestion=Reno), Options(ports=(7, 5000)))
    assert pair.states == (State.ESTABLISHED, State.ESTABLISHED)
    assert PLAIN.ports == (5000, 5000)
