"""The scripts in examples/, each run from end to end on the loopback interface."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

import dcsend
from tests.support.mailbox_server import StockServer

pytestmark = pytest.mark.full

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = ROOT / "examples"
ENVIRONMENT: Final = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "DCSEND_ADDRESS": "127.0.0.1",
    "DCSEND_STUN": "none",
    "DCSEND_NO_PAGE": "1",
}
LOCAL: Final = dcsend.Settings(stun=(), addresses=("127.0.0.1",))


@contextmanager
def running(script: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run a script; give the process and its output."""
    command = [sys.executable, "-W", "error", str(script), *map(str, arguments)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, cwd=script.parent, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files and a link."""
    made = tmp_path / "photos"
    (made / "2026").mkdir(parents=True)
    (made / "a.jpg").write_bytes(b"a" * 300_000)
    (made / "2026" / "b.jpg").write_bytes(b"b" * 10)
    (made / "c.jpg").symlink_to("a.jpg")
    return made


def test_folder_is_sent_by_one_example_and_received_by_another(
    tmp_path: Path, folder: Path
) -> None:
    # The program as it stands would contact a STUN server.
    text = (EXAMPLES / "send_folder.py").read_text(encoding="utf-8")
    assert text.count("dcsend.Settings(") == 1
    local = 'dcsend.Settings(stun=(), addresses=("127.0.0.1",), '
    sender = tmp_path / "send_folder.py"
    sender.write_text(text.replace("dcsend.Settings(", local), encoding="utf-8")
    with running(sender, folder) as (sending, shown):
        code = shown.readline().split()[-1]
        with running(EXAMPLES / "receive_folder.py", code, tmp_path / "in") as (receiving, output):
            lines = output.read().splitlines()
            assert receiving.wait(60) == 0
        assert shown.readline().startswith("2 files, 300010 bytes in ")
        assert sending.wait(60) == 0
    assert lines[0] == "connected to 127.0.0.1 (direct)"
    assert any(line.startswith("100%, ") for line in lines)
    saved = tmp_path / "in" / "photos"
    assert sum(line.startswith(f"ok: {saved}") for line in lines) == 2
    assert (saved / "a.jpg").read_bytes() == (folder / "a.jpg").read_bytes()
    assert (saved / "2026" / "b.jpg").read_bytes() == b"b" * 10
    assert (saved / "c.jpg").readlink() == Path("a.jpg")


async def test_short_code_of_an_example_leads_to_its_file(
    tmp_path: Path, folder: Path, stock_server: StockServer
) -> None:
    stock_server.start()
    # The program as it stands would contact a STUN server.
    text = (EXAMPLES / "short_code.py").read_text(encoding="utf-8")
    assert text.count("dcsend.Settings(") == 1
    sender = tmp_path / "short_code.py"
    local = 'dcsend.Settings(stun=(), addresses=("127.0.0.1",), '
    sender.write_text(text.replace("dcsend.Settings(", local), encoding="utf-8")
    url = stock_server.server.url
    with running(sender, folder / "a.jpg", url) as (sending, shown):
        code = (await asyncio.to_thread(shown.readline)).split()[-1]
        settings = dataclasses.replace(LOCAL, server=url)
        assert (await dcsend.receive(code, output=tmp_path / "in", settings=settings)).ok
        assert await asyncio.to_thread(shown.read) == "sent: 300000 bytes\n"
        assert sending.wait(60) == 0
    assert (tmp_path / "in" / "a.jpg").read_bytes() == (folder / "a.jpg").read_bytes()


async def test_example_declines_what_is_too_large(tmp_path: Path, folder: Path) -> None:
    text = (EXAMPLES / "receive_folder.py").read_text(encoding="utf-8")
    assert text.count("1_000_000_000") == 1
    receiver = tmp_path / "receive_folder.py"
    receiver.write_text(text.replace("1_000_000_000", "299_999"), encoding="utf-8")
    receiving: list[asyncio.Task[int]] = []

    async def offer_file() -> None:
        async with dcsend.offer(folder / "a.jpg", settings=LOCAL) as offer:
            command = [
                sys.executable,
                "-W",
                "error",
                str(receiver),
                offer.code,
                str(tmp_path / "in"),
            ]
            call = functools.partial(subprocess.call, command, env=ENVIRONMENT)
            receiving.append(asyncio.create_task(asyncio.to_thread(call)))
            await offer.finished()

    with pytest.raises(dcsend.PeerRefused, match="the other side declined"):
        await offer_file()
    assert await receiving[0] == dcsend.PeerRefused.exit_status
    assert not (tmp_path / "in").exists()


async def test_inbox_prints_code_and_saved_file(tmp_path: Path, folder: Path) -> None:
    with running(EXAMPLES / "inbox.py", tmp_path / "in") as (process, shown):
        assert shown.readline().startswith("open ")
        code = shown.readline().split()[-1]
        assert (await dcsend.send(folder / "a.jpg", to=code, settings=LOCAL)).ok
        lines = shown.read().splitlines()
        assert process.wait(60) == 0
    assert lines == [f"saved: {tmp_path / 'in' / 'a.jpg'}", "files: 1, exit status: 0"]
    assert (tmp_path / "in" / "a.jpg").read_bytes() == (folder / "a.jpg").read_bytes()


@pytest.mark.parametrize(
    "name", ["send_folder.py", "short_code.py", "receive_folder.py", "inbox.py"]
)
def test_example_without_arguments_shows_how_it_is_called(name: str) -> None:
    command = [sys.executable, str(EXAMPLES / name)]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"python {name} " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_control_c_ends_an_example_without_a_traceback(tmp_path: Path, folder: Path) -> None:
    script = EXAMPLES / "send_folder.py"
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(script), str(folder)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("on the other machine: ")
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
    assert (tmp_path / "errors").read_text() == ""
