"""How an association begins: the handshake, with every packet of it lost, late or twice."""

from __future__ import annotations

import pytest

from dcsend.sctp import wire
from dcsend.sctp.association import Options
from dcsend.sctp.events import Established
from dcsend.sctp.handshake import Handshake
from dcsend.sctp.states import State
from tests.sctp.ends import Pair, kinds, make_pair
from tests.sctp.reno import Reno

UP = (State.ESTABLISHED, State.ESTABLISHED)
HANDSHAKE = [wire.INIT, wire.INIT_ACK, wire.COOKIE_ECHO, wire.COOKIE_ACK]


def begin(*who: int) -> Pair:
    """Return a pair of which some have begun."""
    pair = make_pair(established=False)
    for which in who:
        pair.ends[which].associate(pair.now)
    return pair


def check_up(pair: Pair) -> None:
    """See that both can be used, report it once, and that messages go both ways."""
    assert pair.states == UP
    for which in (0, 1):
        assert sum(isinstance(event, Established) for event in pair.events[which]) == 1
        pair.send(which, b"hello")
    pair.run(5.0)
    assert pair.messages(0) == pair.messages(1) == [b"hello"]


@pytest.mark.parametrize("who", [(0,), (1,), (0, 1)])
def test_an_association_begins_when_one_side_or_both_send_init(who: tuple[int, ...]) -> None:
    pair = begin(*who)
    pair.settle()
    check_up(pair)


def test_the_four_packets_of_a_handshake_are_those_of_the_rfc() -> None:
    pair = begin(0)
    seen = kinds(pair.poll(0))
    seen += kinds(pair.deliver(1))
    seen += kinds(pair.deliver(0))
    seen += kinds(pair.deliver(1))
    assert seen == HANDSHAKE
    assert pair.states == (State.COOKIE_ECHOED, State.ESTABLISHED)


@pytest.mark.parametrize("who", [(0,), (0, 1)])
@pytest.mark.parametrize("lost", HANDSHAKE)
def test_each_packet_of_the_handshake_may_be_lost(lost: int, who: tuple[int, ...]) -> None:
    pair = begin(*who)
    missing = {0, 1}
    for _ in range(100):
        for which in (0, 1):
            pair.poll(1 - which)
            if which in missing and lost in kinds(pair.wire[which]):
                missing.discard(which)
                pair.lose(which)
            pair.deliver(which)
        if pair.states == UP and not any(pair.wire):
            break
        if not any(pair.wire):
            pair.wait()
    assert len(missing) < 2
    check_up(pair)


@pytest.mark.parametrize("who", [(0,), (0, 1)])
@pytest.mark.parametrize("twice", HANDSHAKE)
def test_each_packet_of_the_handshake_may_come_twice(twice: int, who: tuple[int, ...]) -> None:
    pair = begin(*who)
    for _ in range(20):
        for which in (0, 1):
            pair.poll(1 - which)
            again = [packet for packet in pair.wire[which] if twice in kinds([packet])]
            pair.wire[which].extend(again)
            pair.deliver(which)
    check_up(pair)


def test_the_whole_handshake_may_come_again_later() -> None:
    pair = begin(0, 1)
    seen: tuple[list[bytes], list[bytes]] = ([], [])
    for _ in range(10):
        for which in (0, 1):
            pair.poll(1 - which)
            seen[which].extend(pair.wire[which])
            pair.deliver(which)
    pair.send(0, b"before")
    pair.settle()
    for which in (0, 1):
        pair.wire[which].extend(seen[which])
        pair.deliver(which)
    pair.settle()
    assert pair.states == UP
    pair.send(0, b"after")
    pair.settle()
    assert pair.messages(1) == [b"before", b"after"]


def test_an_old_init_of_another_try_is_answered_and_changes_nothing() -> None:
    pair = begin(0, 1)
    pair.settle()
    old = wire.packet((5000, 5000), 0, Handshake(9, zero_checksum=True).init())
    pair.ends[0].receive(old, pair.now)
    assert kinds(pair.ends[0].packets(pair.now)) == [wire.INIT_ACK]
    check_up(pair)


def test_a_peer_that_begins_again_has_broken_a_rule() -> None:
    pair = begin(0, 1)
    pair.settle()
    other = make_pair(established=False).ends[0]
    other.associate(pair.now)
    for packet in other.packets(pair.now):
        pair.ends[0].receive(packet, pair.now)
    for packet in pair.ends[0].packets(pair.now):
        other.receive(packet, pair.now)
    for packet in other.packets(pair.now):
        pair.ends[0].receive(packet, pair.now)
    pair.poll(0)
    [ended] = pair.endings(0)
    assert ended.violation


def test_a_cookie_of_an_older_try_is_passed_over_while_ours_is_on_its_way() -> None:
    pair = begin(0)
    pair.poll(0)
    pair.deliver(1)
    pair.deliver(0)
    pair.lose(1)
    other = make_pair(established=False).ends[0]
    other.associate(pair.now)
    for packet in other.packets(pair.now):
        pair.ends[0].receive(packet, pair.now)
    for packet in pair.ends[0].packets(pair.now):
        other.receive(packet, pair.now)
    for packet in other.packets(pair.now):
        pair.ends[0].receive(packet, pair.now)
    assert pair.states[0] is State.COOKIE_ECHOED


