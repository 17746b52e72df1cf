"""Only the listed file is sent, also if other users can write in its folder."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from dcsend.files.manifest import SPARSE_MARGIN, Scan, scan
from dcsend.files.source import Block, FileSource
from dcsend.files.verified_open import (
    OpenListed,
    file_system_types,
    has_stable_inodes,
    open_listed,
)
from tests.support.processes import Stage

SIZES: Final = (5, SPARSE_MARGIN * 3)
"Sizes of a file that is read by one call, and of one that is read in blocks."
SECRET: Final = 0o600

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need privileges there")


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> int:
    """Bytes of the listed file, of its replacements and of the private file."""
    return int(request.param)


def no_stable_inodes(device: int) -> bool:
    """Return what `has_stable_inodes` does of FAT."""
    return False


@dataclasses.dataclass(frozen=True)
class System:
    """How files are listed and opened on a system."""

    scan: Callable[[Sequence[Path]], Scan] = scan
    open_file: OpenListed = open_listed

    def read(self, found: Scan) -> list[Block]:
        """Read all files."""
        return list(FileSource(found, open_file=self.open_file).blocks(frozenset(), {}))


SYSTEMS: Final = {
    "inodes": System(),
    "no inodes": System(open_file=partial(open_listed, stable=no_stable_inodes)),
    "no descriptors": System(
        partial(scan, descriptors=False),
        partial(open_listed, stable=no_stable_inodes, descriptors=False),
    ),
}
"File systems with and without stable inode numbers, and a system like Windows."


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> System:
    return SYSTEMS[request.param]


def shared(tmp_path: Path, size: int) -> Path:
    """Create t/sub/f, and a private file of the same size and time in another folder."""
    folder, home = tmp_path / "t", tmp_path / "home"
    (folder / "sub").mkdir(parents=True)
    home.mkdir()
    for path, content in ((folder / "sub" / "f", b"p"), (home / "f", b"S")):
        path.write_bytes(content * size)
        os.utime(path, ns=(1_000_000_000, 1_000_000_000))
    (home / "f").chmod(SECRET)
    return folder


def by_folder(folder: Path) -> None:
    (folder / "sub").rename(folder / "old")
    (folder / "sub").symlink_to(folder.parent / "home")


def by_link(folder: Path) -> None:
    (folder / "sub" / "f").unlink()
    (folder / "sub" / "f").symlink_to(folder.parent / "home" / "f")


def by_hard_link(folder: Path) -> None:
    (folder / "sub" / "f").unlink()
    (folder / "sub" / "f").hardlink_to(folder.parent / "home" / "f")


@pytest.mark.parametrize("swap", [by_folder, by_link, by_hard_link])
def test_private_file_swapped_in_is_not_sent(
    tmp_path: Path, size: int, system: System, swap: Callable[[Path], None]
) -> None:
    folder = shared(tmp_path, size)
    found = system.scan([folder])
    swap(folder)
    (block,) = system.read(found)
    assert "replaced" in block.failure
    assert block.payload == b""


def test_file_moved_in_under_the_same_name_is_not_sent(tmp_path: Path, size: int) -> None:
    folder = shared(tmp_path, size)
    found = scan([folder])
    (folder.parent / "home" / "f").replace(folder / "sub" / "f")
    (block,) = System().read(found)
    assert block.failure == "was replaced by another file before it was sent"


def test_listed_file_is_sent(tmp_path: Path, size: int, system: System) -> None:
    folder = shared(tmp_path, size)
    blocks = system.read(system.scan([folder, folder / "sub" / "f"]))
    assert b"".join(block.payload for block in blocks) == 2 * size * b"p"
    assert not any(block.failure for block in blocks)


def test_folders_of_a_named_path_may_be_links(tmp_path: Path, size: int, system: System) -> None:
    folder = shared(tmp_path, size)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "file").symlink_to(folder / "sub" / "f")
    blocks = system.read(system.scan([tmp_path / "link", tmp_path / "file"]))
    assert b"".join(block.payload for block in blocks) == 2 * size * b"p"


def test_file_with_a_new_inode_number_is_sent_where_numbers_are_dynamic(
    tmp_path: Path, size: int
) -> None:
    folder = shared(tmp_path, size)
    found = scan([folder])
    found.inodes[:] = type(found.inodes)("Q", [inode + 1 for inode in found.inodes])
    assert "replaced" in System().read(found)[0].failure
    blocks = SYSTEMS["no inodes"].read(found)
    assert b"".join(block.payload for block in blocks) == size * b"p"


def test_file_of_another_device_is_not_sent_where_inode_numbers_are_dynamic(
    tmp_path: Path, size: int
) -> None:
    folder = shared(tmp_path, size)
    found = scan([folder])
    found.devices[:] = type(found.devices)("Q", [device + 1 for device in found.devices])
    assert "may have been replaced" in SYSTEMS["no inodes"].read(found)[0].failure


def test_folder_swapped_while_it_is_listed_is_not_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared(tmp_path, 5)
    real = os.open

    def open_(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "sub":
            by_folder(folder)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("os.open", open_)
    found = scan([folder])
    assert [entry.path for entry in found.entries] == ["t", "t/sub"]
    assert [problem.path for problem in found.problems] == ["t/sub"]


def test_no_folder_stays_open_after_a_scan(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / "t" / f"d{number}" / "e" / "f").mkdir(parents=True)
    before = os.listdir("/dev/fd")
    assert len(scan([tmp_path / "t"]).entries) == 151
    assert os.listdir("/dev/fd") == before


def test_pipe_that_became_a_file_is_not_sent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = scan([tmp_path / "pipe"])
    (tmp_path / "pipe").unlink()
    (tmp_path / "secret").write_bytes(b"S")
    (tmp_path / "pipe").symlink_to("secret")
    (block,) = System().read(found)
    assert block.failure == "was replaced before it was sent"


@pytest.mark.skipif(sys.platform != "linux", reason="there is /proc/self/mountinfo")
def test_stable_inodes_depend_on_the_type_of_the_file_system(tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    assert has_stable_inodes(device)
    assert "proc" in file_system_types().values()
    for kind, keeps in (("ext4", True), ("vfat", False), ("fuse.sshfs", False), ("cifs", False)):
        assert has_stable_inodes(device, {number: kind}) == keeps


def test_folder_swapped_before_a_receiver_connects_is_not_sent(
    stage: Stage, tmp_path: Path
) -> None:
    folder = shared(tmp_path, 100)
    sender = stage.send(folder)
    code = sender.code
    by_folder(folder)
    receiver = stage.receive(code, tmp_path / "out")
    sent, received = sender.end(), receiver.end()
    reason = "was replaced by another file before it was sent"
    assert sent.files["t/sub/f"]["reason"] == reason
    assert sent.status == received.status != 0
    assert not (tmp_path / "out" / "t" / "sub" / "f").exists()
