"""The page of real dcsend programs: served while a code is shown, or written to a file."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from dcsend.serving.page import SERVICE_WORKER, read_page
from dcsend.signaling.dialcode import decode
from tests.serving.sample_page import PAGE
from tests.support.command_line import run
from tests.support.load import Stopwatch
from tests.support.processes import PATIENCE, Ended, Program, Stage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the page, which is the default of dcsend but not of the tests."""
    monkeypatch.delenv("DCSEND_NO_PAGE")


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Make a file to send."""
    (tmp_path / "note.txt").write_text("hello")
    return tmp_path / "note.txt"


def place(program: Program) -> tuple[str, int]:
    """Return host and port of the page that the program's link names."""
    link = str(program.event("code")["link"])
    assert decode(link) == decode(program.code)
    parts = urlsplit(link)
    assert (parts.scheme, parts.path) == ("http", "/")
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def fetch(host: str, port: int, path: str = "/") -> tuple[int, bytes]:
    """Send one request for a page; return status and body."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    connection.request("GET", path)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


def test_sender_serves_the_page_where_its_link_points(stage: Stage, note: Path) -> None:
    sender = stage.send(note)
    host, port = place(sender)
    assert fetch(host, port) == (200, read_page().content)
    assert fetch(host, port, "/note.txt") == (404, b"")


def test_sender_with_a_rendezvous_server_serves_a_page_with_it(stage: Stage, note: Path) -> None:
    url = "ws://127.0.0.1:9/v1"
    sender = stage.send(note, "--server", url)
    assert fetch(*place(sender)) == (200, read_page(server=url).content)


def test_listening_receiver_serves_the_page(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.receive("", tmp_path / "in")
    assert fetch(*place(receiver))[0] == 200


def test_page_does_not_disturb_a_transfer_and_goes_with_it(
    stage: Stage, note: Path, tmp_path: Path
) -> None:
    sender = stage.send(note)
    host, port = place(sender)
    with socket.create_connection((host, port), PATIENCE) as idle:
        receiver = stage.receive(sender.code, tmp_path / "in")
        assert (receiver.end().status, sender.end().status) == (0, 0)
        assert gone(idle)
    assert refused(host, port)


def gone(connection: socket.socket) -> bool:
    """Return whether the server has closed the connection."""
    connection.settimeout(PATIENCE)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def refused(host: str, port: int) -> bool:
    """Return whether a connection is refused."""
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) != 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_interrupt_ends_the_page_at_once(stage: Stage, note: Path) -> None:
    sender = stage.send(note)
    host, port = place(sender)
    assert fetch(host, port)[0] == 200
    with socket.create_connection((host, port), PATIENCE) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        watch = Stopwatch()
        sender.process.send_signal(signal.SIGINT)
        assert sender.end().status == 130
        watch.assert_within(5)
        assert gone(idle)
    assert refused(host, port)


def test_chosen_port_is_that_of_the_code_and_of_the_page(stage: Stage, note: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        number = found.getsockname()[1]
    sender = stage.send(note, "--port", str(number))
    assert place(sender)[1] == decode(sender.code).port == number


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let programs keep the port of the page; return the file for it."""
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "state"))
    return tmp_path / "state" / "dcsend" / "page-port"


def kept(program: Program, state: Path) -> int:
    """Return the port of a program's page when it is kept for the next run."""
    port = place(program)[1]
    deadline = time.monotonic() + PATIENCE
    while not state.exists() or state.read_text() != f"{port}\n":
        assert time.monotonic() < deadline
        time.sleep(0.02)  # nothing reports it
    return port


def test_next_page_is_served_at_the_port_of_the_last_one_if_it_is_free(
    note: Path, state: Path
) -> None:
    with Stage() as stage:
        first = kept(stage.send(note), state)
        second = kept(stage.send(note), state)
        assert first != second
    with Stage() as stage:
        sender = stage.send(note)
        assert place(sender)[1] == second
        assert fetch(*place(sender))[0] == 200


