"""Two codes where one is not enough: both sides behind address translators of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.demo_peers import Talker
from tests.nat import MakeNats, nats
from tests.netns import Host
from tests.page import random_file
from tests.processes import digest

__all__ = ["nats"]

DEMO = Path(__file__).parent / "demo"
CODE = r"\b(ds[0-9a-z]{80,})\b"


class Run:
    """Starts programs on hosts; ends them."""

    def __init__(self) -> None:
        self.talkers: list[Talker] = []

    def on(self, host: Host, *argv: str | Path) -> Talker:
        """Start a program on a host."""
        words = [str(word) for word in argv]
        talker = Talker(["ip", "netns", "exec", host.namespace, *words])
        self.talkers.append(talker)
        return talker

    def dcsend(self, host: Host, *arguments: str | Path) -> Talker:
        """Start dcsend on a host."""
        return self.on(host, sys.executable, "-m", "dcsend", *arguments)


@pytest.fixture
def run() -> object:
    """Give programs that end with the test."""
    started = Run()
    yield started
    for talker in started.talkers:
        talker.kill()


def transfer(run: Run, here: Host, there: Host, tmp_path: Path, *servers: str) -> None:
    """Send a file by two codes; check that it arrived."""
    file = random_file(tmp_path / "film", 500_000)
    options = ["--signal", "sdp", *(f"--stun={server}" for server in servers)]
    sender = run.dcsend(here, "send", file, *options)
    receiver = run.dcsend(there, "receive", "-y", "-o", tmp_path / "out", *options)
    receiver.say(sender.until(CODE)[1])
    sender.say(receiver.until(CODE)[1])
    assert receiver.end() == 0
    assert sender.end() == 0
    assert digest(tmp_path / "out" / "film") == digest(file)


def test_two_codes_go_through_two_nats(nats: MakeNats, run: Run, tmp_path: Path) -> None:
    network = nats()
    stun = run.on(network.server, sys.executable, DEMO / "stun_server.py", "203.0.113.10", "3478")
    stun.until("ready")
    transfer(run, network.a, network.b, tmp_path, "stun:203.0.113.10:3478")


def test_a_relay_joins_what_no_direct_path_does(
    nats: MakeNats, run: Run, pion: Path, tmp_path: Path
) -> None:
    network = nats(symmetric=True)
    turn = run.on(network.server, pion, "-turn", "203.0.113.10")
    port = turn.until(r"^(\d+)$")[1]
    transfer(run, network.a, network.b, tmp_path, f"turn:user:password@203.0.113.10:{port}")


def test_wrong_password_of_a_relay_is_named(
    nats: MakeNats, run: Run, pion: Path, tmp_path: Path
) -> None:
    network = nats()
    turn = run.on(network.server, pion, "-turn", "203.0.113.10")
    port = turn.until(r"^(\d+)$")[1]
    server = f"turn:user:wrong@203.0.113.10:{port}"
    chat = run.dcsend(network.a, "chat", "--offer", "--ice-server", server)
    chat.until("the TURN server 203.0.113.10 does not answer to this user", errors=True)
    chat.until("give this offer to the other side", errors=True)
    assert not any("wrong" in line for line in chat.errors)
