"""Binary messages that `dcsend chat --save` writes: names, existing files, a full disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcsend.chat.message_folder import MessageFolder
from dcsend.errors import DestinationError
from tests.files.test_sink_disk import small_disk

__all__ = ["small_disk"]


@pytest.mark.parametrize(
    "label", ["../../escape", "/etc/passwd", "a\0b\x1b[2J", "..", "", "a" * 500, "nul.", "ü/ö"]
)
def test_label_of_the_peer_never_leaves_the_folder(tmp_path: Path, label: str) -> None:
    saved = MessageFolder(tmp_path / "saved").save(label, b"x")
    assert saved.parent == tmp_path / "saved"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}-000001\.bin", saved.name)
    assert list(tmp_path.rglob("*.bin")) == [saved]


def test_message_of_an_earlier_chat_is_not_replaced(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        MessageFolder(tmp_path).save("data", content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "data-000001.bin": b"first",
        "data-000002.bin": b"second",
    }


def test_message_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/data-000001.bin").symlink_to("../victim")
    assert MessageFolder(tmp_path / "saved").save("data", b"x").name == "data-000002.bin"
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_message_that_does_not_fit_on_the_disk_leaves_no_file(small_disk: Path) -> None:
    folder = MessageFolder(small_disk / "saved")
    with pytest.raises(DestinationError, match="no space left"):
        folder.save("data", bytes(2 << 20))
    assert list((small_disk / "saved").iterdir()) == []
