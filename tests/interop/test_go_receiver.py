"""A receiver in Go over Pion, written from PROTOCOL.md and its vectors without dcsend's code.

It stays at most 500 lines long: a receiver is as simple as the protocol makes it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.support.golang import build_go
from tests.support.processes import PATIENCE, Stage, tree

SOURCE: Final = Path(__file__).parent / "receiver"


@pytest.fixture(scope="session")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program; return its path."""
    return build_go(tmp_path_factory, "receiver", SOURCE)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Make the folder to receive into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def run(receiver: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Receive into *folder*."""
    return subprocess.run(
        [receiver, code, folder], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_it_is_short() -> None:
    assert len((SOURCE / "receiver.go").read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.full
def test_it_receives_a_tree(stage: Stage, receiver: Path, tmp_path: Path, empty: Path) -> None:
    film = tmp_path / "films"
    (film / "empty folder").mkdir(parents=True)
    (film / "deep" / "er").mkdir(parents=True)
    (film / "nothing").touch()
    (film / "large").write_bytes(os.urandom(20_000_000))
    with (film / "sparse").open("wb") as file:
        file.truncate(100_000_000)
        file.seek(50_000_000)
        file.write(b"in the middle")
    for number in range(300):
        (film / "deep" / "er" / f"ä {number}").write_bytes(os.urandom(number * 20))
    (film / "deep" / "link").symlink_to("er/ä 7")
    sender = stage.run("send", film, "--links", "--json")
    ended = run(receiver, sender.code, empty)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert tree(empty / "films") == tree(film)
    assert sender.end().status == 0


@pytest.mark.full
def test_it_reports_a_file_that_the_sender_aborts(
    stage: Stage, receiver: Path, tmp_path: Path, empty: Path
) -> None:
    film = tmp_path / "films"
    film.mkdir()
    (film / "good").write_bytes(b"good")
    (film / "gone").write_bytes(b"gone")
    sender = stage.run("send", film, "--json")
    code = sender.code
    (film / "gone").unlink()
    ended = run(receiver, code, empty)
    assert ended.returncode == 1
    assert tree(empty / "films") == tree(film)
    assert {path: file["status"] for path, file in sender.end().files.items()} == {
        "films/good": "ok",
        "films/gone": "failed",
    }
