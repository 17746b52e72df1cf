"""The unit file for systemd in docs: it is valid, its command works, and systemd starts it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE, Stage

UNIT = Path(__file__).resolve().parents[2] / "docs" / "dcsend-inbox.service"
PROGRAM = "/usr/local/bin/dcsend"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")


def adapted(folder: Path, port: str = "0", free: str = "1M") -> Path:
    """Return the unit for this installation."""
    text = UNIT.read_text()
    for before, after in (
        (f"={PROGRAM} ", f"={sys.executable} -m dcsend "),
        ("--port 4000", f"--port {port}"),
        ("--min-free 10G", f"--min-free {free} --stun none --address 127.0.0.1"),
    ):
        assert before in text
        text = text.replace(before, after)
    path = folder / "dcsend-inbox-test.service"
    path.write_text(text)
    return path


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and os.environ.get("CI") != "true",
    reason="systemd is not installed",
)
def test_unit_for_systemd_is_valid(tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", adapted(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_command_of_the_unit_receives_until_it_is_stopped(stage: Stage, tmp_path: Path) -> None:
    line = re.search(r"^ExecStart=(.*)$", adapted(tmp_path).read_text(), re.MULTILINE)
    assert line is not None
    command = line[1].replace("${STATE_DIRECTORY}", str(tmp_path / "state"))
    _, _, _, *arguments = shlex.split(command)
    inbox = stage.run(*arguments)
    inbox.until_shown(b"works for any number of senders")
    code = next(word for word in inbox.shown.decode().split() if word.startswith("dc0"))
    (tmp_path / "note").write_text("hello")
    assert stage.send(tmp_path / "note", "--to", code, "--as", "phone").end().status == 0
    inbox.until_shown(b"phone has sent 1 file")
    inbox.process.send_signal(signal.SIGTERM)
    ended = inbox.end()
    assert ended.status == 0
    assert [path.read_text() for path in (tmp_path / "state").glob("*/phone/note")] == ["hello"]


def is_running() -> bool:
    """Return whether systemd runs here, and may start this installation as another user."""
    hidden = Path(sys.executable).resolve().is_relative_to("/root")
    return Path("/run/systemd/system").is_dir() and os.geteuid() == 0 and not hidden


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """Install the unit until the end of the test; return its name."""
    installed = Path("/run/systemd/system") / adapted(tmp_path).name
    shutil.copy(adapted(tmp_path), installed)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    try:
        yield installed.name
    finally:
        subprocess.run(["systemctl", "stop", installed.name], check=False)
        installed.unlink()
        subprocess.run(["systemctl", "daemon-reload"], check=False)


@pytest.mark.skipif(not is_running(), reason="systemd does not run here, or this is not root")
def test_systemd_starts_and_stops_the_service(service: str, stage: Stage, tmp_path: Path) -> None:
    subprocess.run(["systemctl", "start", service], check=True)
    (tmp_path / "note").write_text("hello")
    follow = ["timeout", str(PATIENCE), "journalctl", "-u", service, "-o", "cat", "-f", "-n", "all"]
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as log:
        assert log.stdout is not None
        found = (re.search(r"dc0\w{60,}", line) for line in log.stdout)
        code = next(filter(None, found))
        log.terminate()
    assert stage.send(tmp_path / "note", "--to", code[0], "--as", "phone").end().status == 0
    state = Path("/var/lib/dcsend-inbox")
    assert [path.read_text() for path in state.glob("*/phone/note")] == ["hello"]
    subprocess.run(["systemctl", "stop", service], check=True)
    shown = subprocess.run(
        ["systemctl", "show", service, "-p", "Result"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "Result=success\n"
