"""Loading aiortc in the background: in interpreters of their own, where it is not loaded yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.full

_START = """
import asyncio, logging, sys, threading
# In dev mode asyncio warns of steps that take 0.1 s: how busy the machine is says nothing here.
logging.getLogger("asyncio").setLevel(logging.ERROR)
import dcsend.peers.listener, dcsend.peers.dialer, dcsend.net.udp, dcsend.ice.stun
from dcsend.dtls.certificate import Certificate
from dcsend.peers.loading import load_aiortc
Certificate.generate()
assert not {"aiortc", "aioice", "av"} & set(sys.modules), "loaded too early"
"""


def run(script: str) -> str:
    """Run *script* after the imports above; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _START + script],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_loading_twice_and_in_parallel_loads_once_while_the_loop_runs() -> None:
    script = """
turns = 0
async def count():
    global turns
    while True:
        turns += 1
        await asyncio.sleep(0)
async def main():
    counting = asyncio.create_task(count())
    await asyncio.gather(*(load_aiortc() for _ in range(5)))
    await load_aiortc()
    counting.cancel()
    print("aiortc" in sys.modules, turns > 1)
asyncio.run(main())
"""
    assert run(script) == "True True"


@pytest.mark.parametrize(
    "breakage",
    [
        pytest.param("sys.modules['aiortc'] = None", id="missing"),
        pytest.param(
            "class F:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'aiortc': raise OSError('libsrtp2.so.1: cannot open')\n"
            "sys.meta_path.insert(0, F())",
            id="native-library-missing",
        ),
    ],
)
def test_what_can_not_be_loaded_is_an_import_error_each_time(breakage: str) -> None:
    script = f"""
{breakage}
async def main():
    for _ in range(2):
        try:
            await load_aiortc()
        except ImportError as exc:
            print("ImportError", bool(str(exc)))
asyncio.run(main())
"""
    assert run(script) == "ImportError True\nImportError True"


def test_loop_that_ends_meanwhile_is_not_waited_for() -> None:
    script = """
async def main():
    loading = asyncio.create_task(load_aiortc())
    await asyncio.sleep(0)
    loading.cancel()
asyncio.run(main())
for thread in threading.enumerate():
    if thread.name == "dcsend-load-aiortc":
        assert thread.daemon
        thread.join()
async def again():
    await load_aiortc()
    print("loaded")
asyncio.run(again())
"""
    assert run(script) == "loaded"


def test_threads_may_load_parts_of_the_protocol_beside_each_other() -> None:
    # One of them is in the middle of the package when another asks for a module of it.
    script = """
import importlib
started = []
def other():
    importlib.import_module("dcsend.protocol.messages")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("dcsend.protocol.") and not started:
            started.append(threading.Thread(target=other))
            started[0].start()
            # Time for it to hold what it asks for, and to wait for the package.
            started[0].join(0.3)
sys.meta_path.insert(0, Finder())
import dcsend.protocol.receiver
started[0].join()
print("done")
"""
    assert run(script) == "done"
