"""File systems without permissions, links, holes or long names, simulated and real."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcsend.content import Content, Data, Hole
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import DestinationError
from dcsend.files.syncing import MANY
from tests.files.test_sink_disk import small_disk
from tests.support.disks import FAT, NO_EXCLUSIVE, SMB, MakeDisk, need_root, odd_disk
from tests.support.sinks import finished, receive, sink_on, statuses, tree, whole

pytestmark = pytest.mark.full

__all__ = ["odd_disk", "small_disk"]


@pytest.mark.parametrize("count", [1, MANY], ids=["one", "many"])
@pytest.mark.parametrize(
    "refused",
    [
        *(FAT, SMB, (*FAT, NO_EXCLUSIVE), ("link=EXDEV", NO_EXCLUSIVE), (NO_EXCLUSIVE,)),
        ("chmod=ENOSYS", "link=EACCES", "fsync=EOPNOTSUPP", "exclusive=ENOSYS"),
    ],
    ids=["FAT", "SMB", "FAT in user space", "no links", "NFS", "others"],
)
def test_file_is_saved_where_permissions_time_and_links_are_not_supported(
    odd_disk: MakeDisk, refused: tuple[str, ...], count: int
) -> None:
    disk = odd_disk(*refused)
    sink = sink_on(disk.path)
    sink.plan([Entry(f"f{n}", size=1, mode=0o444, mtime=10**15) for n in range(count)])
    outcomes = sink.apply([one for n in range(count) for one in whole(n, b"x")])
    assert set(finished(sink, outcomes).values()) == {"ok"}
    assert tree(disk.path) == {"out": None} | {f"out/f{n}": b"x" for n in range(count)}


def test_no_name_is_reserved_where_a_rename_can_replace_nothing(odd_disk: MakeDisk) -> None:
    """A run that is killed would leave an empty file, which `--skip` takes for a complete one."""
    disk = odd_disk(*FAT, "create=EACCES@2")
    sink = sink_on(disk.path)
    assert statuses(receive(sink, ("f", b"x"))) == ["ok"]
    assert tree(disk.path / "out") == {"f": b"x"}


def test_holes_are_written_as_zeros_where_a_file_can_not_be_made_longer(
    odd_disk: MakeDisk,
) -> None:
    disk = odd_disk("lengthen=EPERM")
    sink = sink_on(disk.path)
    content = b"a" + bytes(100_000) + b"b" + bytes(70_000)
    sink.plan([Entry("f", size=len(content))])
    end = whole(0, content)[-1]
    parts: list[Content] = [Data(0, 0, b"a"), Hole(0, 1, 100_000), Data(0, 100_001, b"b")]
    outcomes = sink.apply([*parts, Hole(0, 100_002, 70_000), end])
    assert finished(sink, outcomes) == {0: "ok"}
    assert (disk.path / "out/f").read_bytes() == content


def test_longest_name_of_a_short_file_system_has_a_part_and_a_number(odd_disk: MakeDisk) -> None:
    disk = odd_disk(longest=143)
    name = "n" * 139 + ".txt"
    for _ in range(2):
        sink = sink_on(disk.path, Existing.RENAME)
        assert statuses(receive(sink, (name, b"x"))) == ["ok"]
        sink.close()
    assert sorted(map(len, os.listdir(disk.path / "out"))) == [143, 143]


@pytest.mark.parametrize("made", [("", 0), ("statfs=ENOSYS", 1)], ids=["no blocks", "no answer"])
def test_disk_of_unknown_size_is_not_full(odd_disk: MakeDisk, made: tuple[str, int]) -> None:
    refused, blocks = made
    disk = odd_disk(*filter(None, [refused]), blocks=blocks)
    sink = sink_on(disk.path)
    assert statuses(receive(sink, ("f", b"x"))) == ["ok"]
    sink.close()


def test_parts_of_an_earlier_run_are_removed_to_make_room(small_disk: Path) -> None:
    """They are removed before the first write, because both files do not fit at one time."""
    first = sink_on(small_disk)
    first.plan([Entry("b", size=700_000)])
    first.apply([Data(0, 0, bytes(600_000))])
    first.close()
    second = sink_on(small_disk)
    assert not second.plan([Entry("a", size=600_000), Entry("b", size=300_000)]).skip
    outcomes = second.apply([*whole(0, bytes(600_000)), *whole(1, bytes(300_000))])
    assert statuses(outcomes) == ["ok", "ok"]
    second.close()


def test_error_of_a_full_disk_mentions_unfinished_files(small_disk: Path) -> None:
    first = sink_on(small_disk)
    first.plan([Entry("b", size=700_000)])
    first.apply([Data(0, 0, bytes(600_000))])
    first.close()
    with pytest.raises(DestinationError, match="those of unfinished files of an earlier run"):
        sink_on(small_disk).plan([Entry("a", size=900_000), Entry("b", size=300_000)])
    assert (small_disk / "out/b.dcsend-part").exists(), "nothing is removed before it is accepted"


@pytest.mark.parametrize("more", [0, 1])
def test_room_is_enough_to_the_last_byte(small_disk: Path, more: int) -> None:
    first = sink_on(small_disk)
    first.plan([Entry("b", size=700_000)])
    first.apply([Data(0, 0, bytes(600_000))])
    first.close()
    free = shutil.disk_usage(small_disk).free
    taken = (small_disk / "out/b.dcsend-part").stat().st_blocks * 512
    entries = [Entry("a", size=free + more), Entry("b", size=taken)]
    if more:
        with pytest.raises(DestinationError, match="not enough room"):
            sink_on(small_disk).plan(entries)
    else:
        assert sink_on(small_disk).plan(entries).stale == [1]


def test_part_with_a_second_name_makes_no_room(small_disk: Path) -> None:
    first = sink_on(small_disk)
    first.plan([Entry("b", size=700_000)])
    first.apply([Data(0, 0, bytes(600_000))])
    first.close()
    (small_disk / "second name").hardlink_to(small_disk / "out/b.dcsend-part")
    with pytest.raises(DestinationError, match="not enough room"):
        sink_on(small_disk).plan([Entry("a", size=600_000), Entry("b", size=300_000)])


# Real drivers.


@pytest.fixture(params=["ntfs", "exfat", "fat"])
def real_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An image of 16 MiB, formatted and mounted by a FUSE driver."""
    need_root()
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    loop = ""
    # `no_def_opts`: a chmod that can't be kept is refused, as by other drivers.
    ntfs = "no_def_opts,allow_other,windows_names,umask=000,uid=1"
    steps = {
        "ntfs": [
            ["mkntfs", "-F", "-Q", str(image)],
            ["ntfs-3g", "-o", ntfs, str(image), str(place)],
        ],
        "exfat": [["mkfs.exfat", str(image)], ["mount.exfat-fuse", str(image), str(place)]],
        "fat": [
            ["mkfs.vfat", str(image)],
            ["fusefat", "-o", "rw+,allow_other", str(image), str(place)],
        ],
    }[request.param]
    for step in steps:
        if shutil.which(step[0]) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{step[0]} is missing: sh scripts/system-tools.sh")
            pytest.skip(f"{step[0]} is missing")
    made, mount = steps
    subprocess.run(made, check=True, capture_output=True)
    if request.param == "exfat":  # exfat-fuse requires a device
        command = ["losetup", "--find", "--show", str(image)]
        loop = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        mount[1] = loop
    try:
        subprocess.run(mount, check=True, capture_output=True)
        assert os.path.ismount(place)
        yield place
    finally:
        # Lazy, because a test that has failed may have left a file open.
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        if loop:
            subprocess.run(["losetup", "--detach", loop], check=True)


