"""For each test: a clean environment, and a check of the tasks that it leaves."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.browsers import browsers, tab
from tests.support.coturn import coturn
from tests.support.demo_peers import pion, programs
from tests.support.guard import watch
from tests.support.identity import identity
from tests.support.mailbox_server import stock_server
from tests.support.netns import lan
from tests.support.page import film, page, served
from tests.support.processes import stage
from tests.support.quiet import no_warnings, nothing_raised
from tests.support.unwatched import unwatched
from tests.support.virtual_time import VirtualTimeLoop

__all__ = [
    "browsers",
    "coturn",
    "film",
    "identity",
    "lan",
    "no_warnings",
    "nothing_raised",
    "page",
    "pion",
    "programs",
    "served",
    "stage",
    "stock_server",
    "tab",
]

# A busy machine makes single examples slow; the timeout of pytest applies.
hypothesis.settings.register_profile("dcsend", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "quick", hypothesis.settings.get_profile("dcsend"), max_examples=25
)
hypothesis.settings.load_profile("dcsend")


_DISPOSITIONS = ("SIGHUP", "SIGINT", "SIGQUIT")
"Signals that nohup, and shells without job control for a command with `&`, have ignored."


def handle_ignored_signals() -> None:
    """Make the programs that tests start independent of how the tests were started.

    A program inherits that a signal is ignored, but no handler. With a handler that does nothing,
    this process goes on ignoring the signal, and the programs do not.
    """
    for name in _DISPOSITIONS:
        number = getattr(signal, name, None)  # Windows has fewer
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process that runs tests."""
    handle_ignored_signals()
    watch()
    if "not full" in config.option.markexpr:
        config.pluginmanager.register(_NoProcess())
        hypothesis.settings.load_profile("quick")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what stays for the whole run: modules and all tests.

    Each of its full collections would take 0.15 s, of which there are 40 in the quick tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


_FULL_FOLDERS = ("programs", "pages", "lab", "chat")
_FULL_FIXTURES = {
    "browsers",
    "cast",
    "coturn",
    "lan",
    "nats",
    "page",
    "pion",
    "stage",
    "stock_server",
    "tab",
}
_STARTS_PROCESS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make quick` leaves out, if their folder or a fixture shows it."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parents[1]).parts[1]
        if folder in _FULL_FOLDERS or _FULL_FIXTURES & {*getattr(item, "fixturenames", ())}:
            item.add_marker("full")


class _NoProcess:
    """Lets a test fail that starts a process and lacks the marker `full`."""

    def __init__(self) -> None:
        self._test = ""
        sys.addaudithook(self._hook)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        try:
            return (yield)
        finally:
            self._test = ""

    def _hook(self, event: str, _arguments: object) -> None:
        if self._test and event in _STARTS_PROCESS:
            raise RuntimeError(f"{self._test} starts a process ({event}); mark it as full")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a test on the loop of asyncio, and on uvloop, too, if its module has `UVLOOP = True`.

    A module with `VIRTUAL_TIME = True` has a loop that does not wait for its timers. A test that is
    marked `unwatched` runs on loops that can't watch sockets, too.
    """
    if getattr(getattr(item, "module", None), "VIRTUAL_TIME", False):
        return {"virtual": VirtualTimeLoop}
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    if getattr(getattr(item, "module", None), "UVLOOP", False) and sys.platform != "win32":
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
        if item.get_closest_marker("unwatched"):
            factories["uvloop-unwatched"] = unwatched(uvloop.Loop)
    if item.get_closest_marker("unwatched"):
        factories["asyncio-unwatched"] = unwatched(asyncio.SelectorEventLoop)
    return factories


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements of tests: their property `figure`."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, figure in report.user_properties:
            if name == "figure" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {figure}")


_FOREIGN = (
    *("NO_COLOR", "FORCE_COLOR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("COLUMNS", "LINES"),  # pytest-xdist sets the first
)
"Variables that change what a program shows or where it keeps things."

_TURNS = 10
"Turns of the event loop in which a cancelled task must end."


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, _home: Path) -> None:
    """Remove the settings of the developer, and use no public STUN server."""
    for name in [name for name in os.environ if name.startswith("DCSEND_")]:
        monkeypatch.delenv(name)
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DCSEND_STUN", "none")
    # The page has tests of its own; the others need not open a port for it.
    # Each multicast packet would reach all programs that the tests run at the same time.
    monkeypatch.setenv("DCSEND_NO_MDNS", "1")
    monkeypatch.setenv("DCSEND_NO_PAGE", "1")
    monkeypatch.setenv("DCSEND_NO_INHIBIT", "1")
    # Each page has a port, and so an origin, of its own: nothing can be kept below a file.
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(Path(__file__).resolve()))
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

    It is set up before the fixtures of the test, so the check runs after their end.
    """
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_left")
