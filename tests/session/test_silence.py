"""A peer that sends nothing: when that is reported, and when it ends the run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dcsend.errors import ConnectionFailed
from dcsend.protocol.messages import Hello, encode
from dcsend.session.events import Warned
from dcsend.settings import Settings
from tests.support.halves import Side, sender
from tests.support.memory import MemoryConnection, connected_pair

VIRTUAL_TIME = True

BROWSER_GIVES_UP = 16
"Seconds of silence after which a browser ends the connection."


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def connected(source_file: Path, features: tuple[str, ...]) -> tuple[Side, MemoryConnection]:
    """Return a sender whose peer has sent Hello and will send nothing more."""
    ours, theirs = connected_pair()
    theirs.channels["control"].send(encode(Hello((1,), "peer", "receiver", features)))
    return sender(ours, source_file, Settings()), theirs


def warnings(side: Side) -> list[str]:
    return [event.kind for event in side.events if isinstance(event, Warned)]


async def test_silence_is_reported_and_then_ends_the_run(source_file: Path) -> None:
    sending, _ = connected(source_file, ())
    error = await sending.run()
    assert isinstance(error, ConnectionFailed)
    assert error.message == "the other side has been silent for 30 s"
    assert warnings(sending) == ["silent"]


BROWSERS = pytest.mark.parametrize(
    ("features", "is_browser"), [(("later", "browser"), True), (("later",), False)]
)


@BROWSERS
async def test_of_a_browser_it_is_reported_that_silence_ends_its_connection(
    source_file: Path, features: tuple[str, ...], is_browser: bool
) -> None:
    sending, _ = connected(source_file, features)
    error = await sending.run()
    assert isinstance(error, ConnectionFailed)
    assert ("it is a browser" in error.message) is is_browser


@BROWSERS
@pytest.mark.parametrize("seconds", [BROWSER_GIVES_UP - 1, BROWSER_GIVES_UP + 1])
async def test_feature_of_a_browser_explains_a_connection_that_is_lost_after_silence(
    source_file: Path, features: tuple[str, ...], is_browser: bool, seconds: int
) -> None:
    sending, peer = connected(source_file, features)
    running = asyncio.create_task(sending.run())
    await asyncio.sleep(seconds)
    await peer.close()
    error = await running
    assert isinstance(error, ConnectionFailed)
    was_silent = seconds > BROWSER_GIVES_UP
    assert ("it is a browser" in error.message) is (is_browser and was_silent)
