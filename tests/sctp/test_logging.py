"""The log of an association: states, channels, packet sizes, congestion samples, and the end."""

from __future__ import annotations

import logging

import pytest

from dcsend.sctp.association import Options
from dcsend.sctp.reassembly import Violation
from tests.sctp.ends import End, make_pair
from tests.sctp.path import Link, Simulation
from tests.sctp.test_channels import Talk

CONTENT = b"content of a message "


def of(caplog: pytest.LogCaptureFixture, module: str) -> list[str]:
    """Return what one module has logged."""
    name = f"dcsend.sctp.{module}"
    return [record.getMessage() for record in caplog.records if record.name == name]


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="dcsend.sctp")


def test_states_and_the_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    pair = make_pair()
    pair.ends[0].reject(Violation("invented"))
    log = of(caplog, "association")
    assert "ASSOCIATE: CLOSED -> COOKIE_WAIT" in log
    assert "ABORT: ESTABLISHED -> ENDED" in log
    assert log[-1] == "ended: invented"


def test_channels_are_logged_without_their_names(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk()
    channel = talk.open(0, "secret")
    talk.settle()
    channel.close()
    talk.settle()
    log = of(caplog, "channels")
    assert log.count("channel 0 is open") == 1
    assert log.count("channel 0 is opened by the peer") == 1
    assert log.count("channel 0 is closed") == 2
    assert not any("secret" in record.getMessage() for record in caplog.records)


def transfer(link: Link) -> float:
    """Send 2 MB over a path; return the seconds."""
    left, right = End(Options()), End(Options())
    simulation = Simulation()
    simulation.connect(left, right, link, Link(delay=link.delay))
    left.association.associate(0.0)
    simulation.run(60, lambda: left.established and right.established)
    left.association.probe([1404], simulation.now)
    for _ in range(100):
        left.association.send(0, 53, CONTENT * 1000, simulation.now)
    simulation.run(simulation.now + 60, lambda: len(right.messages) == 100)
    assert len(right.messages) == 100
    return simulation.now


def test_congestion_is_logged_once_in_a_round_trip_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    took = transfer(Link(1e6, 0.05, 1e6))
    samples = [line for line in of(caplog, "transmission") if line.startswith("rate ")]
    assert 3 < len(samples) <= took / 0.1 + 1
    assert "payload of a packet: 1404 bytes" in of(caplog, "transmission")
    assert any(line.startswith("STARTUP") or "DRAIN" in line for line in of(caplog, "bbr"))
    assert not any(CONTENT.decode() in record.getMessage() for record in caplog.records)


def test_timeouts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    transfer(Link(1e6, 0.05, 1e6, down=(1.0, 3.0)))
    assert any(line.startswith("T3-rtx expired (1)") for line in of(caplog, "transmission"))


def test_nothing_is_logged_for_packets_when_debug_is_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="dcsend.sctp")
    asked = []

    class Asked(logging.Logger):
        def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
            asked.append(level)
            return False

    logger = Asked("asked")
    monkeypatch.setattr("dcsend.sctp.transmission.logger", logger)
    transfer(Link(1e6, 0.05, 1e6))
    # Once for each side, and at each new size of packets: not for each of 1500 packets.
    assert 0 < len(asked) < 10
