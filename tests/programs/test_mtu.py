"""A path whose MTU shrinks in the middle of a transfer: two hosts and a bridge."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.demo_peers import Programs
from tests.support.netns import Lan, MakeLan
from tests.support.processes import digest

_SIZE = 6_000_000
"Bytes of the file: three seconds at `_RATE`."
_RATE = "16mbit"
_LESS = "1280"
"Bytes: the minimum MTU of IPv6 (RFC 8200)."
AIORTC = "tests.support.aiortc_sctp"
"dcsend with aiortc's SCTP."


def ip(namespace: str, *words: str) -> None:
    subprocess.run(["ip", "-n", namespace, *words], check=True)


def drop(lan: Lan) -> None:
    """Make the bridge drop longer packets without an ICMP message."""
    ip(lan.bridge, "link", "set", "p0", "mtu", _LESS)
    ip(lan.bridge, "link", "set", "p1", "mtu", _LESS)


def refuse(lan: Lan) -> None:
    """Lower the MTU of the sender's interface, too, as after an ICMP message or in a tunnel."""
    ip(lan.hosts[0].namespace, "link", "set", "eth0", "mtu", _LESS)
    drop(lan)


@pytest.mark.parametrize(
    ("ipv6", "shrink", "program"),
    [(True, drop, "dcsend"), (False, refuse, "dcsend"), (False, drop, AIORTC)],
    ids=["IPv6, silently", "IPv4, known", "IPv4, silently, to aiortc"],
)
def test_a_transfer_survives_a_path_that_takes_less(
    lan: MakeLan,
    programs: Programs,
    tmp_path: Path,
    ipv6: bool,
    shrink: Callable[[Lan], None],
    program: str,
) -> None:
    made = lan(2, ipv4=not ipv6, ipv6=ipv6)
    for host in made.hosts:
        # A bridge does not check the size of segments that the kernel has yet to split (GSO).
        ip(host.namespace, "link", "set", "dev", "eth0", "gso_max_segs", "1")
    limit = ["root", "tbf", "rate", _RATE, "burst", "64kb", "latency", "50ms"]
    made.hosts[0].run(["tc", "qdisc", "add", "dev", "eth0", *limit])
    (tmp_path / "film").write_bytes(os.urandom(_SIZE))
    sender = programs.dcsend("send", tmp_path / "film", "--json", host=made.hosts[0])
    found = sender.until(r'"code": ?"([^"]+)"')
    arguments = ["receive", found[1], "-o", tmp_path / "in", "-y", "--json"]
    if program == "dcsend":
        receiver = programs.dcsend(*arguments, host=made.hosts[1])
    else:
        receiver = programs.run(sys.executable, "-m", program, *arguments, host=made.hosts[1])
    receiver.until(r'"event": ?"progress", .*"bytes": ?\d{7}')
    shrink(made)
    assert not any('"done"' in line for line in receiver.lines)
    assert (receiver.end(), sender.end()) == (0, 0)
    assert digest(tmp_path / "in" / "film") == digest(tmp_path / "film")
