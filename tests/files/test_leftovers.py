"""Removing parts that earlier runs have left; `tests/cli/test_parts.py` has the command."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from dcsend.errors import DestinationError
from dcsend.files.leftovers import find_leftovers, remove_leftover


def test_part_that_a_run_has_begun_to_write_since_the_search_stays(tmp_path: Path) -> None:
    part = tmp_path / "f.dcsend-part"
    part.touch()
    (found,) = find_leftovers(tmp_path)
    with part.open("rb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with pytest.raises(DestinationError, match="another dcsend is receiving it"):
            remove_leftover(tmp_path, found)
    assert part.exists()


@pytest.mark.parametrize("instead", ["file", "link", "nothing"])
def test_part_that_was_replaced_since_the_search_stays(tmp_path: Path, instead: str) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "f.dcsend-part").touch()
    (found,) = find_leftovers(tmp_path)
    (folder / "f.dcsend-part").rename(tmp_path / "moved")
    (tmp_path / "precious").touch()
    if instead == "file":
        (folder / "f.dcsend-part").write_text("new")
    elif instead == "link":
        (folder / "f.dcsend-part").symlink_to(tmp_path / "precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DestinationError):
        remove_leftover(tmp_path, found)
    assert sorted(tmp_path.rglob("*")) == before


def test_folder_that_has_become_a_link_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "root/d").mkdir(parents=True)
    (tmp_path / "root/d/f.dcsend-part").touch()
    (found,) = find_leftovers(tmp_path / "root")
    (tmp_path / "root/d").rename(tmp_path / "d")
    (tmp_path / "root/d").symlink_to(tmp_path / "d")
    with pytest.raises(DestinationError):
        remove_leftover(tmp_path / "root", found)
    assert (tmp_path / "d/f.dcsend-part").exists()
