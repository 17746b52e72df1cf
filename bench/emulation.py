"""Two hosts joined by a path with a delay, losses, a rate and a queue: a link between namespaces.

For networks that this machine's kernel can't emulate (netem is seldom built in). Needs Linux, root,
iproute2, a C compiler and /dev/net/tun.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

from bench import hosts as plain
from bench.hosts import Hosts
from tests.lab.wires import Wire, wired
from tests.support import netns

__all__ = ["Hosts", "Path", "joined", "requirements"]

_BUFFER: Final = 5000
"Packets that a TUN device holds for the link: more than it takes in one turn."


@dataclass(frozen=True, slots=True)
class Path:
    """The path between two hosts; the same in both directions."""

    rtt: float
    "Seconds, without queueing."
    loss: float = 0.0
    "Part of the packets that is lost at random, 0 to 1; each way."
    rate: float = 0.0
    "Bits per second; 0 for as fast as this machine."
    queue: int = 1 << 20
    "Bytes of the queue; later packets are dropped."

    def __str__(self) -> str:
        """Return its text for a table."""
        rate = f"{self.rate / 1e6:g} Mbit/s" if self.rate else "no limit"
        return (
            f"{self.rtt * 1e3:g} ms, {self.loss * 100:g} %, {rate}, queue {self.queue // 1000} KB"
        )


def requirements() -> list[str]:
    """Return what is missing to emulate a path here; "" if nothing."""
    missing = plain.requirements()
    if shutil.which("cc") is None:
        missing.append("cc (a C compiler)")
    if not FilePath("/dev/net/tun").exists():
        missing.append("/dev/net/tun")
    return missing


@contextmanager
def joined(path: Path, *, mtu: int = 1500, seed: int = 1) -> Iterator[Hosts]:
    """Make two hosts with *path* between them; removed with their processes at the end."""
    with contextlib.ExitStack() as cleanup:
        hosts = plain.named("path")
        for namespace in (hosts.left, hosts.right):
            cleanup.callback(netns.remove_namespace, namespace)
            netns.add_namespace(namespace, ipv6=False)
        wire = Wire(path.rtt / 2, path.loss, path.rate, path.queue)
        cleanup.enter_context(wired(f"{hosts.left}/tun0", f"{hosts.right}/tun0", wire, seed))
        for namespace, address in (
            (hosts.left, hosts.left_address),
            (hosts.right, hosts.right_address),
        ):
            netns.batch(
                namespace,
                f"address add {address}/24 dev tun0",
                f"link set tun0 up mtu {mtu} txqueuelen {_BUFFER}",
                "route add default dev tun0",
            )
        yield hosts
