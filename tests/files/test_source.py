"""Reading files: completely, in order, with a digest, or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from dcsend.entry import Entry
from dcsend.files.manifest import SPARSE_MARGIN, Scan, scan, scan_stream, scan_text
from dcsend.files.source import Block, FileSource

SIZE = 1000
"Block size in these tests."


class Change(Protocol):
    """The value of the fixture `changing`."""

    def __call__(
        self, found: Scan, change: Callable[[], object], *, before: bool = False
    ) -> list[Block]:
        """Read *found*, and call *change* before or after the first call that reads."""
        ...


def read(
    found: Scan, *, skip: frozenset[int] = frozenset(), have: Mapping[int, int] | None = None
) -> list[Block]:
    return list(FileSource(found, SIZE).blocks(skip, have or {}))


def content(blocks: list[Block], number: int = 0, start: int = 0) -> bytes:
    """Return the content of the blocks of one file; check that their offsets are contiguous."""
    result = bytearray()
    for block in blocks:
        if block.number == number:
            assert block.offset == start + len(result)
            result += block.payload or bytes(block.hole)
    return bytes(result)


def assert_complete(blocks: list[Block], expected: bytes) -> None:
    assert content(blocks) == expected
    assert [block.digest for block in blocks if block.digest] == [hashlib.sha256(expected).digest()]
    assert blocks[-1].digest
    assert not any(block.failure for block in blocks)


@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE, SIZE + 1, 10 * SIZE])
def test_file_is_read_completely_with_its_digest(tmp_path: Path, size: int) -> None:
    expected = os.urandom(size)
    (tmp_path / "f").write_bytes(expected)
    blocks = read(scan([tmp_path / "f"]))
    assert_complete(blocks, expected)
    assert len(blocks) == max(1, -(-size // SIZE))


@pytest.mark.parametrize("size", [10, SIZE, 3 * SIZE])
def test_file_with_short_reads_is_read_completely(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A network file system may return fewer bytes than requested.
    expected = os.urandom(size)
    (tmp_path / "f").write_bytes(expected)
    found, real = scan([tmp_path / "f"]), os.read
    monkeypatch.setattr("os.read", lambda fd, count: real(fd, min(count, 1)))
    assert_complete(read(found), expected)


def test_files_come_in_order_and_folders_do_not(tmp_path: Path) -> None:
    for name in "cab":
        (tmp_path / name).write_bytes(name.encode())
    blocks = read(scan([tmp_path]))
    assert [(block.number, block.payload) for block in blocks] == [(1, b"a"), (2, b"b"), (3, b"c")]


def test_skipped_file_is_not_opened(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(name.encode())
    found = scan([tmp_path])
    (tmp_path / "a").unlink()
    assert [block.number for block in read(found, skip=frozenset({1}))] == [2]


def test_rest_of_a_file_that_is_not_due_any_more_is_not_read(tmp_path: Path) -> None:
    found = two_files(tmp_path, 10 * SIZE)
    due = 0
    blocks = FileSource(found, SIZE).blocks((), {}, lambda: due)
    assert next(blocks).number == 0
    due = 1
    assert [block.number for block in blocks] == [1]


def test_text_is_read_from_memory() -> None:
    assert_complete(read(scan_text("ü" * SIZE)), ("ü" * SIZE).encode())


def test_empty_stream_is_one_block() -> None:
    blocks = read(scan_stream(io.BytesIO()))
    assert blocks == [Block(0, 0, digest=hashlib.sha256().digest())]


def test_stream_is_read_to_its_end() -> None:
    expected = os.urandom(2 * SIZE + 1)
    assert_complete(read(scan_stream(io.BytesIO(expected))), expected)


def test_stream_returns_available_bytes_without_waiting() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as other_end:
        blocks = FileSource(scan_stream(stream), SIZE).blocks((), {})
        other_end.write(b"first")
        assert next(blocks).payload == b"first"
        other_end.write(b"second")
        assert next(blocks).payload == b"second"
        other_end.close()
        assert next(blocks).digest == hashlib.sha256(b"firstsecond").digest()
        assert not list(blocks)


def test_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"x" * 2500))
    writer.start()
    try:
        assert_complete(read(scan([pipe])), b"x" * 2500)
    finally:
        writer.join()


def sparse_file(path: Path) -> bytes:
    """Create a file of 4 MiB: data, a hole, data, and a hole at the end."""
    with path.open("wb") as file:
        file.write(b"a" * 5000)
        file.seek(2 << 20)
        file.write(b"b" * 5000)
        file.truncate(4 << 20)
    return path.read_bytes()


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="no sparse files here")
@pytest.mark.parametrize("have", [0, 3000, 1 << 20, (2 << 20) + 100, 3 << 20, 4 << 20])
def test_holes_are_reported_and_not_read(tmp_path: Path, have: int) -> None:
    expected = sparse_file(tmp_path / "f")
    blocks = read(scan([tmp_path / "f"]), have={0: have})
    assert content(blocks, start=have) == expected[have:]
    assert blocks[-1].digest == hashlib.sha256(expected).digest()
    assert blocks[-1].hole == 0
    assert sum(len(block.payload) for block in blocks) < 20_000


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="no sparse files here")
@pytest.mark.parametrize("size", [SPARSE_MARGIN, 1 << 20])
def test_file_that_is_all_hole_is_read(tmp_path: Path, size: int) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(size)
    blocks = list(FileSource(scan([tmp_path / "f"])).blocks((), {}))
    assert_complete(blocks, bytes(size))
    assert blocks[0].hole == size


@pytest.fixture(params=[SIZE // 2, 3 * SIZE], ids=["at once", "in pieces"])
def length(request: pytest.FixtureRequest) -> int:
    """Bytes of a file that is read by one call, and of one that is read in blocks."""
    return int(request.param)


def two_files(tmp_path: Path, length: int) -> Scan:
    (tmp_path / "a").write_bytes(b"a" * length)
    (tmp_path / "b").write_bytes(b"b")
    return scan([tmp_path / "a", tmp_path / "b"])


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Return a function that reads files and changes them meanwhile."""

    def read_with_change(
        found: Scan, change: Callable[[], object], *, before: bool = False
    ) -> list[Block]:
        pending, real = [change], os.read

        def reading(fd: int, count: int) -> bytes:
            if before and pending:
                pending.pop()()
            content = real(fd, count)
            if pending:
                pending.pop()()
            return content

        monkeypatch.setattr("os.read", reading)
        return read(found)

    return read_with_change