def test_files_are_saved_on_real_ntfs_exfat_and_fat(real_disk: Path) -> None:
    sink = sink_on(real_disk, Existing.RENAME)
    hole = b"a" + bytes(200_000) + b"b"
    entries = [
        Entry("object", size=1, mode=0o444, mtime=10**15),
        Entry("program", size=1, mode=0o755, mtime=10**15),
        Entry("README", size=1),
        Entry("readme", size=1),
        Entry("hole", size=len(hole)),
        Entry("folder", Kind.DIRECTORY, mode=0o755, mtime=10**15),
        Entry("folder/file", size=1),
        Entry("a?b", size=1),
    ]
    assert not sink.plan(entries).skip
    outcomes = sink.apply([*whole(0, b"0"), *whole(1, b"1"), *whole(2, b"2"), *whole(3, b"3")])
    parts: list[Content] = [Data(4, 0, b"a"), Hole(4, 1, 200_000), Data(4, 200_001, b"b")]
    outcomes += sink.apply([*parts, whole(4, hole)[-1], *whole(6, b"6"), *whole(7, b"7")])
    outcomes += [*sink.finish(), *sink.close()]
    by_number = {one.number: one for one in outcomes}
    # Microsoft's file systems refuse a question mark, which fails that file only.
    assert [by_number[n].status for n in range(7)] == ["ok"] * 7, by_number
    found = tree(real_disk / "out")
    contents = sorted(content for content in found.values() if content is not None)
    expected = [b"0", b"1", b"2", b"3", b"6", hole]
    assert contents == sorted(expected if by_number[7].status == "failed" else [*expected, b"7"])
