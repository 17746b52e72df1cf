"""The start of the program loads few modules; its end does not wait for loading."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dcsend


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python source with dcsend on its path."""
    root = str(Path(dcsend.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


LATE = (
    "aiohttp",
    "dcsend.rendezvous.client",
    "dcsend.rendezvous.discovery",
    "dcsend.rendezvous.handshake",
    "gzip",
    "html",
    "dcsend.serving.server",
    "aiortc",
    "av",
    "numpy",
    "qrcode",
    "png",
    "tqdm",
    "zeroconf",
    "dcsend.protocol.messages",
    "dcsend.protocol.frames",
    "dcsend.protocol.sender",
    "dcsend.files.directory_sink",
)


@pytest.mark.parametrize("module", LATE)
def test_code_does_not_wait_for_what_is_needed_later(module: str, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    program = (
        "import json, sys\n"
        "from dcsend.display.jsonlines import JsonDisplay\n"
        "def show(self, event):\n"
        "    if event.event == 'code': print(sys.argv[-1] in sys.modules); sys.stdout.flush()\n"
        "    raise KeyboardInterrupt\n"
        "JsonDisplay.show = show\n"
        "from dcsend.cli import main\n"
        f"module = {module!r}\n"
        f"sys.argv = ['dcsend', 'send', {str(tmp_path / 'a')!r}, '--json', '--exclude', module]\n"
        "main()\n"
    )
    found = run(program, DCSEND_ADDRESS="127.0.0.1", DCSEND_NO_PAGE="", DCSEND_NO_MDNS="")
    assert found.stdout == "False\n", found.stderr


@pytest.mark.parametrize(
    ("begin", "searches"),
    [("import dcsend.api", 700), ("from dcsend.__main__ import main", 50_000)],
)
def test_only_the_program_changes_how_often_garbage_is_looked_for(
    begin: str, searches: int
) -> None:
    program = (
        "import atexit, gc, sys\n"
        "gc.set_threshold(700)\n"
        "atexit.register(lambda: print(gc.get_threshold()[0]))\n"
        f"{begin}\n"
        "sys.argv = ['dcsend', '--version']\n"
        "if 'main' in globals(): main()\n"
    )
    ended = run(program)
    assert ended.stdout.split()[-1] == str(searches)


def test_program_ends_at_once_while_libraries_are_still_loaded() -> None:
    """A native module that is half loaded can crash the finalization of the interpreter."""
    program = (
        "import atexit, sys, threading\n"
        "from dcsend.cli import main\n"
        "load = threading.Event().wait\n"
        "threading.Thread(target=load, name='dcsend-load-something', daemon=True).start()\n"
        "atexit.register(print, 'taken apart')\n"
        "sys.argv = ['dcsend', '--version']\n"
        "main()\n"
    )
    ended = run(program)
    assert (ended.returncode, ended.stdout) == (0, f"dcsend {dcsend.__version__}\n")
