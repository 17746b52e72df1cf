"""The stock mailbox server of magic-wormhole, as a child process of the test on loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dcsend.rendezvous.servers import Server

__all__ = ["StockServer", "command", "stock_server"]

_PATIENCE: Final = 150.0


def command(endpoint: str, database: str, log: Path) -> list[str]:
    """Return the command line of a server.

    Args:
        endpoint: where it listens, as `twisted.internet.endpoints.serverFromString` reads it.
        database: the path of a file, or `:memory:`.
        log: the path of its log.
    """
    run = [sys.executable, "-m", "twisted", "--log-file", str(log)]
    return [*run, "wormhole-mailbox", "--port", endpoint, "--channel-db", database]


class StockServer:
    """A server with a database in a folder of the test; may be stopped and started again.

    Args:
        folder: for its database.
        host: its IPv4 address.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self._folder = folder
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server((host, 0)) as free:
            self._port = int(free.getsockname()[1])

    @property
    def server(self) -> Server:
        """Where clients find it."""
        return Server(f"ws://{self._host}:{self._port}/v1", "stock.example")

    def start(self, *options: str) -> None:
        """Start it, and return when it accepts connections."""
        endpoint = f"tcp:{self._port}:interface={self._host}"
        database = str(self._folder / "channels.sqlite")
        run = command(endpoint, database, self._folder / "log")
        self._process = subprocess.Popen(
            [*run, *options], cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection((self._host, self._port), 1).close()
            except OSError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it; its database stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Remove its database, while it does not run."""
        for path in self._folder.glob("channels.sqlite*"):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


@pytest.fixture
def stock_server(tmp_path: Path) -> Iterator[StockServer]:
    """Provide a server that is not started, and stop it with the test."""
    server = StockServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()
