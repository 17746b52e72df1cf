"""`--json-to`: events in a file or a descriptor, beside the other output."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.processes import Event, Stage

on_posix = pytest.mark.skipif(os.name == "nt", reason="descriptors and signals as Unix has them")


def lines(text: bytes) -> list[Event]:
    """Return the events in a text, one for each line."""
    return [json.loads(line) for line in text.splitlines()]


@on_posix
def test_events_stand_beside_the_received_bytes_and_beside_the_words_for_people(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    written = tmp_path / "written"
    sender = stage.run("send", str(tmp_path / "file"), "--json-to", str(written))
    sender.until_shown(b"waiting for the other side")
    code = sender.shown.partition(b"dcsend receive ")[2].split()[0].decode()
    receiver = stage.run("receive", code, "-y", "-o", "-", "-q", "--json-to", "2")
    received, sent = receiver.end(), sender.end()
    assert (received.status, sent.status, received.out) == (0, 0, b"content")
    for events in (lines(received.err), lines(written.read_bytes())):
        assert {"connected", "manifest", "file"} <= {event["event"] for event in events}
        assert (events[-1]["event"], events[-1]["ok"]) == ("done", True)
    first = lines(written.read_bytes())[0]
    assert (first["event"], first["code"]) == ("code", code)
    assert (first["files"], first["bytes"]) == (1, 7)
    assert written.stat().st_mode & 0o777 == 0o600
    assert b"sent and verified" in sent.err


@on_posix
def test_chat_writes_its_events_too(stage: Stage, tmp_path: Path) -> None:
    written = tmp_path / "written"
    written.write_text("before\n")
    chat = stage.run("chat", "--listen", "--json-to", str(written))
    chat.until_shown(b"waiting for the other side")
    chat.process.send_signal(signal.SIGINT)
    assert chat.end().status == 130
    before, *rest = written.read_bytes().splitlines()
    assert before == b"before"
    assert [json.loads(line)["event"] for line in rest] == ["code", "error", "done"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json-to", "77"), b"can't write events to descriptor 77: "),
        (("--json-to", "99999999999"), b"can't write events to descriptor 99999999999: "),
        (("--json-to", "missing/file"), b"can't write events to missing/file: "),
        (("--json-to", ""), b"the value of --json-to is empty"),
        (("--json-to", "."), b"can't write events to .: "),
        (("--json-to", "1", "-o", "-"), b"--json-to 1 is standard output"),
    ],
)
def test_place_that_takes_no_events_is_refused(
    stage: Stage, tmp_path: Path, arguments: tuple[str, ...], said: bytes
) -> None:
    ended = stage.run("receive", "-y", *arguments, cwd=tmp_path).end()
    assert ended.status == 2
    assert said in ended.err
    assert ended.out == b""


def test_events_do_not_go_into_what_is_sent_or_received(stage: Stage, tmp_path: Path) -> None:
    """This includes the events of the refusal itself."""
    (tmp_path / "d").mkdir()
    written = tmp_path / "d" / "written"
    ours = tmp_path / "ours"
    ours.write_text("ours")
    for arguments, said in (
        (
            ("send", tmp_path / "d"),
            b"the events of this run would go into d/written, which is to be",
        ),
        (("send", written), b"the events of this run would go into written, which is to be sent"),
        (("send", ours), b"the events of this run would go into ours, which is to be sent"),
        (
            ("receive", "-y", "-o", f"{written}.e"),
            b"the events and the received file would go into",
        ),
    ):
        place = str(ours) if ours in arguments else str(written)
        if arguments[0] == "receive":
            place = f"{written}.e"
        ended = stage.run(*arguments, "--json-to", place, "--expires", "1s").end()
        assert ended.status == 2
        assert said in ended.err
        assert list((tmp_path / "d").iterdir()) == []
    assert ours.read_text() == "ours"
    excluded = stage.run(
        "send", tmp_path / "d", "--exclude", "written*", "--json-to", written, "--expires", "1s"
    )
    assert excluded.end().status == 9


def test_run_that_never_began_is_reported_there_too(stage: Stage, tmp_path: Path) -> None:
    written = tmp_path / "written"
    assert stage.run("receive", "dc05", "-y", "--json-to", str(written)).end().status == 2
    assert [event["event"] for event in lines(written.read_bytes())] == ["error", "done"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a disk that is full")
def test_events_that_find_no_room_are_reported(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    sender = stage.run("send", str(tmp_path / "file"), "--json-to", "/dev/full", "--expires", "1s")
    assert sender.end().status == 9
    assert (
        "dcsend: the output of --json-to is incomplete: no space left on device\n"
        in sender.shown.decode()
    )
