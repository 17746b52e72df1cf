"""Disks that fail: errors of one entry, lost disks, locales and forbidden folders."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dcsend.content import Data, End
from dcsend.entry import Entry, Kind
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.disk import DestinationLost
from dcsend.files.folder import HELD_OPEN
from dcsend.files.manifest import scan
from dcsend.files.sink import Outcome
from dcsend.files.source import FileSource
from tests.support.disks import NO_EXCLUSIVE, MakeDisk, odd_disk
from tests.support.processes import Stage, stage
from tests.support.sinks import finished, receive, sink_on, statuses, tree, whole

pytestmark = pytest.mark.full

__all__ = ["odd_disk", "stage"]


CLOSED = [
    *("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"),
    *(sys.executable, "-m", "dcsend"),
]
"dcsend without the capabilities by which root may enter every folder."
ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
"A locale in which file names are ASCII."


# Errors of one entry.


@pytest.mark.parametrize(
    "refused",
    [
        *("create=EACCES@2", "create=EIO@2", "write=EIO@2", "write=EFBIG@2", "fsync=EIO@2"),
        *("flush=EIO@2", "rename=EIO@2", "create=EMFILE@2", "write=ENOMEM@2"),
    ],
)
def test_error_of_one_file_fails_that_file_only(odd_disk: MakeDisk, refused: str) -> None:
    # Without hard links and exclusive renames each file has one rename.
    disk = odd_disk("link=EPERM", NO_EXCLUSIVE, refused)
    sink = sink_on(disk.path)
    outcomes = receive(sink, *((f"f{n}", b"x") for n in range(5)))
    assert sorted(finished(sink, outcomes).values()) == ["failed", *["ok"] * 4]
    assert sorted(os.listdir(disk.path / "out")) == sorted(
        Path(one.where).name for one in outcomes if one.status == "ok"
    )


def test_part_that_can_not_be_removed_does_not_fail_a_placed_file(
    odd_disk: MakeDisk,
) -> None:
    disk = odd_disk("unlink=EIO@1", NO_EXCLUSIVE)
    sink = sink_on(disk.path)
    assert finished(sink, receive(sink, ("f", b"x"))) == {0: "ok"}
    assert (disk.path / "out/f").read_bytes() == b"x"


# Disks that are lost.


@pytest.mark.parametrize(
    "refused",
    [
        *("write=ENOSPC@3+", "write=EDQUOT@3+", "flush=EDQUOT@3+", "create=EROFS@3+"),
        *("write=ENOTCONN@3+", "fsync=EIO@2+", "write=EHOSTDOWN@3+", "rename=ENODEV@2+"),
    ],
)
def test_disk_that_is_full_or_gone_ends_the_run(odd_disk: MakeDisk, refused: str) -> None:
    disk = odd_disk("link=EPERM", NO_EXCLUSIVE, refused)
    sink = sink_on(disk.path)
    sink.plan([Entry(f"f{n}", size=1) for n in range(6)])
    ends: list[Outcome] = []

    def write_all() -> None:
        for number in range(6):
            ends.extend(sink.apply(whole(number, b"x")))

    with pytest.raises(DestinationLost):
        write_all()
    ends += sink.close()
    assert statuses(ends) == ["ok"] * len(ends)
    for one in ends:
        assert os.path.getsize(one.where) == 1


def test_disk_that_fails_ends_the_run_at_every_step(odd_disk: MakeDisk) -> None:
    """All later calls fail, also `close` of every open file."""
    actions: list[Callable[[DirectorySink], object]] = [
        lambda sink: sink.apply([Data(0, 1, b"x")]),
        lambda sink: sink.apply([End(0, 2, hashlib.sha256(b"xx").digest(), b"x")]),
        lambda sink: sink.apply(whole(1, b"yy")),
        lambda sink: sink.finish(),
    ]
    for action in actions:
        disk = odd_disk()
        sink = sink_on(disk.path)
        sink.plan([Entry("f", size=2), Entry("g", size=2), Entry("d", Kind.DIRECTORY)])
        sink.apply([Data(0, 0, b"x")])
        disk.die()
        with pytest.raises(DestinationLost):
            action(sink)
        assert "ok" not in statuses(sink.close())


def test_disk_that_fails_while_it_is_written_is_reported_on_both_sides(
    stage: Stage, odd_disk: MakeDisk, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * 16_000)
    disk = odd_disk(dies_after=1_000_000)
    sent, received = stage.transfer(tmp_path / "big", output=disk.path)
    assert (received.status, received.fatal["kind"]) == (4, "destination")
    assert received.fatal["message"].startswith("can't write big: ")
    assert "connected" in received.fatal["hint"]
    assert (sent.status, sent.fatal["kind"]) == (7, "refused")
    assert "can't write big" in sent.fatal["message"]


def test_disk_that_fails_while_it_is_read_fails_its_files(
    stage: Stage, odd_disk: MakeDisk, tmp_path: Path
) -> None:
    content = tmp_path / "content"
    content.mkdir()
    for name in ("a", "b", "c"):
        (content / name).write_bytes(os.urandom(1_500_000))
    disk = odd_disk(dies_after=2_500_000, content=str(content))
    shutil.copy(content / "c", tmp_path / "z")
    sent, received = stage.transfer(disk.path, tmp_path / "z", output=tmp_path / "out")
    assert (sent.status, received.status) == (11, 11)
    top = disk.path.name
    assert {path: file["ok"] for path, file in received.files.items()} == {
        f"{top}/a": True,
        f"{top}/b": False,
        f"{top}/c": False,
        "z": True,
    }
    assert (tmp_path / "out/z").read_bytes() == (tmp_path / "z").read_bytes()


def test_failing_close_of_a_source_is_ignored(odd_disk: MakeDisk, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.mkdir()
    for name in ("small", "large"):
        (content / name).write_bytes(bytes(100 if name == "small" else 200_000))
    disk = odd_disk("flush=EIO", content=str(content))
    blocks = list(FileSource(scan([disk.path])).blocks((), {}))
    assert [block.failure for block in blocks] == ["", ""]


def test_file_that_the_sender_gives_up_is_not_reported_as_kept(
    stage: Stage, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("log", "other"):
        (source / name).write_bytes(b"x")
    sender = stage.send(source)
    code = sender.code
    (source / "log").write_bytes(b"longer")
    received = stage.run("receive", code, "-y", "-o", tmp_path / "out").end()
    assert (sender.end().status, received.status) == (11, 11)
    assert tree(tmp_path / "out") == {"source": None, "source/other": b"x"}
    assert b"dcsend-part" not in received.err


# Locales, and folders that may not be entered.


def test_name_that_the_locale_can_not_encode_fails_that_file_only(
    stage: Stage, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "\u6587").mkdir(parents=True)
    for name in ("plain", "\u4ef6.txt", "\u6587/inner"):
        (source / name).write_bytes(b"x")
    (source / "link").symlink_to("\u4ef6.txt")
    sender = stage.send("--links", source)
    received = stage.receive(sender.code, tmp_path / "out", environment=ASCII).end()
    sent = sender.end()
    assert (sent.status, received.status) == (11, 11)
    assert tree(tmp_path / "out") == {"source": None, "source/plain": b"x"}
    assert any("can't be written in ascii" in note for note in received.notes)
    assert received.files["source/\u4ef6.txt"]["status"] == "failed"


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes root's rights away")
def test_folder_that_may_not_be_entered_fails_its_content_only(
    stage: Stage, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "shut").mkdir(parents=True)
    (out / "source/shut").mkdir(parents=True)
    (source / "file").write_bytes(b"1")
    (source / "shut/file").write_bytes(b"2")
    (source / "shut/link").symlink_to("../file")
    (source / "way").symlink_to("shut/file")
    (out / "source/shut").chmod(0)
    sender = stage.send("--links", source)
    received = stage.receive(sender.code, out, launcher=CLOSED).end()
    sent = sender.end()
    assert (sent.status, received.status) == (11, 11)
    assert received.files["source/file"]["ok"]
    for name in ("shut", "shut/file", "shut/link"):
        assert received.files[f"source/{name}"]["reason"].endswith(": permission denied")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes root's rights away")
def test_folders_in_a_folder_that_is_closed_to_its_owner_get_their_modes(
    stage: Stage, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    # More than stay open.
    names = [f"shut/{number}" for number in range(4 * HELD_OPEN)]
    for name in names:
        (source / name).mkdir(parents=True)
        (source / name).chmod(0o500)
    (source / "shut").chmod(0)
    sender = stage.send(source)
    received = stage.receive(sender.code, out, launcher=CLOSED).end()
    assert (sender.end().status, received.status) == (0, 0)
    paths = [out / "source" / name for name in ("shut", *names)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0, *[0o500] * len(names)]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv takes root's rights away")
def test_inaccessible_chosen_folder_is_refused_before_the_code_is_used(
    stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut").chmod(0)
    sender = stage.send(tmp_path / "file")
    refused = stage.receive(sender.code, tmp_path / "shut/out", launcher=CLOSED).end()
    assert (refused.status, refused.fatal["kind"]) == (4, "destination")
    assert "permission denied" in refused.fatal["message"]
    received = stage.receive(sender.code, tmp_path / "open").end()
    assert (sender.end().status, received.status) == (0, 0)
