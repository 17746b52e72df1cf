"""The rendezvous server of the laboratory: the stock mailbox server, on a host of its own.

It uses TCP port 443, so that it can be reached wherever anything can. Its database is in memory:
otherwise it waits for the disk, up to 40 ms for each message.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

from tests.lab.relays import authority
from tests.support.mailbox_server import command
from tests.support.netns import Host
from tests.support.processes import PATIENCE

__all__ = ["ADDRESSES", "NAME", "start"]

NAME: Final = "rendezvous.lab.test"
ADDRESSES: Final = ("203.0.113.12", "2001:db8:ff::12")
_PORT: Final = 443


def start(host: Host, folder: Path, *, tls: bool = True) -> str:
    """Start the server and wait until it accepts connections; return its URL.

    Args:
        host: whose addresses are `ADDRESSES`; without TLS, a host of a LAN.
        folder: for its files, among them `ca.pem` for programs.
        tls: whether it uses TLS, as a server in the internet does.
    """
    authority(folder)
    log = folder / "rendezvous.log"
    endpoint = f"tcp:{_PORT}"
    if tls:
        endpoint = f"ssl:{_PORT}:privateKey={folder}/server.key:certKey={folder}/server.pem"
    with (folder / "rendezvous.out").open("wb") as output:
        process = host.popen(
            command(rf"{endpoint}:interface=\:\:", ":memory:", log),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + PATIENCE
    # Twisted has no way to report that it listens.
    while not host.run(["ss", "-Hltn", f"sport = :{_PORT}"]).stdout.strip():
        said = (folder / "rendezvous.out").read_text(errors="replace")[-2000:]
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    return f"wss://{NAME}/v1" if tls else f"ws://{host.ipv4}:{_PORT}/v1"
