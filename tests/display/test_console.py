"""A code that is entered while the event loop runs: when reading it ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from dcsend.display.editing import Console
from tests.support.screens import Pty

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


def is_line(text: str) -> bool:
    return text.endswith("\n")


def is_code(text: str) -> bool:
    return text == "7-walrus\n"


class Seen:
    """A console whose input a test awaits."""

    def __init__(self, pty: Pty) -> None:
        self.pty = pty
        self._changed = asyncio.Event()
        self.console = Console(changed=self._changed.set, pause=1e6)

    async def type(self, text: str) -> None:
        """Type, and return when the console has read it."""
        self._changed.clear()
        self.pty.type(text)
        await self._changed.wait()


@pytest.fixture
async def seen(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Seen]:
    """A console for which a paste ends only after a pause that no test waits for."""
    pty = Pty()
    monkeypatch.setattr(sys, "stdin", pty.file)
    made = Seen(pty)
    try:
        yield made
    finally:
        made.console.close()
        pty.close()


async def test_enter_after_a_code_ends_the_input_without_a_pause(seen: Seen) -> None:
    entered = asyncio.ensure_future(seen.console.paste(is_line, lambda: None, is_code))
    for keys in ("7-walrus", "\r"):
        await seen.type(keys)
    async with asyncio.timeout(10):
        assert await entered == "7-walrus\n"


@pytest.mark.parametrize("parts", [("7-walrus\r",), ("7-wal", "rus\r"), ("7-wal", "\r")])
async def test_end_of_a_paste_and_of_an_incomplete_code_is_awaited(
    seen: Seen, parts: tuple[str, ...]
) -> None:
    """More of it may come."""
    entered = asyncio.ensure_future(seen.console.paste(is_line, lambda: None, is_code))
    await asyncio.sleep(0)
    for keys in parts:
        await seen.type(keys)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not entered.done()
    entered.cancel()
