"""The digest of the beginning of a file, computed behind its writer or reader."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from dcsend.files.journal import Point
from dcsend.files.trailing import Changed, Trailing

MIB = 1 << 20
SIZE = 20 * MIB


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "f"
    path.write_bytes(content)
    return path


def trailing(path: Path, size: int = SIZE, *points: Point) -> Trailing:
    def each() -> Generator[Point, None, None]:
        yield from points

    return Trailing(os.open(path, os.O_RDONLY), size, each())


def point(content: bytes, start: int, end: int) -> Point:
    return Point(end, start, hashlib.sha256(content[start:end]).digest(), end)


def finish(check: Trailing, limit: int) -> str:
    hasher = check.finish(limit)
    assert hasher is not None
    return hasher.hexdigest()


def test_thread_hashes_what_is_allowed_and_the_caller_the_rest(path: Path, content: bytes) -> None:
    check = trailing(path)
    check.follow(8 * MIB)
    assert finish(check, SIZE) == hashlib.sha256(content).hexdigest()
    assert check.position == SIZE


def test_thread_that_can_not_be_started_is_an_error_of_the_system(
    path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    check = trailing(path)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(BlockingIOError):
            check.follow(8 * MIB)
    check.follow(8 * MIB)
    assert finish(check, SIZE) == hashlib.sha256(content).hexdigest()


@pytest.mark.full
def test_hasher_is_returned_once_few_bytes_are_left(path: Path, content: bytes) -> None:
    check = trailing(path)
    assert check.catch_up(SIZE) is None
    while (hasher := check.catch_up(SIZE)) is None:
        pass
    assert hasher.hexdigest() == hashlib.sha256(content).hexdigest()


def test_small_beginning_needs_no_thread(
    path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("dcsend.files.trailing.begin")
    hasher = trailing(path).catch_up(MIB)
    assert hasher is not None
    assert hasher.digest() == hashlib.sha256(content[:MIB]).digest()


def test_digests_of_both_kinds_are_compared(path: Path, content: bytes) -> None:
    points = [
        point(content, 0, 3 * MIB),
        point(content, 3 * MIB, 5 * MIB + 7),
        point(content, 5 * MIB + 7, 9 * MIB),
        point(content, 0, 10 * MIB),
    ]
    assert finish(trailing(path, SIZE, *points), SIZE) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("wrong", range(3))
def test_first_digest_that_differs_is_reported(path: Path, content: bytes, wrong: int) -> None:
    points = [
        point(content, 0, 3 * MIB),
        point(content, 3 * MIB, 5 * MIB),
        point(content, 0, 9 * MIB),
    ]
    points[wrong] = points[wrong]._replace(sha256=bytes(32))
    check = trailing(path, SIZE, *points)
    with pytest.raises(Changed) as caught:
        check.finish(SIZE)
    good = points[wrong - 1].offset if wrong else 0
    assert (caught.value.good, caught.value.bad) == (good, points[wrong].offset)


def test_file_that_has_become_shorter_is_reported(path: Path, content: bytes) -> None:
    check = trailing(path, SIZE, point(content, 0, 3 * MIB))
    os.truncate(path, 4 * MIB)
    with pytest.raises(Changed) as caught:
        check.finish(SIZE)
    assert caught.value.good == 3 * MIB


def test_holes_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"a" * MIB)
        file.truncate(64 * MIB)
        file.seek(32 * MIB)
        file.write(b"b" * MIB)
    if path.stat().st_blocks * 512 > 4 * MIB:
        pytest.skip("this file system has no holes")
    read, real = 0, os.read

    def counted(fd: int, count: int) -> bytes:
        nonlocal read
        found = real(fd, count)
        read += len(found)
        return found

    monkeypatch.setattr("os.read", counted)
    size = 64 * MIB
    whole = b"a" * MIB + bytes(31 * MIB) + b"b" * MIB + bytes(31 * MIB)
    assert finish(trailing(path, size), size) == hashlib.sha256(whole).hexdigest()
    assert read <= 3 * MIB


@pytest.mark.parametrize("data", [MIB, 2 * MIB + 5])
def test_data_behind_the_last_hole_is_read(tmp_path: Path, data: int) -> None:
    """The size in which holes are looked for is that of an interrupted part: a hole may end it."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"a" * data)
        file.seek(64 * MIB)
        file.write(b"b" * 2 * MIB)
    check = trailing(path, 64 * MIB)
    whole = b"a" * data + bytes(64 * MIB - data) + b"b" * 2 * MIB
    assert finish(check, 66 * MIB) == hashlib.sha256(whole).hexdigest()


def test_rest_that_is_not_wanted_is_not_hashed(path: Path) -> None:
    check = trailing(path)
    assert check.finish(SIZE, lambda: check.position < 2 * MIB) is None
    assert check.position == 2 * MIB


@pytest.mark.full
def test_hurried_thread_continues(path: Path, content: bytes) -> None:
    check = trailing(path)
    check.follow(SIZE)
    check.hurry()
    while check.is_busy:
        pass
    assert finish(check, SIZE) == hashlib.sha256(content).hexdigest()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files here")
def test_closed_check_leaves_no_descriptor(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    idle, busy = trailing(path), trailing(path)
    busy.follow(SIZE)
    idle.close()
    busy.close(wait=True)
    assert len(os.listdir("/proc/self/fd")) == before
