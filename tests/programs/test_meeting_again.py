"""Two machines in one network meet again without a server: both have another address by then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.support.netns import Host, MakeLan, batch
from tests.support.processes import Event, Stage

HERE: Final = {"DCSEND_NO_MDNS": ""}
CONTENT: Final = os.urandom(2_000_000)


def halfway(event: Event) -> bool:
    return bool(event["event"] == "progress" and event["bytes"] >= len(CONTENT) // 2)


def renumber(host: Host, number: int) -> None:
    """Give a host another address in its network, as another DHCP server does."""
    network = host.ipv4.rpartition(".")[0]
    batch(
        host.namespace,
        "address flush dev eth0 scope global",
        f"address add {network}.{number}/24 dev eth0",
        f"route replace default via {network}.254 dev eth0 onlink",
    )


def test_both_sides_have_other_addresses_in_their_network(
    lan: MakeLan, stage: Stage, tmp_path: Path
) -> None:
    one, other = lan(2, ipv6=False).hosts
    sender = stage.send("-", "--name", "film", stdin=subprocess.PIPE, host=one, environment=HERE)
    code = sender.event("short_code")["code"]
    receiver = stage.receive(code, tmp_path, host=other, environment=HERE)
    sender.write(CONTENT[: len(CONTENT) // 2])
    receiver.until(halfway, "half of it")
    renumber(one, 101)
    renumber(other, 102)
    # Neither can be reached where it was. It is reported only if it takes more than 5 s.
    sender.write(CONTENT[len(CONTENT) // 2 :])
    sender.end_input()
    assert (receiver.end().status, sender.end().status) == (0, 0)
    assert (tmp_path / "film").read_bytes() == CONTENT
