"""Real browsers for tests.

The fixture `browsers` starts Chromium and Firefox once per test session; `tab` runs a test in a new
tab of each. Both need Debian's packages: without them a test is skipped; with CI=true it fails.

Tabs share the browser's ordinary profile, since a user context of Chromium is an incognito window,
whose private file system is in memory. Pages of different tests have
different ports, so different origins; pages from disk share their origin.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.bidi import Json
from tests.support.identity import Identity
from tests.support.launching import NAMES, Launched, missing_programs, remove_abandoned
from tests.support.tab import EVENTS, Tab
from tests.support.tab_scripts import REPORT_VIOLATIONS

__all__ = ["Browser", "Browsers", "browsers", "require", "tab"]


class Browser(Launched):
    """A running browser; see `Launched` for the arguments."""

    def __init__(self, name: str, flags: Sequence[str] = (), namespace: str = "") -> None:
        super().__init__(name, flags, namespace)
        try:
            self._now("session.subscribe", events=list(EVENTS))
            channel = {"type": "channel", "value": {"channel": "violation"}}
            self._now(
                "script.addPreloadScript",
                functionDeclaration=REPORT_VIOLATIONS,
                arguments=[channel],
            )
            # The empty tab that it begins with stays, so that it never ends with its last tab.
            (first,) = self._now("browsingContext.getTree")["contexts"]
            self._first = first["context"]
            self._before: dict[int, int] = {}
        except BaseException:
            self.close()
            raise

    async def open_tab(self, downloads: Path) -> Tab:
        """Open a tab in front; from now on *downloads* is where this browser saves."""
        await asyncio.to_thread(downloads.mkdir, parents=True, exist_ok=True)
        behavior = {"type": "allowed", "destinationFolder": str(downloads)}
        await self.command("browser.setDownloadBehavior", downloadBehavior=behavior)
        made = await self.command("browsingContext.create", type="tab")
        return Tab(self, made["context"], downloads)

    async def close_tabs(self) -> None:
        """Close all tabs."""
        for there in (await self.command("browsingContext.getTree"))["contexts"]:
            if there["context"] != self._first:
                await self.command("browsingContext.close", context=there["context"])

    def memory(self) -> int:
        """Bytes of memory, resident, of the process that holds a page; of the largest one."""
        return max(map(_size, self._pages()), default=0)

    def watch_memory(self) -> None:
        """Measure from now on what `growth` returns."""
        for process in self._pages():
            with contextlib.suppress(OSError):  # it has ended
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")
                self._before[process.pid] = _peak(process)

    def growth(self) -> int:
        """Return by how many bytes the memory of a page has grown at most, as the kernel counts.

        Of the pages that were there at `watch_memory`, the one that has grown most.
        """
        there = [process for process in self._pages() if process.pid in self._before]
        return max(_peak(process) - self._before[process.pid] for process in there)

    def memory_of_all(self) -> int:
        """Bytes of memory of the whole browser; what processes share is counted once."""
        return sum(_size(process, shared_once=True) for process in self.processes())

    def _pages(self) -> list[psutil.Process]:
        """The processes that hold pages."""
        mark = "--type=renderer" if self.name == "chromium" else "tab"
        return [process for process in self.processes() if mark in _command_line(process)]

    def _now(self, method: str, **parameters: Any) -> Json:  # noqa: ANN401
        return self.wire.submit(self.wire.command(method, **parameters)).result()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _size(process: psutil.Process, *, shared_once: bool = False) -> int:
    try:
        return process.memory_full_info().pss if shared_once else process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _peak(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0  # a process that has ended has no memory


Browsers = Callable[[str], Browser]
"What the fixture `browsers` gives: the running browser of this name."


def require(*names: str) -> None:
    """Skip the test, or fail it under CI=true, where one of these browsers isn't installed."""
    missing = [program for name in names for program in missing_programs(name)]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}; see scripts/system-tools.sh"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browsers(identity: Identity) -> Iterator[Browsers]:
    """Start both browsers at the first use of one, and any again that has crashed.

    Chromium takes the certificate that it trusts at its start only.
    """
    remove_abandoned()
    running: dict[str, Browser] = {}
    flags = {"chromium": identity.chromium}

    def get(name: str) -> Browser:
        require(name)
        if name in running and not running[name].wire.alive:
            running.pop(name).close()
        if name not in running:
            wanted = [n for n in NAMES if n not in running and not missing_programs(n)]
            with ThreadPoolExecutor() as pool:
                starting = {n: pool.submit(Browser, n, flags.get(n, ())) for n in wanted}
            running.update((n, f.result()) for n, f in starting.items() if not f.exception())
            starting[name].result()
        return running[name]

    yield get
    with ThreadPoolExecutor() as pool:
        list(pool.map(Browser.close, running.values()))


@pytest.fixture(params=NAMES)
async def tab(
    request: pytest.FixtureRequest, browsers: Browsers, tmp_path: Path
) -> AsyncIterator[Tab]:
    """Open a tab of each browser in turn; its downloads come to `tmp_path / "downloads"`."""
    browser = await asyncio.to_thread(browsers, request.param)
    opened = await browser.open_tab(tmp_path / "downloads")
    await opened.look()
    yield opened
    if browser.wire.alive:
        await browser.close_tabs()
