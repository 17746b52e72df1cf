"""Samples of the delivery rate: the arithmetic, packet by packet."""

from __future__ import annotations

import pytest

from dcsend.sctp.rate import RateSampler
from tests.sctp.abstract import Packet


def send(sampler: RateSampler, now: float, in_flight: int, size: int = 1000) -> Packet:
    packet = Packet(size, now)
    sampler.sent(packet, now, in_flight)
    return packet


def acknowledge(sampler: RateSampler, *packets: Packet) -> None:
    for packet in packets:
        sampler.acknowledged(packet, packet.size)


def test_a_sample_is_what_was_delivered_while_its_packet_was_on_the_way() -> None:
    sampler = RateSampler(0.0)
    packets = [send(sampler, 0.01 * i, 1000 * i) for i in range(10)]
    for i, packet in enumerate(packets):
        acknowledge(sampler, packet)
        rate, app_limited, prior = sampler.sample(0.1 + 0.01 * i, 0.05)
    assert (app_limited, prior) == (False, 0)
    # Nothing was delivered at 0.0, when the connection began, and 10000 bytes at 0.19.
    assert rate == pytest.approx(10_000 / 0.19)
    assert sampler.delivered == 10_000


def test_acknowledgements_that_come_all_at_once_show_no_higher_rate_than_sending_did() -> None:
    sampler = RateSampler(0.0)
    acknowledge(sampler, send(sampler, 0.0, 0))
    sampler.sample(0.1, 0.01)
    packets = [send(sampler, 0.1 + 0.01 * i, 1000 * i) for i in range(11)]
    acknowledge(sampler, packets[0])
    sampler.sample(0.2, 0.01)
    late = send(sampler, 0.21, 10_000)
    acknowledge(sampler, *packets[1:], late)
    rate, _, _ = sampler.sample(0.2101, 0.01)
    assert rate == pytest.approx(11_000 / 0.11)


def test_a_sample_in_less_than_the_least_round_trip_counts_as_having_taken_that() -> None:
    sampler = RateSampler(0.0)
    acknowledge(sampler, send(sampler, 0.0, 0))
    rate, _, _ = sampler.sample(0.0001, 0.001)
    assert rate == pytest.approx(1000 / 0.001)


def test_of_packets_acknowledged_together_the_one_sent_last_counts() -> None:
    sampler = RateSampler(0.0)
    first = send(sampler, 0.0, 0)
    acknowledge(sampler, first)
    sampler.sample(0.1, 0.01)
    old = send(sampler, 0.1, 0)
    new = send(sampler, 0.15, 1000)
    acknowledge(sampler, new, old)
    _, _, prior = sampler.sample(0.2, 0.01)
    assert prior == new.delivered == 1000
    assert sampler.first_sent_time == 0.15


def test_idle_time_is_not_in_the_sample() -> None:
    sampler = RateSampler(0.0)
    acknowledge(sampler, send(sampler, 0.0, 0))
    sampler.sample(0.1, 0.01)
    acknowledge(sampler, send(sampler, 60.0, 0))
    rate, _, _ = sampler.sample(60.1, 0.01)
    assert rate == pytest.approx(1000 / 0.1)


def test_samples_are_app_limited_until_what_was_in_flight_is_delivered() -> None:
    sampler = RateSampler(0.0)
    before = send(sampler, 0.0, 0)
    sampler.limited(1000)
    during = send(sampler, 0.05, 1000)
    acknowledge(sampler, before)
    assert sampler.sample(0.1, 0.01)[1] is False
    acknowledge(sampler, during)
    assert sampler.sample(0.15, 0.01)[1] is True
    acknowledge(sampler, send(sampler, 0.2, 0))
    assert sampler.sample(0.3, 0.01)[1] is False


def test_being_limited_with_nothing_in_flight_and_nothing_delivered_counts_too() -> None:
    sampler = RateSampler(0.0)
    sampler.limited(0)
    acknowledge(sampler, send(sampler, 0.0, 0))
    assert sampler.sample(0.1, 0.01)[1] is True


def test_a_sack_that_acknowledges_nothing_is_no_sample() -> None:
    sampler = RateSampler(0.0)
    acknowledge(sampler, send(sampler, 0.0, 0))
    sampler.sample(0.1, 0.01)
    assert sampler.sample(0.2, 0.01) == (0.0, False, 0)
