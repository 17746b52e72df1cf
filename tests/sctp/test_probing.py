"""Path MTU discovery: probes, confirmed sizes, black holes."""

from __future__ import annotations

import pytest

from dcsend.sctp import wire
from dcsend.sctp.probing import BASE_PAYLOAD, Probing, payloads
from dcsend.sctp.wire import Malformed
from tests.sctp.ends import make_pair, probe_token


def test_probes_prove_the_largest_size_that_comes_back() -> None:
    probing = Probing()
    probing.begin([1404, 1324], 0.0)
    probes = probing.probes(0.0)
    assert [len(p) - 16 for p in probes] == [1404, 1324]
    assert probing.probes(0.0) == []
    for probe, size in reversed(list(zip(probes, (1404, 1324), strict=True))):
        [(kind, _, value), (padding, _, _)] = wire.chunks(bytes(12) + probe)
        assert (kind, padding) == (wire.HEARTBEAT, wire.PAD)
        assert probing.on_heartbeat_ack(value)
        assert not probing.on_heartbeat_ack(value)
        assert probing.payload == size
    assert probing.deadline is None


def test_probes_are_tried_three_times() -> None:
    probing = Probing()
    probing.begin([1404], 0.0)
    times = []
    while probing.deadline is not None:
        times.append(probing.deadline)
        assert len(probing.probes(probing.deadline)) == 1
    assert times == [0.0, 0.3, 1.5]
    assert probing.payload == BASE_PAYLOAD


def test_a_black_hole_makes_packets_small_and_larger_ones_are_tried_again_later() -> None:
    probing = Probing()
    probing.begin([1404], 0.0)
    [probe] = probing.probes(0.0)
    [(_, _, value), _] = wire.chunks(bytes(12) + probe)
    assert probing.on_heartbeat_ack(value)
    probing.arrived(6.0, 1300)
    assert not any(probing.lost(sent, 1400, 1, 7.0) for sent in (5.9, 6.1, 6.2, 6.3))
    probing.arrived(6.4, 1300)  # shows nothing of longer ones
    assert not probing.lost(7.0, 1300, 1, 8.0)
    assert probing.lost(8.0, 1300, 1, 10.0)
    assert (probing.payload, probing.deadline) == (BASE_PAYLOAD, 15.0)
    times = []
    while probing.deadline is not None:
        times.append(probing.deadline)
        assert len(probing.probes(probing.deadline)) == 1
    assert times == [15.0, 15.3, 16.5]
    assert probing.on_heartbeat_ack(value)
    assert not probing.lost(17.0, 1300, 1, 18.0)


def test_losses_before_the_path_has_moved_make_no_black_hole() -> None:
    probing = Probing()
    probing.lost(1.0, 1404, 1, 2.0)
    probing.lost(3.0, 1404, 1, 4.0)
    probing.moved(5.0)
    assert not probing.lost(4.5, 1404, 3, 5.0)
    assert not probing.lost(6.0, 1404, 1, 7.0)
    assert probing.lost(8.0, 1404, 3, 9.0)


def test_an_echo_that_is_broken_is_malformed_and_a_foreign_one_proves_nothing() -> None:
    probing = Probing()
    probing.begin([1404], 0.0)
    with pytest.raises(Malformed):
        probing.on_heartbeat_ack(b"\0\1\0\x20")
    assert not probing.on_heartbeat_ack(wire.parameter(wire.HEARTBEAT_INFO, b""))
    [probe] = probing.probes(0.0)
    token = probe_token(bytes(12) + probe)
    assert not probing.on_heartbeat_ack(wire.parameter(9, token + (1404).to_bytes(4)))
    assert not probing.on_heartbeat_ack(b"")


@pytest.mark.parametrize("mtu", [None, 576, 1280, 1500, 9000, 65_536, 10**6])
@pytest.mark.parametrize("is_ipv6", [False, True])
def test_sizes_worth_probing_are_multiples_of_four_that_fit(
    mtu: int | None, *, is_ipv6: bool
) -> None:
    sizes = payloads(mtu, is_ipv6=is_ipv6)
    assert sizes == sorted(set(sizes), reverse=True)
    assert all(BASE_PAYLOAD < size <= (mtu or 1500) and size % 4 == 0 for size in sizes)


def test_packets_grow_when_a_probe_comes_back_and_the_association_reports_it() -> None:
    pair = make_pair()
    pair.ends[0].probe([1404, 1324], pair.now)
    pair.settle()
    [packet, *_] = pair.send(0, bytes(5000))
    assert len(packet) == 12 + 16 + 1404
