"""--dry-run: a plan, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.mailbox_server import StockServer
from tests.support.processes import Stage, tree


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of which two files are in `in`, one of them with other content."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_bytes(os.urandom(1000))
    kept = tmp_path / "in" / "photos"
    kept.mkdir(parents=True)
    shutil.copy2(folder / "a", kept / "a")
    (kept / "b").write_bytes(b"other")
    return folder


PLAN = {"files": 2, "bytes": 2000, "overwritten": 0, "renamed": 0, "resumed": 0, "compared": 0}


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        (("--skip-same", "--overwrite"), {"files": 3, "bytes": 3000, "overwritten": 1}),
        (("--rename",), {"files": 4, "bytes": 4000, "renamed": 2}),
        (("--skip",), {}),
        (("--checksum", "--overwrite"), {"files": 4, "bytes": 3000, "overwritten": 2}),
    ],
)
def test_plan_of_a_receiver_makes_nothing_and_the_code_works_again(
    stage: Stage, tmp_path: Path, source: Path, options: tuple[str, ...], plan: dict[str, int]
) -> None:
    before = tree(tmp_path / "in")
    sender = stage.send(source)
    receive: tuple[str | Path, ...] = ("receive", sender.code, "-o", tmp_path / "in", *options)
    dry = stage.run(*receive, "--dry-run", "--json").end()
    assert dry.status == 0
    (found,) = dry.of("plan")
    expected = PLAN | plan
    if "--checksum" in options:
        expected["compared"] = 1000
    assert {name: found[name] for name in expected} == expected
    skipped = {"--skip": {"exists": 2}, "--skip-same": {"same": 1}}.get(options[0], {})
    assert found["skipped"] == skipped
    assert found["free"] > 0
    assert found["refusal"] is None
    assert (dry.done["ok"], dry.done["files"], dry.of("file")) == (True, 0, [])
    assert tree(tmp_path / "in") == before
    left = sender.event("left")
    assert (left["kind"], left["again"]) == ("dry-run", True)
    assert left["message"] == "the other side has made a dry run, and received nothing"
    receiver = stage.run(*receive, "-y", "--json")
    assert (sender.end().status, receiver.end().status) == (0, 0)


def test_plan_has_why_nothing_would_be_received(stage: Stage, tmp_path: Path, source: Path) -> None:
    sender = stage.send(source)
    dry = stage.run("receive", sender.code, "-o", tmp_path / "in", "--dry-run", "--json").end()
    (plan,) = dry.of("plan")
    assert dry.status == 0
    assert plan["refusal"].startswith("photos/a, photos/b exist in")


def test_folder_that_is_missing_is_not_made(stage: Stage, tmp_path: Path, source: Path) -> None:
    sender = stage.send(source)
    folder = tmp_path / "new" / "folder"
    watched = os.stat(tmp_path).st_mtime_ns
    dry = stage.run("receive", sender.code, "-o", folder, "--dry-run", "--json").end()
    assert (dry.status, dry.of("plan")[0]["files"]) == (0, 4)
    assert os.stat(tmp_path).st_mtime_ns == watched


def test_folder_that_cannot_be_used_is_an_error(stage: Stage, tmp_path: Path, source: Path) -> None:
    sender = stage.send(source)
    dry = stage.run("receive", sender.code, "-o", source / "a", "--dry-run", "--json").end()
    assert dry.status == 4
    assert dry.of("plan") == []


def test_person_sees_the_plan_and_is_not_asked(stage: Stage, tmp_path: Path, source: Path) -> None:
    (source / "link").symlink_to("a")
    (source / "empty").mkdir()
    code = stage.send(source)
    options = ("--skip-same", "--overwrite", "--dry-run")
    receiver = stage.run("receive", code.code, "-o", tmp_path / "in", *options, terminal=True)
    ended = receiver.end()
    shown = " ".join(ended.err.decode().split())
    assert ended.status == 0
    assert f"dry run: 3 files (3.0 kB) would be received in {tmp_path / 'in'}" in shown
    assert "1 file is there already and not sent" in shown
    assert "1 existing file would be replaced" in shown
    assert "are free there" in shown
    assert "accept" not in shown
    assert "nothing was received" not in shown
    assert shown.count("not sent: 1 symbolic link") == 1
    assert "saved" not in shown


def test_receiver_that_has_printed_the_code_ends(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    receiver = stage.run("receive", "-o", tmp_path / "new", "--dry-run", "--json")
    sender = stage.send(source, "--to", receiver.code)
    assert receiver.end().status == 0
    sent = sender.end()
    assert (sent.status, sent.fatal["kind"]) == (7, "dry-run")
    assert sent.fatal["hint"] == "ask for a new code"


def test_sender_lists_what_it_would_send_and_prints_no_code(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    (source / "link").symlink_to("a")
    dry = stage.run("send", source, "--dry-run", "--json").end()
    assert dry.status == 0
    assert [event["event"] for event in dry.events] == ["error", "manifest", "plan", "done"]
    assert {one["path"] for one in dry.of("manifest")[0]["entries"]} == {
        *("photos", "photos/a", "photos/b", "photos/c", "photos/d")
    }
    assert dry.of("manifest")[0]["left_out"]["links"] == 1
    plan = dry.of("plan")[0]
    assert (plan["files"], plan["bytes"], plan["free"]) == (4, 4000, None)
    shown = stage.run("send", source, "--dry-run", "--exclude", "d").end()
    assert shown.status == 0
    assert shown.out == b""
    text = shown.err.decode()
    assert [f"photos/{name}" in text for name in "abcd"] == [True, True, True, False]
    assert "dry run: 3 files (3.0 kB) would be sent" in text
    assert "not sent: 1 symbolic link" in text
    assert "nothing was sent" not in text


def test_sender_reports_what_it_cannot_read(stage: Stage, tmp_path: Path, source: Path) -> None:
    missing = stage.run("send", tmp_path / "missing", "--dry-run", "--json").end()
    assert missing.status == 3


def test_side_that_shows_a_short_code_shows_a_new_one(
    stock_server: StockServer,
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage,
    tmp_path: Path,
    source: Path,
) -> None:
    stock_server.start()
    monkeypatch.setenv("DCSEND_SERVER", stock_server.server.url)
    sender = stage.send(source)
    first = sender.event("short_code")["code"]
    dry = stage.run("receive", first, "-o", tmp_path / "new", "--dry-run", "--json").end()
    assert (dry.status, dry.of("plan")[0]["files"]) == (0, 4)
    sender.until(lambda event: len(sender.so_far("short_code")) == 2, "second short code")
    second = sender.so_far("short_code")[1]["code"]
    assert second != first
    assert not (tmp_path / "new").exists()
    receiver = stage.receive(second, tmp_path / "new")
    assert (sender.end().status, receiver.end().status) == (0, 0)
