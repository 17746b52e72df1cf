"""What magic-wormhole and wormhole-william need beside them: a mailbox server, and a relay.

Both run on the left host, so that nothing outside is contacted.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.hosts import Hosts
from bench.running import ROOT, Running

__all__ = ["PROGRAMS", "clients", "database", "mailbox", "mute_relay", "no_magic", "no_william"]

PROGRAMS: Final = ROOT / "build" / "bench-venv" / "bin"
"Installed by scripts/bench-venv.sh."

_MAILBOX: Final = 4000
_RELAY: Final = "transit.magic-wormhole.io", 4001
"The relay that is built into wormhole-william."

_MUTE: Final = "import socket, sys; s = socket.create_server(('', {port})); print('ready', flush=True); sys.stdin.read()"  # noqa: E501
"Accepts connections and never answers."


def database(hosts: Hosts, folder: Path) -> Path:
    """Return the path of the SQLite database of the mailbox server."""
    return folder / f"{hosts.left}.sqlite"


@contextmanager
def mailbox(
    hosts: Hosts, folder: Path, certificate: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """Run a mailbox server with its database in *folder*; yield its URL.

    Args:
        hosts: it is on the left one.
        folder: for its database.
        certificate: the files of a certificate and its key, for TLS; None for none.
    """
    file = database(hosts, folder)
    endpoint = f"tcp:{_MAILBOX}:interface={hosts.left_address}"
    if certificate is not None:
        endpoint = f"ssl{endpoint[3:]}:certKey={certificate[0]}:privateKey={certificate[1]}"
    options = ("--port", endpoint, "--channel-db", str(file))
    twist = (str(PROGRAMS / "twist"), "--log-format", "text", "wormhole-mailbox")
    with Running(Hosts.on(hosts.left, *twist, *options), errors=True) as server:
        server.until("Starting reactor")
        try:
            yield f"{'wss' if certificate else 'ws'}://{hosts.left_address}:{_MAILBOX}/v1"
        finally:
            server.end(interrupt=True)
            file.unlink(missing_ok=True)


def clients(hosts: Hosts) -> int:
    """Return how many connections the mailbox server has."""
    sockets = ("ss", "-Htn", "state", "established", f"( sport = :{_MAILBOX} )")
    listed = subprocess.run(
        Hosts.on(hosts.left, *sockets), check=True, capture_output=True, text=True
    )
    return len(listed.stdout.splitlines())


@contextmanager
def mute_relay(hosts: Hosts) -> Iterator[None]:
    """Run a relay that never answers where wormhole-william looks for one, on both hosts."""
    mute = (sys.executable, "-c", _MUTE.format(port=_RELAY[1]))
    with _known(hosts), Running(Hosts.on(hosts.left, *mute)) as relay:
        relay.until("ready")
        yield


@contextmanager
def _known(hosts: Hosts) -> Iterator[None]:
    """Let both hosts resolve the name of the relay, by files of the namespace as iproute2 does."""
    folders = [Path("/etc/netns", namespace) for namespace in (hosts.left, hosts.right)]
    try:
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"{hosts.left_address} {_RELAY[0]}\n", encoding="ascii")
        yield
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def no_magic() -> str:
    """Return why magic-wormhole and its mailbox server cannot run here; empty if they can."""
    there = (PROGRAMS / "wormhole").exists() and (PROGRAMS / "twist").exists()
    return "" if there else "magic-wormhole isn't in build/bench-venv; see scripts/bench-venv.sh"


def no_william() -> str:
    """Return why wormhole-william cannot run here; empty if it can."""
    why = "" if shutil.which("wormhole-william") else "Debian's wormhole-william isn't installed"
    return why or no_magic()
