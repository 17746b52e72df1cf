"""Files that the receiver has already are not sent: --skip-same and --checksum."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dcsend.files.journal import MIN_SIZE
from tests.support.processes import Ended, Program, Stage, tree
from tests.support.resuming import flip

MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of which a copy with the same times is in `in`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(os.urandom(1000 + number))
    (folder / "log").write_bytes(os.urandom(MIN_SIZE + 5))
    shutil.copytree(folder, tmp_path / "in" / "photos")
    return folder


def verdicts(ended: Ended) -> dict[str, tuple[str, str | None]]:
    return {one["path"]: (one["status"], one["reason"]) for one in ended.of("file")}


THERE = ("skipped", "it is there already")


def test_files_of_the_same_size_and_time_are_not_sent(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    (source / "new.jpg").write_bytes(b"new")
    sent, received = stage.transfer(source, output=tmp_path / "in", receiving=("--skip-same",))
    assert (sent.status, received.status) == (0, 0)
    for side in (sent, received):
        found = verdicts(side)
        assert found.pop("photos/new.jpg") == ("ok", None)
        assert set(found.values()) == {THERE}
        assert len(found) == 13
        assert (side.done["files"], side.done["bytes"]) == (1, 3)
    assert tree(tmp_path / "in/photos") == tree(source)


def test_content_decides_with_checksum(stage: Stage, tmp_path: Path, source: Path) -> None:
    flip(source / "3.jpg", 5)  # same size and time
    os.utime(tmp_path / "in/photos/4.jpg", ns=(1, 1))
    options = ("--checksum", "--overwrite")
    sent, received = stage.transfer(source, output=tmp_path / "in", receiving=options)
    assert (sent.status, received.status) == (0, 0)
    for side in (sent, received):
        found = verdicts(side)
        assert found.pop("photos/3.jpg") == ("ok", None)
        assert set(found.values()) == {THERE}
        assert side.notes == ["photos/3.jpg differs from the file that is there: it is sent"]
        assert (side.done["files"], side.done["bytes"]) == (1, 1003)
    assert tree(tmp_path / "in/photos") == tree(source)
    assert (tmp_path / "in/photos/4.jpg").stat().st_mtime_ns == 1


def test_five_hundred_digests_are_compared(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(500):
        (folder / f"{number}").write_bytes(os.urandom(20))
    shutil.copytree(folder, tmp_path / "in" / "many", copy_function=shutil.copyfile)
    flip(folder / "499", 3)
    options = ("--checksum", "--rename")
    sent, received = stage.transfer(folder, output=tmp_path / "in", receiving=options)
    assert (sent.status, received.status) == (0, 0)
    assert received.done["files"] == sent.done["files"] == 1
    assert (tmp_path / "in/many/499 (1)").read_bytes() == (folder / "499").read_bytes()


def test_only_the_new_end_of_a_file_that_has_grown_is_sent(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    with (source / "log").open("ab") as log:
        log.write(os.urandom(2 * MIB))
    options = ("--skip-same", "--overwrite")
    sent, received = stage.transfer(source, output=tmp_path / "in", receiving=options)
    assert (sent.status, received.status) == (0, 0)
    assert received.done["bytes"] == sent.done["bytes"] == 2 * MIB
    assert verdicts(received)["photos/log"] == ("ok", None)
    assert tree(tmp_path / "in/photos") == tree(source)


def test_file_that_differs_is_refused_and_the_code_works_again(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    (source / "3.jpg").write_bytes(b"other")
    before = tree(tmp_path / "in/photos")
    sender = stage.send(source)
    refused = stage.receive(sender.code, tmp_path / "in", "--skip-same").end()
    assert refused.status == 4
    assert refused.fatal["message"].startswith("photos/3.jpg exists in")
    assert tree(tmp_path / "in/photos") == before
    receiver = stage.receive(sender.code, tmp_path / "in", "--skip-same", "--overwrite")
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert tree(tmp_path / "in/photos") == tree(source)


def shown(program: Program) -> str:
    return " ".join(program.end().err.decode().split())


def test_both_sides_show_how_many_files_are_there(
    stage: Stage, tmp_path: Path, source: Path
) -> None:
    (source / "new.jpg").write_bytes(b"new")
    (source / "3.jpg").write_bytes(b"other")
    waiting = stage.send(source)
    receiver = stage.run(
        *("receive", waiting.code, "-o", tmp_path / "in", "--skip-same"), terminal=True
    )
    receiver.until_shown(b"accept nothing now?")
    assert b"12 files are there already" in receiver.shown
    receiver.write(b"o\n")
    assert waiting.end().status == 0
    assert "12 files are there already and not sent" in shown(receiver)
    assert tree(tmp_path / "in/photos") == tree(source)
