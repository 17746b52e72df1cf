"""Two hosts on one cable: network namespaces with a veth pair, MTU 1500.

`bench.emulation` puts a path in place of the cable. Needs Linux, root and iproute2.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import netns

__all__ = ["Hosts", "cable", "congestion_control", "named", "requirements"]

MTU: Final = 1500
"That of an Ethernet; the 65 536 of loopback would favour programs that send large packets."

_ALLOWED: Final = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Hosts:
    """The two ends: network namespaces and their addresses."""

    left: str
    right: str
    left_address: str = "10.99.0.1"
    right_address: str = "10.99.0.2"

    @staticmethod
    def on(namespace: str, *argv: str) -> list[str]:
        """Return the command that runs *argv* on a host; `ip` becomes it, with the same id."""
        return ["ip", "netns", "exec", namespace, *argv]


def requirements() -> list[str]:
    """Return what is missing to make two hosts here; "" if nothing."""
    missing = [] if shutil.which("ip") else ["ip (iproute2)"]
    if sys.platform != "linux":
        missing.append("Linux")
    elif os.geteuid() != 0:
        missing.append("root")
    return missing


def named(kind: str) -> Hosts:
    """Return two hosts, not made yet, with names that `netns` takes for this process's own."""
    start = f"{netns.PREFIX}-{os.getpid()}-{kind}{next(_numbers)}"
    return Hosts(f"{start}-a", f"{start}-b")


@contextmanager
def cable() -> Iterator[Hosts]:
    """Join two new hosts by a veth pair; removed with their processes at the end."""
    if missing := requirements():
        raise SystemExit(f"hosts of their own need {', '.join(missing)}")
    hosts = named("cable")
    with contextlib.ExitStack() as cleanup:
        for namespace in (hosts.left, hosts.right):
            cleanup.callback(netns.remove_namespace, namespace)
            netns.add_namespace(namespace, ipv6=False)
        netns.batch(
            hosts.left, f"link add eth0 mtu {MTU} type veth peer name eth0 netns {hosts.right}"
        )
        for namespace, address in (
            (hosts.left, hosts.left_address),
            (hosts.right, hosts.right_address),
        ):
            netns.batch(
                namespace,
                f"address add {address}/24 dev eth0",
                f"link set eth0 up mtu {MTU}",
                "route add default dev eth0",
            )
        yield hosts


@contextmanager
def congestion_control(hosts: Hosts, algorithm: str) -> Iterator[None]:
    """Have every TCP connection of both hosts use *algorithm*; fail if the kernel hasn't it."""
    allowed = _ALLOWED.read_text(encoding="ascii")
    there = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="ascii")
    if algorithm not in there.split():
        raise SystemExit(f"this kernel's TCP has no {algorithm}, only {there.strip()}")
    # A namespace may select only algorithms that the whole machine allows.
    _ALLOWED.write_text(f"{allowed.strip()} {algorithm}", encoding="ascii")
    try:
        for namespace in (hosts.left, hosts.right):
            command = f"echo {algorithm} > /proc/sys/net/ipv4/tcp_congestion_control"
            subprocess.run(Hosts.on(namespace, "sh", "-c", command), check=True)
        yield
    finally:
        _ALLOWED.write_text(allowed, encoding="ascii")
