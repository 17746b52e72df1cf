"""Progress that stands still, on a screen."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.display.seats import MANIFEST, Seat, moved
from tests.support.screens import Pty

VIRTUAL_TIME = True

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")


async def test_progress_that_stands_still_is_shown() -> None:
    pty = Pty(80, 24)
    display = Seat(pty).display()
    display.show(MANIFEST)
    display.show(moved(10_000_000))
    await asyncio.sleep(4.9)
    assert "/s" in pty.look()[-2]
    await asyncio.sleep(0.2)
    assert "stalled for 5 s" in pty.look()[-2]
    assert "/s" not in pty.look()[-2]
    await asyncio.sleep(60)
    assert "stalled for 1 min 5 s" in pty.look()[-2]
    display.show(moved(11_000_000))
    assert "/s" in pty.look()[-2]
    display.close()
    pty.close()
