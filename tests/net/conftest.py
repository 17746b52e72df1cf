"""How the event loop reads UDP sockets: itself, or through asyncio's transport."""

from __future__ import annotations

import sys

import pytest

from dcsend.net import sockets


@pytest.fixture(params=["watched", "transport"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test in both ways."""
    if request.param == "transport":
        monkeypatch.setattr(sockets, "_CAN_WATCH", False)
    elif sys.platform == "win32":
        pytest.skip("Windows can't watch sockets")
    return str(request.param)
