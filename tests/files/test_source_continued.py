"""Reading files of which the receiver has the beginning."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dcsend.files.manifest import scan, scan_stream
from dcsend.files.source import FileSource
from tests.files.test_source import SIZE, assert_complete, content, read


@pytest.mark.parametrize("have", [1, SIZE, SIZE + 1, 2500])
def test_file_continues_at_the_offset_of_the_receiver(tmp_path: Path, have: int) -> None:
    expected = os.urandom(2500)
    (tmp_path / "f").write_bytes(expected)
    blocks = read(scan([tmp_path / "f"]), have={0: have})
    assert content(blocks, start=have) == expected[have:]
    assert blocks[-1].digest == hashlib.sha256(expected).digest()


def test_first_new_block_needs_no_reading_of_what_the_receiver_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = os.urandom(6 << 20)
    (tmp_path / "f").write_bytes(expected)
    found, start = scan([tmp_path / "f"]), 5 << 20
    monkeypatch.setattr("dcsend.files.trailing.begin", lambda work, name: works.append(work))
    works: list[Callable[[], None]] = []
    source = FileSource(found, SIZE)
    blocks = source.blocks((), {0: start})
    first = next(blocks)
    assert (first.offset, first.payload) == (start, expected[start : start + SIZE])
    checking = source.checking
    assert checking is not None
    assert (checking.done, checking.total) == (0, start)
    (work,) = works
    threading.Thread(target=work, daemon=True).start()
    rest = [first, *blocks]
    assert content(rest, start=start) == expected[start:]
    assert rest[-1].digest == hashlib.sha256(expected).digest()
    assert source.checking is None


def test_prefix_of_a_file_that_is_not_due_any_more_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(6 << 20))
    due = 0
    blocks = FileSource(scan([tmp_path / "f"]), 1 << 20).blocks((), {0: 6 << 20}, lambda: due)
    due = 1
    assert list(blocks) == []


def test_sparse_file_continues_at_the_offset_of_the_receiver(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(b"a" * SIZE)
        file.seek(1 << 20)
        file.write(b"b" * SIZE)
        file.truncate(2 << 20)
    expected = path.read_bytes()
    for start in (SIZE, 1 << 19, (1 << 20) + 1, 2 << 20):
        blocks = read(scan([path]), have={0: start})
        assert content(blocks, start=start) == expected[start:]
        assert blocks[-1].digest == hashlib.sha256(expected).digest()


@pytest.mark.parametrize("start", [100, 3 * SIZE, 6 << 20])
def test_file_that_differs_from_the_part_begins_again(tmp_path: Path, start: int) -> None:
    expected = os.urandom(6 << 20)
    (tmp_path / "f").write_bytes(expected)
    good = (0, 50, hashlib.sha256(expected[:50]).hexdigest())
    for digests in ([(0, 100, "0" * 64)], [good, (0, 100, "0" * 64)]):
        source = FileSource(scan([tmp_path / "f"]), SIZE)
        blocks = list(source.blocks((), {0: start}, digests=digests))
        (again,) = (place for place, block in enumerate(blocks) if block.restart)
        assert (
            content(blocks[:again], start=start) == expected[start:][: len(blocks[:again]) * SIZE]
        )
        assert_complete(blocks[again + 1 :], expected)


def test_file_that_is_as_the_part_continues(tmp_path: Path) -> None:
    expected = os.urandom(3000)
    (tmp_path / "f").write_bytes(expected)
    digests = [(0, at, hashlib.sha256(expected[:at]).hexdigest()) for at in (1, 1500, 2500)]
    blocks = list(FileSource(scan([tmp_path / "f"]), SIZE).blocks((), {0: 2500}, digests=digests))
    assert content(blocks, start=2500) == expected[2500:]


@pytest.mark.parametrize("at", [1, 700, 1500, 2500])
def test_stream_that_differs_from_the_part_is_given_up_at_once(at: int) -> None:
    expected = os.urandom(3000)
    good = [(0, 1, hashlib.sha256(expected[:1]).hexdigest())] if at > 1 else []
    source = FileSource(scan_stream(io.BytesIO(expected)), SIZE)
    (block,) = source.blocks((), {0: 2500}, digests=[*good, (0, at, "0" * 64)])
    assert block.failure == "differs from the beginning that the receiver has"
    source = FileSource(scan_stream(io.BytesIO(expected)), SIZE)
    digests = [*good, (0, at, hashlib.sha256(expected[:at]).hexdigest())][-2:]
    blocks = list(source.blocks((), {0: 2500}, digests=sorted(set(digests))))
    assert content(blocks, start=2500) == expected[2500:]
    assert blocks[-1].digest == hashlib.sha256(expected).digest()


def test_receiver_that_claims_more_than_the_size_gets_a_failure(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert read(scan([tmp_path / "f"]), have={0: 4})[0].failure