NO_FILE = ("is not a file any more", "was replaced by another file before it was sent")
"Which of these is found first depends on whether the file system uses the inode number again."


def assert_given_up(blocks: list[Block], *reasons: str) -> None:
    """Check that the first file has one failure and no digest, and that the second is complete."""
    first = [block for block in blocks if block.number == 0]
    [failure] = [block.failure for block in first if block.failure]
    assert failure in reasons
    assert first[-1].failure
    assert not any(block.digest for block in first)
    assert content(blocks, 1) == b"b"
    assert blocks[-1].digest


def test_file_that_grows_is_given_up(tmp_path: Path, length: int, changing: Change) -> None:
    def grow() -> None:
        with (tmp_path / "a").open("ab") as file:
            file.write(b"more")

    assert_given_up(changing(two_files(tmp_path, length), grow), "changed while it was sent")


def test_file_that_shrinks_is_given_up(tmp_path: Path, length: int, changing: Change) -> None:
    def shrink() -> None:
        os.truncate(tmp_path / "a", length // 3)

    blocks = changing(two_files(tmp_path, length), shrink, before=True)
    assert_given_up(blocks, "became shorter while it was sent")


def test_file_that_is_written_over_is_given_up(
    tmp_path: Path, length: int, changing: Change
) -> None:
    def write_over() -> None:
        with (tmp_path / "a").open("r+b") as file:
            file.write(b"x")
        os.utime(tmp_path / "a", ns=(1, 1))  # the clock may have the same value

    assert_given_up(changing(two_files(tmp_path, length), write_over), "changed while it was sent")


def test_file_that_vanishes_before_its_turn_is_given_up(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "a").unlink()
    assert_given_up(read(found), "vanished before it was sent")


def test_file_of_another_size_is_given_up(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "a").write_bytes(b"short")
    assert_given_up(read(found), "changed before it was sent")


def test_file_rewritten_with_the_same_size_is_given_up(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "a").write_bytes(b"x" * length)
    os.utime(tmp_path / "a", ns=(1000, 1000))  # the clock may have the same value
    assert_given_up(read(found), "changed before it was sent")


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="no files of a false size here")
def test_file_longer_than_its_size_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"b")
    nowhere = array("Q", [0])
    false = Scan((Entry("a", size=0),), ("/proc/cpuinfo",), devices=nowhere, inodes=nowhere)
    found = false + scan([tmp_path / "b"])
    assert_given_up(read(found), "is longer than its listed size")


