"""Offer and answer between two sides that are both behind address translators."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.demo_peers import Programs
from tests.support.nat import MakeNats, nats
from tests.support.netns import Host
from tests.support.page import random_file
from tests.support.processes import digest

__all__ = ["nats"]

DEMO = Path(__file__).parents[1] / "demo"
CODE = r"\b(ds[0-9a-z]{80,})\b"


def transfer(programs: Programs, here: Host, there: Host, tmp_path: Path, *servers: str) -> None:
    """Send a file with an offer and an answer; check that it arrived."""
    file = random_file(tmp_path / "film", 500_000)
    options = ["--signal", "sdp", *(f"--stun={server}" for server in servers)]
    sender = programs.dcsend("send", file, *options, host=here)
    receiver = programs.dcsend("receive", "-y", "-o", tmp_path / "out", *options, host=there)
    receiver.write_line(sender.until(CODE)[1])
    sender.write_line(receiver.until(CODE)[1])
    assert receiver.end() == 0
    assert sender.end() == 0
    assert digest(tmp_path / "out" / "film") == digest(file)


def test_two_codes_go_through_two_nats(nats: MakeNats, programs: Programs, tmp_path: Path) -> None:
    network = nats()
    stun = programs.run(
        sys.executable, DEMO / "stun_server.py", "203.0.113.10", "3478", host=network.server
    )
    stun.until("ready")
    transfer(programs, network.a, network.b, tmp_path, "stun:203.0.113.10:3478")


def test_a_relay_joins_what_no_direct_path_does(
    nats: MakeNats, programs: Programs, pion: Path, tmp_path: Path
) -> None:
    network = nats(symmetric=True)
    turn = programs.run(pion, "-turn", "203.0.113.10", host=network.server)
    port = turn.until(r"^(\d+)$")[1]
    transfer(programs, network.a, network.b, tmp_path, f"turn:user:password@203.0.113.10:{port}")


def test_wrong_password_of_a_relay_is_named(
    nats: MakeNats, programs: Programs, pion: Path, tmp_path: Path
) -> None:
    network = nats()
    turn = programs.run(pion, "-turn", "203.0.113.10", host=network.server)
    port = turn.until(r"^(\d+)$")[1]
    server = f"turn:user:wrong@203.0.113.10:{port}"
    chat = programs.dcsend("chat", "--offer", "--ice-server", server, host=network.a)
    chat.until("the TURN server 203.0.113.10 does not answer to this user", errors=True)
    chat.until("give this offer to the other side", errors=True)
    assert not any("wrong" in line for line in chat.errors)
