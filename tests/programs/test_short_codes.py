"""Short codes between two programs, over the stock mailbox server and in the local network."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.mailbox_server import StockServer
from tests.support.processes import PATIENCE, Ended, Event, Program, Stage, digest


@pytest.fixture
def server(stock_server: StockServer, monkeypatch: pytest.MonkeyPatch) -> StockServer:
    """Start a server, which all programs of the test use."""
    stock_server.start()
    monkeypatch.setenv("DCSEND_SERVER", stock_server.server.url)
    return stock_server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(300_000))
    return path


def short_code(program: Program, count: int = 1) -> Event:
    """Wait for the short code number *count* of a program."""
    program.until(lambda event: len(program.so_far("short_code")) >= count, "short code")
    return program.so_far("short_code")[count - 1]


def wrong(code: str) -> str:
    """Return a code with the same number and other words."""
    number, first, *rest = code.split("-")
    return "-".join([number, "walrus" if first != "walrus" else "umbrella", *rest])


def assert_arrived(sent: Ended, received: Ended, file: Path, output: Path) -> None:
    assert (sent.status, received.status) == (0, 0), (sent.err, received.err)
    assert sent.files[file.name]["sha256"] == received.files[file.name]["sha256"] == digest(file)
    assert digest(output / file.name) == digest(file)


def test_file_arrives_by_the_short_code_of_the_sender(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    code = str(short_code(sender)["code"])
    receiver = stage.receive(code.replace("-", " ").upper(), tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


def test_file_arrives_by_the_short_code_of_the_receiver(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    receiver = stage.receive("", tmp_path / "output")
    sender = stage.send(file, "--to", str(short_code(receiver)["code"]))
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


@pytest.mark.parametrize(
    "form", ["{}", " {}\r\n\r\n", "dcsend receive {}\n", "https://dcsend.example/#{}\n"]
)
@pytest.mark.parametrize("way", ["@-", "@file"])
def test_short_code_comes_from_standard_input_or_a_file_in_each_form(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path, way: str, form: str
) -> None:
    sender = stage.send(file)
    (tmp_path / "code").write_text(form.format(short_code(sender)["code"]), newline="")
    with (tmp_path / "code").open("rb") as code:
        named = way if way == "@-" else f"@{code.name}"
        stdin = code if way == "@-" else subprocess.DEVNULL
        received = stage.receive(named, tmp_path / "output", stdin=stdin).end()
        assert received.status == 0, received.err
    assert_arrived(sender.end(), received, file, tmp_path / "output")


def test_dial_code_comes_first_and_the_short_code_names_its_server(
    server: StockServer, stage: Stage, file: Path
) -> None:
    sender = stage.send(file)
    event = short_code(sender)
    assert sender.so_far("code")[0]["code"].startswith("dc")
    assert event["server"] == server.server.url
    assert event["expires"] == sender.so_far("code")[0]["expires"]


def test_wrong_words_use_the_code_up_and_the_next_one_works(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    first = str(short_code(sender)["code"])
    refused = stage.receive(wrong(first), tmp_path / "output").end()
    assert (refused.status, refused.fatal["kind"]) == (8, "authentication")
    second = str(short_code(sender, 2)["code"])
    late = stage.receive(first, tmp_path / "output").end()
    assert (late.status, late.fatal["kind"]) == (5, "connection")
    receiver = stage.receive(second, tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


def test_three_wrong_codes_end_short_codes_and_the_dial_code_stays(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    for count in (1, 2, 3):
        code = wrong(str(short_code(sender, count)["code"]))
        assert stage.receive(code, tmp_path / "output").end().status == 8
    over = sender.event("short_code_over")
    assert "3 wrong short codes" in over["message"]
    receiver = stage.receive(sender.code, tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


def test_unknown_number_is_reported(server: StockServer, stage: Stage, tmp_path: Path) -> None:
    received = stage.receive("7-walrus-umbrella", tmp_path / "output").end()
    assert (received.status, received.fatal["kind"]) == (5, "connection")
    assert "there is no code with the number 7" in received.fatal["message"]


def test_server_that_can_not_be_reached_leaves_the_dial_code(
    stock_server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    """The server is not started."""
    sender = stage.send(file, "--server", stock_server.server.url)
    assert sender.event("short_code_over")["kind"] == "connection"
    receiver = stage.receive(sender.code, tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


def test_short_code_ends_when_the_dial_code_was_used(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    code = str(short_code(sender)["code"])
    receiver = stage.receive(sender.code, tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")
    assert stage.receive(code, tmp_path / "output").end().status == 5


def test_words_and_number_can_be_chosen(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file, "--code", "42-walrus-umbrella-swan")
    assert short_code(sender)["code"] == "42-walrus-umbrella-swan"
    receiver = stage.receive("42-wal-umb-swa", tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")


def test_code_has_as_many_words_as_requested(server: StockServer, stage: Stage, file: Path) -> None:
    sender = stage.send(file, "--words", "4")
    assert len(str(short_code(sender)["code"]).split("-")) == 5


def test_code_survives_a_restart_of_the_server(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file)
    code = str(short_code(sender)["code"])
    server.stop()
    server.forget()
    sender.event("short_code_server", connected=False)
    server.start()
    # Until then, the server has no such code, and counts a joiner that asks for it as one of two.
    sender.event("short_code_server", connected=True)
    received = stage.receive(code, tmp_path / "output").end()
    assert_arrived(sender.end(), received, file, tmp_path / "output")


def test_joiner_is_refused_while_another_device_is_connected(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    """The one that is connected has not accepted: its program asks a question."""
    sender = stage.send(file)
    asked = stage.run("receive", sender.code, "-o", tmp_path / "output", terminal=True)
    asked.until_shown(b"accept and save")
    late = stage.receive(str(short_code(sender)["code"]), tmp_path / "output").end()
    assert (late.status, late.fatal["message"]) == (
        5,
        "another device is connected to the other side",
    )
    asked.write(b"y\n")
    assert asked.end().status == sender.end().status == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_prompt_loads_the_libraries_while_a_person_types(stage: Stage, tmp_path: Path) -> None:
    receiver = stage.run("receive", "@-", "-o", tmp_path / "output", terminal=True, cold=True)
    receiver.until_shown(b"paste the code")
    loaded = Path(f"/proc/{receiver.process.pid}/maps")
    deadline = time.monotonic() + PATIENCE
    while not all(name in loaded.read_text() for name in ("/aiohttp/", "/zeroconf/")):
        assert time.monotonic() < deadline
        time.sleep(0.02)  # nothing reports it


def test_link_of_a_hosted_page_connects_a_terminal_by_its_dial_code(
    server: StockServer, stage: Stage, tmp_path: Path, file: Path
) -> None:
    sender = stage.send(file, "--page-url", "https://dcsend.example/")
    link = str(short_code(sender)["link"])
    assert link.startswith("https://dcsend.example/#")
    receiver = stage.receive(link, tmp_path / "output")
    assert_arrived(sender.end(), receiver.end(), file, tmp_path / "output")
    assert sender.so_far("short_code_used") == []


def test_damaged_link_is_refused_before_anything_is_opened(stage: Stage, tmp_path: Path) -> None:
    for link in (
        f"https://dcsend.example/#{150 * '3'}+7-walrus-umbrella",
        f"#{150 * '3'}+7-walrus",
    ):
        received = stage.receive(link, tmp_path / "output").end()
        assert (received.status, received.fatal["kind"]) == (2, "code")