def test_chosen_port_is_not_kept(note: Path, state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        number = found.getsockname()[1]
    with Stage() as stage:
        sender = stage.send(note, "--port", str(number))
        assert fetch(*place(sender))[0] == 200
    assert not state.exists()


def failed(*arguments: str) -> Ended:
    """Run dcsend to its end; check that it exits with 2."""
    with Stage() as stage:
        ended = stage.run(*arguments, "--json").end()
    assert ended.status == 2
    return ended


def test_port_that_is_taken_is_reported_before_any_code(note: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        number = taken.getsockname()[1]
        ended = failed("send", str(note), "--port", str(number))
    assert not ended.of("code")
    assert f"TCP port {number}" in ended.fatal["message"]
    assert "--no-page" in ended.fatal["hint"]


@pytest.mark.parametrize(
    ("arguments", "link"),
    [
        (["--no-page"], "dcsend:#"),
        (["--page-url", "https://pages.dcsend.example/"], "https://pages.dcsend.example/#"),
    ],
)
def test_nothing_listens_where_the_page_is_elsewhere_or_unwanted(
    stage: Stage, note: Path, arguments: list[str], link: str
) -> None:
    sender = stage.send(note, *arguments)
    assert str(sender.event("code")["link"]).startswith(link)
    sockets = psutil.Process(sender.process.pid).net_connections("tcp")
    assert not [each for each in sockets if each.status == psutil.CONN_LISTEN]


def test_quiet_program_serves_the_page_and_prints_the_code_alone(stage: Stage, note: Path) -> None:
    sender = stage.run("send", note, "-q", "--expires", "1s")
    assert re.fullmatch(rb"dc\w+\n", sender.end().out)


# --- dcsend page ---------------------------------------------------------------------------------


def test_page_is_written_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert run("page", "-o", str(path)) == (0, "", "")
    assert path.read_bytes() == read_page().content
    status, _, err = run("page", "-o", str(path))
    assert (status, "--overwrite" in err) == (4, True)
    assert run("page", "-o", str(path), "--overwrite") == (0, "", "")


def test_page_is_written_with_a_rendezvous_server(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert run("page", "-o", str(path), "--server", "Rendezvous.Example.org") == (0, "", "")
    assert path.read_bytes() == read_page(server="wss://rendezvous.example.org/v1").content
    assert run("page", "-o", str(path), "--overwrite", "--server", "none") == (0, "", "")
    assert path.read_bytes() == read_page().content
    status, _, err = run("page", "-o", str(path), "--overwrite", "--server", "ftp://x")
    assert (status, "rendezvous server" in err) == (2, True)


def test_page_is_written_to_standard_output() -> None:
    command = [sys.executable, "-m", "dcsend", "page", "-o", "-"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=150, check=True)
    assert (found.stdout, found.stderr) == (read_page().content, b"")


@pytest.mark.parametrize("name", ["missing/page.html", "~no-user-of-this-name/page.html"])
def test_folder_that_is_missing_is_status_4(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run("page", "-o", name)
    assert (status, out) == (4, "")
    assert "no such file or directory" in err


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the package without the page, and run it from there."""
    copy = tmp_path / "elsewhere" / "dcsend"
    shutil.copytree(ROOT / "dcsend", copy, ignore=shutil.ignore_patterns("page.html"))
    monkeypatch.chdir(copy.parent)
    return copy


def test_page_that_was_never_built_is_reported_with_what_to_do(installed: Path, note: Path) -> None:
    env = {"PYTHONPATH": str(installed.parent)}
    for arguments in (["page", "-o", "-"], ["send", str(note)]):
        status, _, err = run(*arguments, env=env)
        assert status == 2
        assert "this installation has no page for browsers" in err
        assert "--no-page" in err
    assert run("send", str(note), "--no-page", "--expires", "1s", env=env)[0] == 9


def test_page_and_service_worker_of_a_wheel_are_written(installed: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(installed.parent)}
    (installed / "page.html").write_bytes(PAGE.content)
    page, script = tmp_path / "page.html", tmp_path / SERVICE_WORKER
    assert run("page", "-o", str(page), env=env) == (0, "", "")
    assert run("page", "--service-worker", "-o", str(script), env=env) == (0, "", "")
    assert (page.read_bytes(), script.read_bytes()) == (PAGE.content, PAGE.service_worker)
