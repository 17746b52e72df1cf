"""A joiner that is started with its code: what it imports, and when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

ORDER: Final = """
import asyncio, sys
from dcsend.peers.loading import load_aiortc, transfer_peer
from dcsend.session.joining import join
from dcsend.settings import Settings
from dcsend.signaling.shortcode import read

async def main():
    silent = await asyncio.start_server(lambda *streams: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    settings = Settings(server=f"ws://127.0.0.1:{port}/v1", mdns=False, stun=())
    code = read("7-walrus-umbrella")
    joining = asyncio.create_task(join(settings, lambda event: None, code, transfer_peer))
    while "dcsend.peers.transfer" not in sys.modules:
        await asyncio.sleep(0.01)  # nothing reports it
    print([name for name in sys.modules if name in ("aiohttp.client_ws", "dcsend.peers.transfer")])
    await load_aiortc()
    joining.cancel()
    await asyncio.wait({joining})

asyncio.run(main())
"""


@pytest.mark.full
def test_aiortc_is_imported_after_aiohttp_while_the_server_is_waited_for() -> None:
    """Two imports at a time take as long as one after the other: one processor runs both."""
    run = [sys.executable, "-c", ORDER]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=150, check=True)
    assert done.stdout.strip() == "['aiohttp.client_ws', 'dcsend.peers.transfer']"
