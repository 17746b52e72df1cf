"""Our SCTP with that of aiortc, Pion and libwebrtc, as client and as server of DTLS."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.demo_peers import LineProgram, Programs
from tests.support.echoes import CHECKS, Check, connect, they_vanish

DEMO = Path(__file__).parents[1] / "demo"
LARGEST = {"aiortc": 65_536, "libwebrtc": 262_144, "pion": 65_535}
"Bytes of a message. Pion reads into as many; aiortc says so."
BULK = {"aiortc": 4_000_000, "libwebrtc": 10_000_000, "pion": 10_000_000}


class Program:
    """A program of tests/demo that echoes."""

    def __init__(self, start: Callable[..., LineProgram], *, largest: int, bulk: int) -> None:
        self.largest = largest
        self.bulk = bulk
        self._start = start
        self.program: LineProgram

    async def offer(self) -> str:
        """Start the peer; return its offer."""
        self.program = self._start(offers=True)
        return await asyncio.to_thread(self.program.description)

    async def answer(self, offer: str) -> str:
        """Start the peer with an offer; return its answer."""
        self.program = self._start(offers=False)
        self.program.write_line(offer)
        return await asyncio.to_thread(self.program.description)

    async def accept(self, answer: str) -> None:
        """Give the peer our answer."""
        self.program.write_line(answer)

    async def open(self, label: str, negotiated: int | None = None) -> None:
        """Open a channel at the peer."""
        command = f"channel {label}" if negotiated is None else f"negotiate {label} {negotiated}"
        self.program.write_line(command)
        # Messages before a negotiated channel is open are lost.
        await asyncio.to_thread(self.program.until, rf"^Data channel '{label}'-'\d+' open")

    async def shut(self, label: str) -> None:
        """Close a channel at the peer."""
        self.program.write_line(f"shut {label}")

    async def leave(self) -> None:
        """Close the connection at the peer."""
        self.program.write_line("close")

    async def vanish(self) -> None:
        """Kill it."""
        self.program.process.kill()

    async def sees_closing(self, label: str) -> None:
        """Wait for the line of a closed channel."""
        pattern = rf"^Data channel '{label}'-'\d+' closed$|State has changed: (closed|failed)"
        await asyncio.to_thread(self.program.until, pattern)


@pytest.fixture
def program(request: pytest.FixtureRequest, programs: Programs) -> Callable[[str], Program]:
    """Make a peer of one kind; it starts with its first description."""
    if request.node.callspec.params["kind"] == "pion":
        binary = request.getfixturevalue("pion")

    def make(kind: str) -> Program:
        def start(*, offers: bool) -> LineProgram:
            if kind == "aiortc":
                script = DEMO / "aiortc_peer.py"
                return programs.run(sys.executable, script, *(["--offer"] if offers else []))
            if kind == "libwebrtc":
                return programs.libwebrtc("--echo", *(["--offer"] if offers else []))
            return programs.run(binary, "-echo", *(["-offer"] if offers else []))

        return Program(start, largest=LARGEST[kind], bulk=BULK[kind])

    return make


@pytest.mark.full
@pytest.mark.parametrize("offers", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("kind", LARGEST)
@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check is not they_vanish], ids=lambda c: c.__name__
)
async def test_our_channels(
    check: Check, kind: str, offers: bool, program: Callable[[str], Program]
) -> None:
    peer = program(kind)
    async with connect(peer, offers=offers) as ours:
        await check(ours, peer)


@pytest.mark.full
@pytest.mark.parametrize("kind", LARGEST)
async def test_peer_that_vanishes_is_noticed(kind: str, program: Callable[[str], Program]) -> None:
    async def check(*, offers: bool) -> None:
        peer = program(kind)
        async with connect(peer, offers=offers) as ours:
            await they_vanish(ours, peer)

    # At the same time: it is noticed after 8 s.
    await asyncio.gather(check(offers=True), check(offers=False))
