"""No file of the current folder or the output folder is imported, however dcsend is started.

The folders contain traps: modules with the names of the standard library and of all installed
packages. A trap that is imported writes its name into a file.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import ROOT, Stage

OPTIONAL: Final = (
    *("brotli", "brotlicffi", "cchardet", "chardet", "colorama", "IPython", "uvloop", "trio"),
    *("sniffio", "idna_ssl", "winloop", "pandas", "lxml", "png", "orjson", "httpx", "h2"),
    *("bcrypt", "org"),
)
"Modules that libraries import if they are installed."

IN_THE_SAME_RUN: Final = (
    *("tqdm.py", "typing_extensions.py", "qrcode.py", "png.py", "aiohttp.py"),
    *("stringprep.py", "dns/__init__.py", "zeroconf.py", "brotli/brotli.py", "html.py", "gzip.py"),
)


def names() -> set[str]:
    """Return each top-level name that dcsend or a library could import."""
    installed = importlib.metadata.packages_distributions()
    return {*sys.stdlib_module_names, *installed, *OPTIONAL} - {
        "dcsend",
        "__main__",
        "_sitebuiltins",
    }


def loaded_by_python(tmp_path: Path, *start: str, path: str = "") -> set[str]:
    """Return the modules that Python imports before the first line of dcsend."""
    package = tmp_path / "probe" / "probe"
    package.mkdir(parents=True, exist_ok=True)
    # The script that an installer makes imports `re`.
    code = "import re, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    (package / "__init__.py").write_text(code)
    (package / "__main__.py").touch()
    command = [sys.executable, *(start or ("-c", code))]
    shown = subprocess.run(
        command,
        cwd=package.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(shown.stdout.split())


def trap(marker: Path) -> str:
    """Return the source of a module that must not be imported."""
    return f"with open({str(marker)!r}, 'a') as file: file.write(__name__ + ' ')\n"


def lay_traps(folder: Path, marker: Path, spared: set[str]) -> None:
    """Fill *folder* with modules of all names except *spared*."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(sorted(names() - spared)):
        if number % 3:
            (folder / f"{name}.py").write_text(trap(marker))
        else:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(trap(marker))


RUN: Final = "from dcsend.__main__ import main; main()"
SCRIPT: Final = str(Path(sysconfig.get_path("scripts"), "dcsend"))
STARTS: Final[dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]]] = {
    "module": ((sys.executable, "-m", "dcsend"), "", ("-m", "probe")),
    "command": ((sys.executable, "-c", RUN), "", ()),
    "script with an empty entry in PYTHONPATH": ((SCRIPT,), f":{ROOT}", ()),
    "script with a dot in PYTHONPATH": ((SCRIPT,), f".{os.pathsep}{ROOT}", ()),
}
"Ways to start dcsend: command, PYTHONPATH, and the arguments that start a probe in the same way."


@pytest.mark.parametrize("start", STARTS)
def test_nothing_in_the_current_folder_is_imported(
    stage: Stage, tmp_path: Path, start: str
) -> None:
    launcher, path, probe = STARTS[start]
    marker, folder = tmp_path / "imported", tmp_path / "folder"
    lay_traps(folder, marker, loaded_by_python(tmp_path, *probe, path=path))
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    here = {"PYTHONPATH": path, "DCSEND_NO_PAGE": ""}
    sender = stage.send(tmp_path / "photo.jpg", launcher=launcher, environment=here, cwd=folder)
    receiver = stage.run(
        *("receive", sender.code, "-y", "--json"),
        launcher=launcher,
        environment=here,
        cwd=folder,
    )
    assert receiver.end().status == 0
    assert sender.end().status == 0
    assert (folder / "photo.jpg").read_bytes() == b"photo"
    assert not marker.exists(), marker.read_text()


def test_what_arrives_is_not_imported_in_the_same_run(stage: Stage, tmp_path: Path) -> None:
    """The progress bar, which is loaded last, appears after the first files have their names."""
    marker, source, folder = tmp_path / "imported", tmp_path / "source", tmp_path / "folder"
    folder.mkdir()
    for name in IN_THE_SAME_RUN:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(trap(marker))
    (source / "zz").write_bytes(bytes(5_000_000))
    tops = sorted(source.iterdir())
    sender = stage.send(*tops)
    receiver = stage.run("receive", sender.code, "-y", cwd=folder, terminal=True, cold=True)
    assert sender.end().status == 0
    assert receiver.end().status == 0
    assert (folder / "tqdm.py").exists()
    assert not marker.exists(), marker.read_text()


def test_folder_in_pythonpath_is_no_destination(stage: Stage, tmp_path: Path) -> None:
    """The next start would import received files before it reads its options."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    path = os.pathsep.join((str(tmp_path / "other"), str(tmp_path / "link")))
    for where in (folder, Path()):
        receiver = stage.receive("", where, cwd=folder, environment={"PYTHONPATH": path})
        ended = receiver.end()
        assert ended.status == 4
        assert "PYTHONPATH" in ended.fatal["hint"]


PROGRAM: Final = """
import dcsend
import asyncio, os, pathlib, sys

out = sys.argv[1]

def show(event):
    import helper
    helper.show(event)

async def main():
    done = await dcsend.receive(
        output=out, settings=dcsend.Settings(stun=(), addresses=("127.0.0.1",)), on_event=show
    )
    assert done.ok

asyncio.run(main())
"""
HELPER: Final = """
import dcsend

def show(event):
    if isinstance(event, dcsend.CodeReady):
        print('{"v": 1, "event": "code", "code": "%s"}' % event.code, flush=True)
"""


@pytest.mark.parametrize("start", ["there", "elsewhere", "by a link elsewhere"])
def test_program_in_the_output_folder_imports_its_own_modules_and_no_received_one(
    stage: Stage, tmp_path: Path, start: str
) -> None:
    marker, folder = tmp_path / "imported", tmp_path / "folder"
    lay_traps(folder, marker, loaded_by_python(tmp_path))
    (folder / "program.py").write_text(PROGRAM)
    (folder / "helper.py").write_text(HELPER)
    (tmp_path / "photo.jpg").write_bytes(b"photo")
    program_file = folder / "program.py"
    if start == "by a link elsewhere":
        program_file = tmp_path / "link"
        program_file.symlink_to(folder / "program.py")
    program = stage.run(
        "--json",
        launcher=(sys.executable, str(program_file), str(folder)),
        cwd=folder if start == "there" else tmp_path,
    )
    sender = stage.send(tmp_path / "photo.jpg", "--to", program.code)
    assert sender.end().status == 0
    assert program.reap().status == 0
    assert (folder / "photo.jpg").read_bytes() == b"photo"
    assert not marker.exists(), marker.read_text()
