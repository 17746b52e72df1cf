"""Why two sides do not connect, told by real programs in networks of their own.

What docs/connecting.md says, a row for each test or more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend.signaling.dialcode import Address, DialCode
from tests.demo_peers import Talker
from tests.netns import Host, MakeLan

DESCRIPTION: Final = r"\b(ds[0-9a-z]{80,})\b"
FOR_EVER: Final = "--connect-timeout=600"
"What is known at once does not wait for it."


class Run:
    """Starts dcsend on hosts; ends it."""

    def __init__(self) -> None:
        self.talkers: list[Talker] = []

    def dcsend(self, host: Host, *arguments: str | Path) -> Talker:
        """Start dcsend on a host."""
        inside = ["ip", "netns", "exec", host.namespace]
        talker = Talker([*inside, sys.executable, "-m", "dcsend", *map(str, arguments)])
        self.talkers.append(talker)
        return talker


@pytest.fixture
def run() -> Iterator[Run]:
    """Give programs that end with the test."""
    started = Run()
    yield started
    for talker in started.talkers:
        talker.kill()


def code(*hosts: str) -> str:
    """Return the code of a listener at these addresses, in which nobody listens."""
    addresses = tuple(Address(host, 40_000) for host in hosts)
    return DialCode(bytes(16), bytes(32), 40_000, addresses, int(time.time()) + 3600).text()


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "address", "message"),
    [
        (False, True, "10.1.0.2", "the code has IPv4 addresses only, and this machine IPv6"),
        (True, False, "2001:db8:1::2", "the code has IPv6 addresses only, and this machine IPv4"),
        (False, False, "10.1.0.2", "this machine has no network address"),
        (True, False, "10.1.0.2", "this machine has no route to 10.1.0.2"),
    ],
    ids=["IPv6 only", "IPv4 only", "no address", "no route"],
)
def test_code_that_leads_nowhere_from_here_is_told_at_once(
    lan: MakeLan, run: Run, tmp_path: Path, ipv4: bool, ipv6: bool, address: str, message: str
) -> None:
    here = lan(1, ipv4=ipv4, ipv6=ipv6).hosts[0]
    dialer = run.dcsend(here, "receive", "-y", "-o", tmp_path, FOR_EVER, code(address))
    dialer.until(message, errors=True)
    assert dialer.end() == 5


def test_two_codes_without_a_common_family_are_told_at_once_on_both_sides(
    lan: MakeLan, run: Run, tmp_path: Path
) -> None:
    (four,), (six,) = lan(1, ipv6=False).hosts, lan(1, ipv4=False).hosts
    (tmp_path / "film").touch()
    two = ("--signal=sdp", FOR_EVER)
    offerer = run.dcsend(four, "send", tmp_path / "film", *two)
    answerer = run.dcsend(six, "receive", "-y", *two, "-o", tmp_path / "out")
    answerer.say(offerer.until(DESCRIPTION)[1])
    offerer.say(answerer.until(DESCRIPTION)[1])
    answerer.until("note: the other side has IPv4 addresses only, and this machine", errors=True)
    offerer.until("dcsend: the other side has IPv6 addresses only, and this mac", errors=True)
    assert offerer.end() == 5
