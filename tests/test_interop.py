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
KINDS = ("aiortc", "libwebrtc", "pion")


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

    def make(kind: str) -> Program:
        if kind == "aiortc":
            script = DEMO / "aiortc_peer.py"

            def start(*, offers: bool) -> Talker:
                return cast.run(sys.executable, script, *(["--offer"] if offers else []))

            return Program(start, largest=65_536, bulk=4_000_000)
        if kind == "libwebrtc":

            def start(*, offers: bool) -> Talker:
                return cast.libwebrtc("--echo", *(["--offer"] if offers else []))

            return Program(start, largest=262_144, bulk=30_000_000)
        binary = request.getfixturevalue("pion")

        def start(*, offers: bool) -> Talker:
            return cast.run(binary, "-echo", *(["-offer"] if offers else []))

        # It reads into as many bytes.
        return Program(start, largest=65_535, bulk=30_000_000)

    return make


@pytest.mark.parametrize("offers", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_our_channels(
    check: Check, kind: str, offers: bool, program: Callable[[str], Program]
) -> None:
    peer = program(kind)
    async with met(peer, offers=offers) as ours:
        await check(ours, peer)
