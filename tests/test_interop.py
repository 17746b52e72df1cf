"""Our SCTP with that of aiortc, Pion and libwebrtc, as client and as server of DTLS."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo_peers import Cast, Talker
from tests.echoes import CHECKS, Check, met

DEMO = Path(__file__).parent / "demo"
LARGEST = {"aiortc": 65_536, "libwebrtc": 262_144, "pion": 65_535}
"Bytes of a message. Pion reads into as many; aiortc says so."
BULK = {"aiortc": 4_000_000, "libwebrtc": 30_000_000, "pion": 30_000_000}


class Program:
    """A program of tests/demo that echoes."""

    def __init__(self, start: Callable[..., Talker], *, largest: int, bulk: int) -> None:
        self.largest = largest
        self.bulk = bulk
        self._start = start
        self.talker: Talker

    async def offer(self) -> str:
        """Let it begin."""
        self.talker = self._start(offers=True)
        return await asyncio.to_thread(self.talker.description)

    async def answer(self, offer: str) -> str:
        """Let it answer."""
        self.talker = self._start(offers=False)
        self.talker.say(offer)
        return await asyncio.to_thread(self.talker.description)

    async def accept(self, answer: str) -> None:
        """Let it connect."""
        self.talker.say(answer)

    async def open(self, label: str, negotiated: int | None = None) -> None:
        """Let it open a channel."""
        command = f"channel {label}" if negotiated is None else f"negotiate {label} {negotiated}"
        self.talker.say(command)
        # What comes before a channel is there is lost, if it is not announced.
        await asyncio.to_thread(self.talker.until, rf"^Data channel '{label}'-'\d+' open")

    async def shut(self, label: str) -> None:
        """Let it close a channel."""
        self.talker.say(f"shut {label}")

    async def leave(self) -> None:
        """Let it close the connection."""
        self.talker.say("close")

    async def vanish(self) -> None:
        """Kill it."""
        self.talker.process.kill()

    async def notices_closing(self, label: str) -> None:
        """Wait for the line."""
        pattern = rf"^Data channel '{label}'-'\d+' closed$|State has changed: (closed|failed)"
        await asyncio.to_thread(self.talker.until, pattern)


@pytest.fixture
def program(request: pytest.FixtureRequest, cast: Cast) -> Callable[[str], Program]:
    """Make a peer of one kind; it starts with its first description."""
    if request.node.callspec.params["kind"] == "pion":
        binary = request.getfixturevalue("pion")

    def make(kind: str) -> Program:
        def start(*, offers: bool) -> Talker:
            if kind == "aiortc":
                script = DEMO / "aiortc_peer.py"
                return cast.run(sys.executable, script, *(["--offer"] if offers else []))
            if kind == "libwebrtc":
                return cast.libwebrtc("--echo", *(["--offer"] if offers else []))
            return cast.run(binary, "-echo", *(["-offer"] if offers else []))

        return Program(start, largest=LARGEST[kind], bulk=BULK[kind])

    return make


@pytest.mark.parametrize("offers", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("kind", LARGEST)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_channels(
    check: Check, kind: str, offers: bool, program: Callable[[str], Program]
) -> None:
    peer = program(kind)
    async with met(peer, offers=offers) as ours:
        await check(ours, peer)
