"""Which destination folders are refused before a code is used."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.planning import check_root
from tests.support.sinks import MakeSink, make_sink

__all__ = ["make_sink"]


def test_refused_folder_is_named_with_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DestinationError) as caught:
        check_root(Path("file"))
    assert str(caught.value) == f"{tmp_path}/file is not a folder"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux")
def test_folder_that_cannot_be_created_is_refused() -> None:
    with pytest.raises(DestinationError) as caught:
        check_root(Path("/proc/new/folder"))
    assert str(caught.value) == "can't use /proc/new/folder: no such file or directory"


def test_folder_that_does_not_exist_yet_is_not_created_before_it_is_needed(tmp_path: Path) -> None:
    check_root(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["link", "link/new"])
@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_link_to_nothing_in_the_path_of_the_folder_is_refused(
    tmp_path: Path, name: str, target: str
) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(DestinationError) as caught:
        check_root(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/link is not a folder"


@pytest.mark.parametrize("after", ["holds_modules", "os.access"])
@pytest.mark.parametrize("name", ["new", "new/folder"])
def test_folder_on_trial_of_another_dcsend_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str, name: str
) -> None:
    new = tmp_path / "new"
    new.mkdir()

    def removed(*_: object) -> bool:
        with contextlib.suppress(FileNotFoundError):
            new.rmdir()
        return after == "os.access"

    monkeypatch.setattr(f"dcsend.files.planning.{after}", removed)
    check_root(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_plan_creates_no_folder_on_trial(
    make_sink: MakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its removal could meet the first file of another dcsend with the same folder.
    monkeypatch.delattr(Path, "mkdir")
    make_sink().plan([Entry("f", size=1)])
