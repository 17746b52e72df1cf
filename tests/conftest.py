"""What every test gets: a clean environment, and a look at what it left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import hypothesis
import pytest

from tests.browsers import browsers, tab
from tests.coturn import coturn
from tests.demo_peers import cast, pion
from tests.netns import lan
from tests.page import film, page, served
from tests.processes import stage
from tests.virtual_time import VirtualTimeLoop

__all__ = ["browsers", "cast", "coturn", "film", "lan", "page", "pion", "served", "stage", "tab"]

# A busy machine makes single examples slow; pytest's own timeout is the one that counts.
hypothesis.settings.register_profile("dcsend", deadline=None, print_blob=True)
hypothesis.settings.load_profile("dcsend")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test on asyncio's loop, and on uvloop's too if its module says `UVLOOP = True`.

    A module that says `VIRTUAL_TIME = True` has a loop that does not wait for its timers.
    """
    if getattr(getattr(item, "module", None), "VIRTUAL_TIME", False):
        return {"virtual": VirtualTimeLoop}
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    if getattr(getattr(item, "module", None), "UVLOOP", False) and sys.platform != "win32":
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have measured: their property `figure`."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, figure in report.user_properties:
            if name == "figure" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {figure}")


_FOREIGN = (
    *("NO_COLOR", "FORCE_COLOR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    *("COLUMNS", "LINES"),  # pytest-xdist sets the first
)
"Variables that change what a program shows or where it keeps things."

_TURNS = 10
"Turns of the event loop that a task which was told to end may take for it."


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, _home: Path) -> None:
    """Keep the developer's settings out, and the tests away from strangers' STUN servers."""
    for name in [name for name in os.environ if name.startswith("DCSEND_")]:
        monkeypatch.delenv(name)
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCSEND_STUN", "none")
    # The page has tests of its own; the others need not open a port for it.
    monkeypatch.setenv("DCSEND_NO_PAGE", "1")
    monkeypatch.setenv("HOME", str(_home))
    monkeypatch.setenv("USERPROFILE", str(_home))


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    yield
    left: set[asyncio.Task[object]] = set()
    for _ in range(_TURNS):
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        if not left:
            break
        await asyncio.sleep(0)
    if left:
        names = "\n".join(map(repr, left))
        pytest.fail(f"tasks left pending at the end of the test:\n{names}", pytrace=False)


@pytest.fixture(autouse=True)
def _tasks_end(request: pytest.FixtureRequest, _clean_environment: None) -> None:
    """Fail an asynchronous test that ends before its tasks do.

    Set up before the fixtures that a test names, thus judged after they are gone.
    """
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_left")
