"""Servers of the tests of the page: a rendezvous server, a page with it, and a relay."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support import coturn
from tests.support.coturn import Coturn
from tests.support.mailbox_server import StockServer
from tests.support.page import Page, lan_address
from tests.support.page_host import hosted


@pytest.fixture
def server(stock_server: StockServer, page: Page) -> str:
    """The URL of a running rendezvous server."""
    stock_server.start()
    page.permit(stock_server.server.url)
    return stock_server.server.url


@pytest.fixture
async def link(server: str) -> AsyncIterator[str]:
    """The link to a page into which that server is written."""
    async with hosted(server) as served:
        yield served


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Coturn]:
    """Run coturn on an address that browsers use; of loopback they make no candidates."""
    started: list[subprocess.Popen[bytes]] = []

    def popen(argv: list[str]) -> None:
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))

    folder = tmp_path / "coturn"
    folder.mkdir()
    try:
        yield coturn.start(folder, popen, lan_address())
    finally:
        for process in started:
            process.kill()
            process.wait()
