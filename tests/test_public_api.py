"""What `import dcsend` promises, and the example in the README."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dcsend
from dcsend import api, errors
from dcsend.session import events

README = Path(__file__).parent.parent / "README.md"


def test_everything_listed_can_be_used() -> None:
    assert all(hasattr(dcsend, name) for name in dcsend.__all__)
    assert sorted(dcsend.__all__) == dcsend.__all__


def test_every_error_and_every_event_is_public() -> None:
    assert set(errors.__all__) <= set(dcsend.__all__)
    assert set(events.__all__) - {"Emit"} <= set(dcsend.__all__)
    assert set(api.__all__) <= set(dcsend.__all__)


def test_importing_loads_neither_aiortc_nor_the_command_line() -> None:
    script = (
        "import sys, dcsend\n"
        "print([m for m in ('aiortc', 'aioice', 'typer', 'tqdm', 'qrcode', 'cryptography')"
        " if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert shown.stdout.strip() == b"[]"


def test_the_example_in_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.strip()]
    assert len(lines) <= 15
    (tmp_path / "film.mkv").write_bytes(b"film" * 5000)
    # Nobody outside is to be asked for an address.
    script = found[1].replace('"film.mkv",', '"film.mkv", settings=dcsend.Settings(stun=()),')
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(README.parent), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert (tmp_path / "downloads" / "film.mkv").read_bytes() == b"film" * 5000


async def test_cancelling_a_send_that_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    told: list[dcsend.Event] = []
    published = asyncio.Event()

    def on_event(event: dcsend.Event) -> None:
        told.append(event)
        if isinstance(event, dcsend.CodeReady):
            published.set()

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    task = asyncio.create_task(dcsend.send(tmp_path / "f", settings=settings, on_event=on_event))
    await published.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(told[-1], dcsend.Finished)
    assert told[-1].exit == 130


async def test_the_accept_callback_decides(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    code: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: dcsend.Event) -> None:
        if isinstance(event, dcsend.CodeReady):
            code.set_result(event.code)

    async def refuse(manifest: dcsend.ManifestKnown) -> bool:
        return [entry.path for entry in manifest.entries] != ["f"]

    settings = dcsend.Settings(stun=(), addresses=("127.0.0.1",))
    sending = asyncio.create_task(dcsend.send(tmp_path / "f", settings=settings, on_event=on_event))
    with pytest.raises(dcsend.PeerRefused, match="you declined"):
        await dcsend.receive(await code, output=tmp_path / "in", accept=refuse, settings=settings)
    with pytest.raises(dcsend.PeerRefused, match="the other side declined"):
        await sending
    assert not (tmp_path / "in").exists()
