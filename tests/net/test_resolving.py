"""Host names, by a resolver that a test makes slow."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from dcsend.net import resolving
from tests.support.peers import until

PATIENCE: Final = 60.0
"Seconds for a process, however busy the machine is."

FOUND = [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 3478))]


class Slow:
    """Stands for getaddrinfo; returns when the test lets it."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.error: OSError | None = None
        self.may_return = threading.Event()

    def getaddrinfo(self, *arguments: object, **options: object) -> list[object]:
        """Wait, then return or fail."""
        self.threads.append(threading.current_thread())
        self.may_return.wait(30)
        if self.error is not None:
            raise self.error
        return list(FOUND)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.may_return.set()
    for thread in made.threads:
        thread.join()


@pytest.mark.parametrize("error", [None, OSError(-2, "no such name")], ids=["found", "unknown"])
async def test_result_after_a_cancellation_is_ignored(slow: Slow, error: OSError | None) -> None:
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: raised.append(context))
    slow.error = error
    waiting = asyncio.create_task(resolving.resolve(("stun.example.org", 3478)))
    await until(lambda: bool(slow.threads))
    waiting.cancel()
    await asyncio.wait({waiting})
    slow.may_return.set()
    await until(lambda: not slow.threads[0].is_alive())
    await asyncio.sleep(0)  # the loop runs what the thread has left
    assert waiting.cancelled()
    assert not raised


SILENT_NAME_SERVER: Final = """
import asyncio, socket, time
from dcsend.net.resolving import resolve

async def main():
    try:
        async with asyncio.timeout(0.1):
            await resolve(("stun.example.org", 3478))
    except TimeoutError:
        print("ended")

socket.getaddrinfo = lambda *arguments, **options: time.sleep(600)
asyncio.run(main())
"""


@pytest.mark.full
def test_program_ends_while_no_name_server_responds() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SILENT_NAME_SERVER],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
