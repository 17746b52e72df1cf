"""What the sources of several receivers share: blocks and digests."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from dcsend.files.manifest import Scan, scan
from dcsend.files.shared import Shared
from dcsend.files.source import Block, FileSource

BLOCK = 1 << 16
CONTENT = os.urandom(20 * BLOCK + 777)


@pytest.fixture
def found(tmp_path: Path) -> Scan:
    (tmp_path / "film.bin").write_bytes(CONTENT)
    return scan([tmp_path / "film.bin"])


class Reading:
    """The source of one receiver."""

    def __init__(
        self,
        found: Scan,
        shared: Shared,
        have: Mapping[int, int] = {},
        digests: Sequence[tuple[int, int, str]] = (),
    ) -> None:
        self.source = FileSource(found, BLOCK, share=shared.reader())
        self.blocks: list[Block] = []
        self._rest: Iterator[Block] = self.source.blocks((), have, digests=digests)

    def read(self, blocks: int = 1 << 30) -> Reading:
        """Read so many more blocks; all that are left by default."""
        for _, block in zip(range(blocks), self._rest, strict=False):
            self.blocks.append(block)
        return self

    @property
    def content(self) -> bytes:
        """What was read; holes are zeros."""
        return b"".join(block.payload or bytes(block.hole) for block in self.blocks)

    @property
    def digest(self) -> str:
        """The digest of the last block."""
        digest = self.blocks[-1].digest
        assert digest is not None, self.blocks[-1]
        return digest.hex()

    def whole(self, content: bytes = CONTENT) -> bool:
        """Return whether it has read *content*, with its digest."""
        return self.content == content and self.digest == hashlib.sha256(content).hexdigest()


def test_readers_in_step_read_the_disk_once(found: Scan) -> None:
    shared = Shared(1)
    readers = [Reading(found, shared) for _ in range(3)]
    for _ in range(25):
        for reader in readers:
            reader.read(1)
    assert all(reader.whole() for reader in readers)
    assert shared.bytes_read == len(CONTENT)


def test_reader_far_behind_reads_again_and_displaces_nothing_that_others_need(found: Scan) -> None:
    shared = Shared(1, limit=2 * BLOCK)
    first, second, far = (Reading(found, shared) for _ in range(3))
    far.read(1)
    for _ in range(25):
        first.read(1)
        if 10 * BLOCK <= first.blocks[-1].offset < 15 * BLOCK:
            far.read(2)
        second.read(1)
    read = shared.bytes_read
    assert first.whole()
    assert second.whole()
    assert len(far.content) == 11 * BLOCK
    # The first block was read by all.
    assert read == len(CONTENT) + 10 * BLOCK
    assert far.read().whole()
    assert shared.bytes_read <= 2 * len(CONTENT)


def test_memory_of_blocks_is_bounded_and_free_after_the_last_reader(found: Scan) -> None:
    shared = Shared(1, limit=4 * BLOCK)
    one, other = Reading(found, shared), Reading(found, shared)
    other.read(1)
    for _ in range(25):
        one.read(1)
        assert shared.kept <= 4 * BLOCK
    one.source.close()
    assert shared.kept
    other.source.close()
    assert not shared.kept


def test_reader_that_was_closed_keeps_nothing(found: Scan) -> None:
    shared = Shared(1)
    reader = Reading(found, shared).read(1)
    reader.source.close()
    reader.read(1)
    Reading(found, shared).read(1).source.close()
    assert not shared.kept


def test_file_is_hashed_once_for_all_readers(found: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    class Hasher:
        def __init__(self) -> None:
            self._hasher = original()

        def update(self, data: bytes) -> None:
            hashed.append(len(data))
            self._hasher.update(data)

        def digest(self) -> bytes:
            return self._hasher.digest()

    original = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", Hasher)
    shared = Shared(1)
    first, second = Reading(found, shared), Reading(found, shared)
    for count in (1, 5, 2, 40):  # one is ahead, and then the other
        first.read(count)
        second.read(count + 3)
    later = Reading(found, shared).read()
    monkeypatch.undo()
    assert all(reader.whole() for reader in (first, second, later))
    assert sum(hashed) == len(CONTENT)


def test_reader_goes_on_hashing_where_another_one_has_ended(found: Scan) -> None:
    shared = Shared(1)
    Reading(found, shared).read(9).source.close()
    assert Reading(found, shared).read().whole()


def test_continued_file_is_not_read_again_from_its_start_if_its_digest_is_known(
    found: Scan,
) -> None:
    shared = Shared(1)
    start = 7 * BLOCK + 99
    points = [(0, start, hashlib.sha256(CONTENT[:start]).hexdigest())]
    # The first one with this beginning is verified, as without others.
    first = Reading(found, shared, {0: start}, points).read()
    assert first.content == CONTENT[start:]
    assert first.digest == hashlib.sha256(CONTENT).hexdigest()
    second = Reading(found, shared, {0: start}, points)
    second.read(1)
    assert second.source.checking is None
    second.read()
    assert (second.content, second.digest) == (first.content, first.digest)
    # Another beginning is verified, and found to be wrong.
    wrong = [(0, start, "00" * 32)]
    third = Reading(found, shared, {0: start}, wrong).read()
    assert any(block.restart for block in third.blocks)
    assert third.digest == first.digest


def test_continued_reader_shares_blocks(found: Scan) -> None:
    shared = Shared(1)
    Reading(found, shared).read(15)
    read = shared.bytes_read
    continued = Reading(found, shared, {0: 5 * BLOCK + 1}).read(9)
    assert continued.content == CONTENT[5 * BLOCK + 1 : 14 * BLOCK]
    # Its first block is shorter than that of the other reader.
    assert shared.bytes_read - read < BLOCK


def test_file_that_has_changed_fails_for_later_readers(found: Scan, tmp_path: Path) -> None:
    shared = Shared(1)
    assert Reading(found, shared).read().whole()
    (tmp_path / "film.bin").write_bytes(CONTENT[::-1])
    (block,) = Reading(found, shared).read().blocks
    assert block.failure == "changed before it was sent"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no time of the last change")
def test_nothing_of_another_version_is_shared(found: Scan, tmp_path: Path) -> None:
    path, shared = tmp_path / "film.bin", Shared(1)
    before = path.stat()
    ahead = Reading(found, shared).read(3)
    assert Reading(found, shared).read().whole()
    changed = CONTENT[::-1]
    with path.open("r+b") as file:
        file.write(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Reading(found, shared).read().whole(changed)
    # One that has begun before has a mixture, and the digest of the version that it has opened.
    ahead.read()
    assert ahead.digest == hashlib.sha256(CONTENT).hexdigest()


def test_holes_are_shared(tmp_path: Path) -> None:
    path = tmp_path / "sparse.bin"
    with path.open("wb") as file:
        file.write(b"a" * BLOCK)
        file.seek(40 * BLOCK)
        file.write(b"b" * BLOCK)
    found, shared = scan([path]), Shared(1)
    first, second = Reading(found, shared), Reading(found, shared)
    for _ in range(60):
        first.read(1)
        second.read(1)
    for reader in (first, second):
        assert reader.whole(path.read_bytes())
    assert shared.bytes_read < 10 * BLOCK


def test_many_small_files_are_shared(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(os.urandom(number))
    found, shared = scan([tmp_path]), Shared(201)
    first, second = Reading(found, shared), Reading(found, shared)
    for _ in range(200):
        first.read(1)
        second.read(1)
    assert first.blocks == second.blocks
    assert len(first.blocks) == 200
    assert shared.bytes_read == sum(range(200))


def test_readers_in_threads_get_the_same(found: Scan) -> None:
    shared = Shared(1, limit=6 * BLOCK)
    readers = [Reading(found, shared) for _ in range(6)]
    threads = [threading.Thread(target=reader.read) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(reader.whole() for reader in readers)


def test_reader_waits_for_another_one_that_reads_the_block() -> None:
    shared = Shared(1)
    is_reading, go_on = threading.Event(), threading.Event()
    pieces: list[tuple[bytes, bool]] = []

    def slowly(length: int) -> bytes:
        is_reading.set()
        go_on.wait()
        return bytes(length)

    def read() -> None:
        pieces.append(shared.read(shared.reader(), (0, 0), (1,), BLOCK, slowly))

    threads = [threading.Thread(target=read) for _ in range(2)]
    threads[0].start()
    is_reading.wait()
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(pieces) == [(bytes(BLOCK), False), (bytes(BLOCK), True)]
    assert shared.bytes_read == BLOCK


def test_block_that_cannot_be_read_is_the_failure_of_each_reader(found: Scan) -> None:
    shared = Shared(1)
    reader = shared.reader()

    def fail(length: int) -> bytes:
        raise OSError(5, "Input/output error")

    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            shared.read(reader, (0, 0), (1,), BLOCK, fail)
    assert shared.read(reader, (0, 0), (1,), BLOCK, bytes) == (bytes(BLOCK), True)
