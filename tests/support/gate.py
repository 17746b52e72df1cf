"""Holds the threads that verify parts, until a test lets them work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dcsend.threads import begin
from tests.support.processes import PATIENCE

__all__ = ["Gate"]


class Gate:
    """Holds the threads of checks until it is opened; its `begin` replaces that of threads.

    Args:
        free: how many of them, from the first, are not held.
    """

    def __init__(self, free: int = 0) -> None:
        self._free = free
        self._opened = threading.Event()
        self._threads: list[threading.Event] = []

    def begin(self, work: Callable[[], None], name: str) -> None:
        """Take the place of `threads.begin`."""
        ended = threading.Event()
        held = len(self._threads) >= self._free
        self._threads.append(ended)

        def run() -> None:
            if held:
                self._opened.wait()
            work()
            ended.set()

        begin(run, name)

    def open(self) -> None:
        """Let the threads work."""
        self._opened.set()

    def wait(self) -> None:
        """Wait until all threads have ended."""
        for ended in self._threads:
            assert ended.wait(PATIENCE)
