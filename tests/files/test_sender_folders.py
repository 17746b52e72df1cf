"""The folders of the senders of a receiver that stays."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

import pytest

from dcsend.errors import UsageError
from dcsend.files import forbidden
from dcsend.files.sender_folders import SenderFolders, check_template

NOW = datetime.datetime(2026, 12, 1, 9, 5, 7)


def folders(root: Path, template: str = "{date}/{peer}") -> SenderFolders:
    check_template(template)
    return SenderFolders(root, template, unattended=True, now=lambda: NOW)


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def test_placeholders_are_replaced(tmp_path: Path) -> None:
    made = folders(tmp_path, "in/{date}/{time} {peer} from {address}")
    path = made.of(1, "phone", "192.0.2.1")
    assert relative(path, tmp_path) == "in/2026-12-01/09-05-07 phone from 192.0.2.1"
    assert relative(folders(tmp_path).of(1, "", "fe80::1"), tmp_path) == "2026-12-01/fe80__1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc", "_.._etc"),
        ("..", "sender"),
        (".ssh", "ssh"),
        ("/etc/passwd", "_etc_passwd"),
        ("a\\b\x1b[2J\n", "a_b_[2J_"),
        ("x" * 300, "x" * 64),
        ("film.dcsend-part", "sender"),
        ("\udcff", "sender"),
        ("{date}", "{date}"),
        (" . ", "sender"),
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, expected: str) -> None:
    path = folders(tmp_path).of(1, name, "192.0.2.1")
    assert relative(path, tmp_path) == f"2026-12-01/{expected}"
    assert path.parent == tmp_path / "2026-12-01"


def test_folder_in_use_gets_a_number_and_is_used_again_later(tmp_path: Path) -> None:
    made = folders(tmp_path, "{peer}")
    names = [made.of(number, name, "::1").name for number, name in ((1, "a"), (2, "A"), (3, "a"))]
    assert names == ["a", "A (1)", "a (2)"]
    assert made.of(1, "other", "::1").name == "a"
    made.release(1)
    made.release(1)
    (tmp_path / "a").mkdir()
    assert made.of(4, "a", "::1").name == "a"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_link_in_the_path_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    os.symlink(elsewhere, root / "phone")
    (root / "file").touch()
    made = folders(root, "{peer}")
    assert made.of(1, "phone", "::1") == root / "phone (1)"
    assert made.of(2, "file", "::1") == root / "file (1)"


def test_name_of_a_module_where_dcsend_was_started_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forbidden.ForbiddenPlaces, "_is_started_here", lambda self: True)
    made = folders(tmp_path, "{peer}")
    assert made.of(1, "encodings", "::1").name == "sender"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{name}", "unknown placeholder"),
        ("{peer!r}/{0}", "unknown placeholder"),
        ("{", "unknown placeholder"),
        ("{peer.x}", "unknown placeholder"),
        ("{peer:>1000000}", "unknown placeholder"),
        ("{}", "unknown placeholder"),
        ("../{peer}", "is no folder"),
        ("/{peer}", "is no folder"),
        ("a//b", "is no folder"),
    ],
)
def test_template_is_a_relative_path_with_known_placeholders(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_template(template)
