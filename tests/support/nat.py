"""Two hosts behind two address translators, and a public host between them: network namespaces.

    a 10.1.0.2 ── NAT 203.0.113.1 ── server 203.0.113.10 ── NAT 203.0.113.2 ── b 10.2.0.2

A translator has address- and port-dependent filtering (RFC 4787), as home routers do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.support import netns
from tests.support.netns import Host

__all__ = ["MakeNats", "Nats", "nats"]

_RULES = """
table ip nat {{
  chain after {{
    type nat hook postrouting priority 100
    oifname "wan" masquerade {how}
  }}
}}
table ip filter {{
  chain in {{
    type filter hook input priority 0
    iifname "wan" ct state != {{ established, related }} drop
  }}
  chain through {{
    type filter hook forward priority 0
    iifname "wan" ct state != {{ established, related }} drop
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nats:
    """The three hosts that run programs."""

    a: Host
    b: Host
    server: Host


MakeNats = Callable[..., Nats]
"Type of the fixture `nats`: `nats(symmetric=False)`."


@pytest.fixture
def nats() -> Iterator[MakeNats]:
    """Make the network; it is removed with its processes at the end of the test."""
    netns.require_namespaces()
    if shutil.which("nft") is None:
        message = "address translation needs nft (nftables)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with contextlib.ExitStack() as cleanup:

        def make(*, symmetric: bool = False) -> Nats:
            return _make(cleanup, "random,fully-random" if symmetric else "")

        yield make


def _make(cleanup: contextlib.ExitStack, how: str) -> Nats:
    start = f"{netns.PREFIX}-{os.getpid()}-nat{next(netns.NUMBERS)}"
    server = Host(f"{start}-s", "203.0.113.10", "")
    cleanup.callback(server.end)
    netns.add_namespace(server.namespace, ipv6=False)
    netns.batch(
        server.namespace,
        "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "address add 203.0.113.10/24 dev br0",
        "link set br0 up",
    )
    hosts = []
    for number in (1, 2):
        host = Host(f"{start}-h{number}", f"10.{number}.0.2", "")
        nat = f"{start}-n{number}"
        cleanup.callback(netns.remove_namespace, nat)
        cleanup.callback(host.end)
        for namespace in (host.namespace, nat):
            netns.add_namespace(namespace, ipv6=False)
        netns.batch(
            nat,
            f"link add lan type veth peer name eth0 netns {host.namespace}",
            f"link add wan type veth peer name p{number} netns {server.namespace}",
            f"address add 10.{number}.0.1/24 dev lan",
            f"address add 203.0.113.{number}/24 dev wan",
            "link set lan up",
            "link set wan up",
        )
        netns.batch(server.namespace, f"link set p{number} master br0 up")
        netns.batch(
            host.namespace,
            f"address add 10.{number}.0.2/24 dev eth0",
            "link set eth0 up",
            f"route add default via 10.{number}.0.1",
        )
        inside = ["ip", "netns", "exec", nat]
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run([*inside, "sh", "-c", forward], check=True)
        rules = _RULES.format(how=how)
        subprocess.run([*inside, "nft", "-f", "-"], input=rules, text=True, check=True)
        hosts.append(host)
    return Nats(hosts[0], hosts[1], server)
