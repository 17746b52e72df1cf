"""Forbidden places in the chosen folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from dcsend import importing
from dcsend.entry import Entry, Existing
from dcsend.errors import DestinationError
from dcsend.files.forbidden import ForbiddenPlaces
from dcsend.files.names import UnsafeName
from dcsend.files.planning import check_root, plan_folder
from dcsend.listing import Entries, Index


def is_refused(forbidden: ForbiddenPlaces, path: str) -> bool:
    try:
        forbidden.check(tuple(path.split("/")))
    except UnsafeName:
        return True
    return False


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder of this test."""
    folder = tmp_path / "users" / "me"
    (folder / ".config").mkdir(parents=True)
    (folder / "project" / ".git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    return folder


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        (".profile", True),
        (".ssh/authorized_keys", True),
        (".config/autostart/x.desktop", True),
        ("project/.git/hooks/post-checkout", True),
        ("project/.envrc", True),
        ("new/.gitignore", False),
        ("new/.git/config", False),
        ("project/x", False),
        ("photo.jpg", False),
    ],
)
def test_hidden_names_in_the_home_folder_are_refused_when_unattended(
    home: Path, path: str, refused: bool
) -> None:
    assert is_refused(ForbiddenPlaces(home, unattended=True), path) == refused
    assert (
        is_refused(ForbiddenPlaces(home.parents[1], unattended=True), f"users/me/{path}") == refused
    )
    assert not is_refused(ForbiddenPlaces(home, unattended=False), path)


def test_hidden_names_elsewhere_are_accepted(home: Path) -> None:
    assert not is_refused(ForbiddenPlaces(home / "downloads", unattended=True), ".profile")
    assert not is_refused(ForbiddenPlaces(home.parents[1], unattended=True), "users/you/.profile")
    assert not is_refused(ForbiddenPlaces(home.parents[1], unattended=True), ".profile")


def test_home_folder_is_recognised_through_a_link(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    assert is_refused(ForbiddenPlaces(tmp_path / "link", unattended=True), ".profile")


def test_refused_hidden_name_is_unsafe_in_the_plan(home: Path) -> None:
    entries = Entries([Entry("a", size=1), Entry(".zshenv", size=1)])
    plan = plan_folder(entries, Index(entries), home, Existing.REFUSE, unattended=True)
    assert plan.skip == {1: "unsafe"}
    assert plan.notes == [
        ".zshenv: not received: a hidden name in the home folder is not accepted without a question"
    ]


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("venv/lib/site-packages/evil.pth", True),
        ("VENV/Lib/Site-Packages/evil.pth", True),
        ("venv/lib/site-packages", True),
        ("venv/lib/other", False),
        ("venv", False),
        ("site-packages/evil.pth", False),
    ],
)
def test_folder_of_modules_below_the_chosen_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, refused: bool
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "venv" / "lib" / "site-packages"))
    assert is_refused(ForbiddenPlaces(tmp_path, unattended=False), path) == refused


def test_virtual_environment_below_the_chosen_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    forbidden = ForbiddenPlaces(tmp_path, unattended=False)
    assert is_refused(forbidden, ".venv/bin/python")
    assert is_refused(forbidden, ".venv/pyvenv.cfg")
    assert not is_refused(forbidden, ".venv2/pyvenv.cfg")


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("functools.py", True),
        ("FUNCTOOLS.PY", True),
        ("functools/__init__.py", True),
        ("dcsend/__main__.py", True),
        ("functools.txt", False),
        ("folder/functools.py", False),
        ("photo.jpg", False),
    ],
)
def test_module_that_python_would_load_at_the_next_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, refused: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = frozenset({"functools", "dcsend"})
    assert not is_refused(ForbiddenPlaces(tmp_path, unattended=False, loaded=loaded), path)
    module = ModuleType("__main__")
    module.__spec__ = SimpleNamespace(name="dcsend.__main__")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "__main__", module)
    here = ForbiddenPlaces(tmp_path, unattended=False, loaded=loaded)
    assert is_refused(here, path) == refused
    below = ForbiddenPlaces(tmp_path / "out", unattended=False, loaded=loaded)
    assert not is_refused(below, path)


@pytest.mark.parametrize("folder", ["", "tqdm", "new/folder"])
def test_folder_of_installed_libraries_is_refused_as_destination(folder: str) -> None:
    with pytest.raises(DestinationError, match="a folder from which Python loads modules"):
        check_root(Path(os.__file__).parent / folder)
    with pytest.raises(DestinationError, match="a folder from which Python loads modules"):
        check_root(Path(pytest.__file__).parents[1] / folder)


def test_checkout_is_accepted_as_destination(tmp_path: Path) -> None:
    assert not importing.holds_modules(str(tmp_path))
    assert not importing.holds_modules(os.path.realpath(Path(__file__).parent))