def test_an_end_without_an_answer_gives_up_after_nine_tries() -> None:
    pair = begin(0)
    tries = kinds(pair.poll(0))
    while pair.states[0] is State.COOKIE_WAIT:
        pair.wait()
        tries += kinds(pair.poll(0))
    assert tries == [wire.INIT] * 9
    assert pair.endings(0)[0].reason == "the peer does not answer"
    assert pair.ends[0].deadline() is None


def test_a_cookie_without_answer_is_sent_nine_times() -> None:
    pair = begin(0)
    pair.poll(0)
    pair.deliver(1)
    tries = kinds(pair.deliver(0))
    while pair.states[0] is State.COOKIE_ECHOED:
        pair.lose(1)
        pair.wait()
        tries += kinds(pair.poll(0))
    assert tries == [wire.COOKIE_ECHO] * 9


def test_an_init_ack_without_a_cookie_is_no_answer() -> None:
    pair = begin(0)
    pair.poll(0)
    naked = wire.Init(7, 9, 1, 1, 0).encode(wire.INIT_ACK)
    tag = pair.ends[0].tag
    pair.ends[0].receive(wire.packet((5000, 5000), tag, naked), pair.now)
    assert pair.states[0] is State.COOKIE_WAIT


def test_nothing_but_the_handshake_is_answered_before_there_is_a_peer() -> None:
    pair = begin(0)
    pair.poll(0)
    tag = pair.ends[0].tag
    for kind in (wire.HEARTBEAT, wire.SACK, wire.DATA, 0x7F, wire.RE_CONFIG, wire.SHUTDOWN_ACK):
        packet = wire.packet((5000, 5000), tag, wire.chunk(kind, 0, bytes(24)))
        pair.ends[0].receive(packet, pair.now)
    assert pair.poll(0) == []
    assert pair.states[0] is State.COOKIE_WAIT


def test_what_is_sent_before_the_handshake_arrives_after_it() -> None:
    pair = begin(0, 1)
    pair.send(0, b"early")
    pair.settle()
    assert pair.messages(1) == [b"early"]


@pytest.mark.parametrize(
    "zero_checksum", [(True, True), (True, False), (False, True), (False, False)]
)
def test_checksums_are_left_out_only_if_both_sides_agree(zero_checksum: tuple[bool, bool]) -> None:
    plain = [Options(zero_checksum=one, congestion=Reno) for one in zero_checksum]
    pair = make_pair(plain[0], plain[1])
    for which in (0, 1):
        [packet] = pair.send(which, b"hello")
        assert (packet[8:12] == bytes(4)) is all(zero_checksum)
        assert wire.has_checksum(packet) is not all(zero_checksum)
    pair.settle()
    assert pair.messages(0) == pair.messages(1) == [b"hello"]


def test_a_cookie_echo_has_a_checksum_and_comes_first_even_when_it_comes_again() -> None:
    pair = begin(0)
    pair.poll(0)
    pair.deliver(1)
    pair.deliver(0)
    pair.lose(1)
    tag = pair.ends[0].tag
    heartbeat = wire.packet((5000, 5000), tag, wire.chunk(wire.HEARTBEAT, 0, b"abcd"))
    pair.ends[0].receive(heartbeat, pair.now)
    pair.wait()
    [packet] = pair.poll(0)
    assert kinds([packet]) == [wire.COOKIE_ECHO, wire.HEARTBEAT_ACK]
    assert wire.has_checksum(packet)


@pytest.mark.parametrize("lost", [0, 1])
def test_unknown_parameters_are_left_out_for_a_peer_that_drops_them_and_dcsend_needs_no_checksums(
    lost: int,
) -> None:
    """As Pion before 1.8.9 does, when it only answers."""
    zero_checksum = Options(zero_checksum=True, congestion=Reno)
    strict = make_pair(zero_checksum, zero_checksum, established=False)
    strict.ends[0].associate(strict.now)
    # With its length: random tags contain these two bytes in one run of some hundred.
    parameter = wire.ZERO_CHECKSUM.to_bytes(2) + (8).to_bytes(2)
    for _ in range(4):
        strict.poll(0)
        strict.wire[1][:] = [packet for packet in strict.wire[1] if parameter not in packet]
        strict.settle()
        strict.wait()
    assert strict.states == (State.ESTABLISHED, State.ESTABLISHED)
    ours = make_pair(zero_checksum, zero_checksum, established=False)
    ours.ends[0].associate(ours.now)
    ours.poll(0)
    if lost:
        ours.lose(1)
        ours.wait()
    ours.settle()
    assert ours.states == (State.ESTABLISHED, State.ESTABLISHED)
    [packet] = ours.send(0, b"x")
    assert packet[8:12] == bytes(4)
