"""The meaning of `--output`: a folder, or the path of the only file."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

import dcsend
from dcsend.errors import DestinationError
from dcsend.session.destination import make_sink
from dcsend.settings import Settings
from tests.support.processes import Stage

LOCAL = dcsend.Settings(stun=(), addresses=("127.0.0.1",))


@pytest.mark.parametrize(
    ("output", "is_file"),
    [
        ("film.iso", True),
        ("new/film.tar.gz", True),
        ("film.iso/", False),
        ("inbox", False),
        (".cache", False),
        ("..", False),
        (".", False),
        ("-", False),
        ("there.d", False),
    ],
)
def test_path_with_an_extension_names_a_file_unless_it_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, is_file: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.d").mkdir()
    assert Settings(output=output).names_file is is_file


async def receive(
    source: Path, output: str, existing: dcsend.Existing = dcsend.Existing.REFUSE
) -> dcsend.Finished:
    """Send *source* to a receiver with this output."""
    settings = dcsend.Settings(stun=(), existing=existing)
    async with dcsend.offer(source, settings=LOCAL) as offer:
        return await dcsend.receive(offer.code, output=output, settings=settings)


async def test_one_file_gets_the_given_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    done = await receive(tmp_path / "a", str(tmp_path / "new/b.iso"))
    assert done.files[0].saved == tmp_path / "new/b.iso"
    assert (tmp_path / "new/b.iso").read_text() == "content"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b.iso"]


def test_no_folder_is_created_where_a_file_is_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: object) -> None:  # in an append-only folder it could not be removed
        raise PermissionError(errno.EPERM, "Operation not permitted", path)

    monkeypatch.setattr(Path, "mkdir", refused)
    make_sink(Settings(output=str(tmp_path / "b.iso")), None, unattended=False).close()
    with pytest.raises(DestinationError, match=r"can't use .*: operation not permitted"):
        make_sink(Settings(output=str(tmp_path / "new/b.iso")), None, unattended=False)


@pytest.mark.parametrize(
    ("existing", "name"),
    [(dcsend.Existing.OVERWRITE, "b.iso"), (dcsend.Existing.RENAME, "b (1).iso")],
)
async def test_existing_file_is_kept_or_replaced_by_policy(
    tmp_path: Path, existing: dcsend.Existing, name: str
) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b.iso").write_text("old")
    done = await receive(tmp_path / "a", str(tmp_path / "b.iso"), existing)
    assert done.files[0].saved == tmp_path / name
    assert (tmp_path / name).read_text() == "content"


async def test_link_to_nothing_is_replaced_as_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b.iso").symlink_to("nowhere")
    with pytest.raises(DestinationError, match=r"b\.iso exists in"):
        await receive(tmp_path / "a", str(tmp_path / "b.iso"))
    await receive(tmp_path / "a", str(tmp_path / "b.iso"), dcsend.Existing.OVERWRITE)
    assert not (tmp_path / "b.iso").is_symlink()
    assert (tmp_path / "b.iso").read_text() == "content"
    assert not (tmp_path / "nowhere").exists()


async def test_hidden_name_given_by_the_user_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a").write_text("content")
    await receive(tmp_path / "a", "~/.b.txt")
    assert (tmp_path / ".b.txt").read_text() == "content"


async def test_several_files_are_saved_in_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("content")
    await receive(tmp_path / "d", str(tmp_path / "b.iso"))
    assert (tmp_path / "b.iso/d/a").read_text() == "content"


def test_invalid_path_is_an_error_without_a_traceback(tmp_path: Path, stage: Stage) -> None:
    path = tmp_path / ("a" * 300 + ".iso")
    refused = stage.receive("", path).end()
    assert refused.status == 4
    assert refused.fatal["message"].startswith(f"can't use {path}: ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_pipe_at_the_path_of_the_file_is_refused_before_the_code(
    tmp_path: Path, stage: Stage
) -> None:
    os.mkfifo(tmp_path / "a.iso")
    refused = stage.receive("", tmp_path / "a.iso", "--overwrite", "--expires", "1s").end()
    assert refused.status == 4
    assert "is a pipe, a socket or a device" in refused.fatal["message"]
    assert not refused.of("code")


def test_last_line_names_the_file_that_was_made(tmp_path: Path, stage: Stage) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b.iso").write_text("old")
    sender = stage.send(tmp_path / "a")
    receiver = stage.run("receive", sender.code, "-y", "--rename", "-o", tmp_path / "b.iso")
    assert (sender.end().status, receiver.end().status) == (0, 0)
    assert f"saved as {tmp_path / 'b (1).iso'}" in receiver.shown.decode()


def test_existing_file_is_refused_before_the_code_is_used(tmp_path: Path, stage: Stage) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "b.iso").write_text("old")
    sender = stage.send(tmp_path / "a")
    refused = stage.receive(sender.code, tmp_path / "b.iso").end()
    assert refused.status == 4
    assert refused.fatal["message"] == f"b.iso exists in {tmp_path} already"
    assert stage.receive(sender.code, tmp_path / "c.iso").end().status == 0
    assert sender.end().status == 0
    assert str(tmp_path) not in sender.shown.decode()
    assert (tmp_path / "b.iso").read_text() == "old"
    assert (tmp_path / "c.iso").read_text() == "content"
