"""Why two sides do not connect, as real programs in network namespaces report it.

Each test produces a row of docs/connecting.md, or several.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from dcsend.signaling.dialcode import Address, DialCode
from tests.support.demo_peers import Programs
from tests.support.netns import MakeLan

DESCRIPTION: Final = r"\b(ds[0-9a-z]{80,})\b"
LONG_TIMEOUT: Final = "--connect-timeout=600"
"An error that is found at once does not wait for it: tests have a shorter limit."


def code(*hosts: str) -> str:
    """Return a valid code with these addresses, at which no listener is."""
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
def test_code_that_can_not_be_reached_from_here_is_reported_at_once(
    lan: MakeLan,
    programs: Programs,
    tmp_path: Path,
    ipv4: bool,
    ipv6: bool,
    address: str,
    message: str,
) -> None:
    here = lan(1, ipv4=ipv4, ipv6=ipv6).hosts[0]
    receive = ("receive", "-y", "-o", tmp_path, LONG_TIMEOUT, code(address))
    dialer = programs.dcsend(*receive, host=here)
    dialer.until(message, errors=True)
    assert dialer.end() == 5


def test_two_codes_without_a_common_family_are_reported_at_once_on_both_sides(
    lan: MakeLan, programs: Programs, tmp_path: Path
) -> None:
    (four,), (six,) = lan(1, ipv6=False).hosts, lan(1, ipv4=False).hosts
    (tmp_path / "film").touch()
    two = ("--signal=sdp", LONG_TIMEOUT)
    offerer = programs.dcsend("send", tmp_path / "film", *two, host=four)
    answerer = programs.dcsend("receive", "-y", *two, "-o", tmp_path / "out", host=six)
    answerer.write_line(offerer.until(DESCRIPTION)[1])
    offerer.write_line(answerer.until(DESCRIPTION)[1])
    answerer.until("note: the other side has IPv4 addresses only, and this machine", errors=True)
    offerer.until("dcsend: the other side has IPv6 addresses only, and this mac", errors=True)
    assert offerer.end() == 5