def test_file_with_content_after_its_size_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    # Some FUSE file systems report a size that is too small.
    found = two_files(tmp_path, length)
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        size = length if status.st_size > length else status.st_size
        return os.stat_result(
            (*status[:6], size, *status[7:10]), {"st_mtime_ns": mtime, "st_blocks": 8}
        )

    mtime = (tmp_path / "a").stat().st_mtime_ns
    for name in "ab":
        with (tmp_path / name).open("ab") as file:
            file.write(b"more" if name == "a" else b"")
        os.utime(tmp_path / name, ns=(mtime, mtime))
    entries = tuple(entry._replace(mtime=mtime // 1000) for entry in found.entries)
    found = replace(found, entries=entries)
    monkeypatch.setattr("os.fstat", fstat)
    assert_given_up(read(found), "is longer than its listed size")


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="no sparse files here")
def test_file_with_content_after_a_hole_at_its_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1 << 20
    (tmp_path / "a").write_bytes(b"a" * 5000)
    os.truncate(tmp_path / "a", size)
    (tmp_path / "b").write_bytes(b"b")
    found = scan([tmp_path / "a", tmp_path / "b"])
    mtime = (tmp_path / "a").stat().st_mtime_ns
    with (tmp_path / "a").open("ab") as file:
        file.write(b"more")
    os.utime(tmp_path / "a", ns=(mtime, mtime))
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        exact = {"st_mtime_ns": status.st_mtime_ns, "st_blocks": status.st_blocks}
        return os.stat_result((*status[:6], min(size, status.st_size), *status[7:10]), exact)

    monkeypatch.setattr("os.fstat", fstat)
    assert_given_up(read(found), "is longer than its listed size")


def test_link_in_place_of_a_file_is_not_followed(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "secret").write_bytes(b"s" * length)
    (tmp_path / "a").unlink()
    (tmp_path / "a").symlink_to("secret")
    assert_given_up(read(found), "was replaced by a symbolic link")


def test_pipe_in_place_of_a_file_does_not_block(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a")
    assert_given_up(read(found), *NO_FILE)


def test_folder_in_place_of_a_file_is_given_up(tmp_path: Path, length: int) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "a").unlink()
    (tmp_path / "a").mkdir()
    assert_given_up(read(found), *NO_FILE)


def test_folder_in_place_of_a_file_with_another_inode_is_given_up_for_the_same_reason(
    tmp_path: Path, length: int
) -> None:
    found = two_files(tmp_path, length)
    (tmp_path / "folder").mkdir()  # the inode of the file is in use
    (tmp_path / "a").unlink()
    (tmp_path / "folder").rename(tmp_path / "a")
    assert_given_up(read(found), "is not a file any more")


def test_file_removed_while_open_is_read_completely(
    tmp_path: Path, length: int, changing: Change
) -> None:
    blocks = changing(two_files(tmp_path, length), (tmp_path / "a").unlink)
    assert content(blocks, 0) == b"a" * length
    assert not any(block.failure for block in blocks)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_stopping_early_closes_the_file(tmp_path: Path, length: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    blocks = FileSource(two_files(tmp_path, length), SIZE).blocks((), {})
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(os.listdir("/proc/self/fd")) == before
