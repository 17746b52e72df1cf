"""The journal of a part."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry
from dcsend.errors import DestinationError
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Tree
from dcsend.files.journal import INTERVAL, MIN_SIZE, Journal, Point, parse_points, wants_journal
from dcsend.files.planned_folders import PlannedFolders
from dcsend.listing import Entries, Index
from tests.support.journals import read_lines

ENTRY = Entry("d/film.mkv", size=100 << 20, mtime=1_700_000_000_000_000)
LARGE = ENTRY._replace(size=1 << 40)
MANIFEST = "ab" * 32
NAME = "film.mkv.dcsend-journal"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    rules = PlannedFolders(Entries(), Index(Entries()), ())
    tree = Tree(tmp_path, rules, descriptors=USE_DESCRIPTORS)
    yield tree.folder(())
    tree.close()


def test_journal_has_the_file_and_a_digest_for_each_interval(
    folder: Folder, tmp_path: Path
) -> None:
    hasher = hashlib.sha256()
    journal = Journal.create(folder, "film.mkv", ENTRY, MANIFEST)
    for position in (100, INTERVAL - 1, INTERVAL + 7, INTERVAL + 8, 2 * INTERVAL):
        hasher.update(b"x")
        journal.note(position, hasher)
    hasher.update(b"y")
    journal.keep(2 * INTERVAL + 1, hasher)
    assert read_lines(tmp_path / NAME) == [
        {
            "v": 1,
            "manifest": MANIFEST,
            "path": "d/film.mkv",
            "size": 100 << 20,
            "mtime": 1_700_000_000_000_000,
        },
        {"offset": INTERVAL + 7, "sha256": hashlib.sha256(b"xxx").hexdigest()},
        {"offset": 2 * INTERVAL, "sha256": hashlib.sha256(b"xxxxx").hexdigest()},
        {"offset": 2 * INTERVAL + 1, "sha256": hashlib.sha256(b"xxxxxy").hexdigest()},
    ]


def test_line_is_whole_on_a_disk_that_takes_parts_of_it(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, content: write(fd, content[:7]))
    journal = Journal.create(folder, "film.mkv", ENTRY, MANIFEST)
    journal.note(INTERVAL, hashlib.sha256())
    journal.close()
    assert [line.get("offset") for line in read_lines(tmp_path / NAME)] == [None, INTERVAL]


def test_discarded_journal_is_removed(folder: Folder, tmp_path: Path) -> None:
    Journal.create(folder, "film.mkv", ENTRY, MANIFEST).discard()
    assert not list(tmp_path.iterdir())


def test_journal_replaces_a_link_and_not_its_target(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / NAME).symlink_to("victim")
    Journal.create(folder, "film.mkv", ENTRY, MANIFEST).keep(0, hashlib.sha256())
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / NAME).is_symlink()


def test_folder_in_the_place_of_a_journal_is_named(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(DestinationError, match=f"{NAME} is in the way: it is a folder"):
        Journal.create(folder, "film.mkv", ENTRY, MANIFEST)


def test_only_large_files_and_streams_have_a_journal() -> None:
    assert not wants_journal(Entry("a", size=MIN_SIZE - 1))
    assert wants_journal(Entry("a", size=MIN_SIZE))
    assert wants_journal(Entry("a", size=None))


HEADER = b'{"v":1,"manifest":"m","path":"p","size":9,"mtime":null}\n'
LINE = b'{"offset":5,"sha256":"' + b"0" * 64 + b'"}\n'
FILE = Entry("p", size=9)


def offsets(*lines: bytes, entry: Entry = FILE) -> list[int]:
    return [point.offset for point in parse_points(io.BytesIO(b"".join(lines)), entry)]


def test_points_have_their_ranges_and_their_places() -> None:
    block = b'{"offset":7,"from":5,"sha256":"' + b"1" * 64 + b'"}\n'
    points = list(parse_points(io.BytesIO(HEADER + LINE + block), FILE))
    assert points == [
        Point(5, 0, bytes(32), len(HEADER + LINE)),
        Point(7, 5, b"\x11" * 32, len(HEADER + LINE + block)),
    ]


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        LINE.replace(b"5", b"4"),
        LINE.replace(b"5", b"6").rstrip(),
        LINE.replace(b"5", b"10"),
        b'{"offset":6,"from":4,"sha256":"' + b"0" * 64 + b'"}\n',
        b'{"offset":6,"from":true,"sha256":"' + b"0" * 64 + b'"}\n',
        b'{"offset":6,"sha256":"00"}\n',
        b'{"offset":6,"sha256":"' + b"z" * 64 + b'"}\n',
        b'{"offset":6.5,"sha256":"' + b"0" * 64 + b'"}\n',
        b'{"offset":true,"sha256":"' + b"0" * 64 + b'"}\n',
        b"[]\n",
        b"\0\0\0\0\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_reading_stops_at_an_invalid_line(line: bytes) -> None:
    assert offsets(HEADER, LINE, line, LINE.replace(b"5", b"9")) == [5]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\n",
        b"null\n",
        HEADER.rstrip(),
        HEADER.replace(b'"v":1', b'"v":2'),
        HEADER.replace(b'"p"', b"null"),
        HEADER.replace(b"9", b"8"),
        HEADER.replace(b"9", b"9.0"),
        HEADER.replace(b"null", b"0"),
    ],
)
def test_journal_of_another_file_has_no_points(header: bytes) -> None:
    assert offsets(header, LINE) == []


def test_size_that_is_a_truth_value_is_no_number() -> None:
    assert offsets(HEADER.replace(b"9", b"true"), LINE, entry=Entry("p", size=1)) == []


@given(st.binary())
def test_any_bytes_can_be_read(data: bytes) -> None:
    for found in (offsets(data), offsets(HEADER, data)):
        assert found == sorted(set(found))


def test_resumed_journal_ends_after_its_line(folder: Folder, tmp_path: Path) -> None:
    journal = Journal.create(folder, "film.mkv", ENTRY, MANIFEST)
    for number in (1, 2, 3):
        journal.note(number * INTERVAL, hashlib.sha256())
    journal.keep(3 * INTERVAL, hashlib.sha256())
    resumed = Journal.resume(folder, "film.mkv", ENTRY, 2 * INTERVAL)
    assert resumed is not None
    resumed.note(2 * INTERVAL + 5, hashlib.sha256(), 2 * INTERVAL)
    resumed.keep(3 * INTERVAL + 1, hashlib.sha256(), 2 * INTERVAL)
    _, *lines = read_lines(tmp_path / NAME)
    assert [(line["offset"], line.get("from", 0)) for line in lines] == [
        (INTERVAL, 0),
        (2 * INTERVAL, 0),
        (3 * INTERVAL + 1, 2 * INTERVAL),
    ]


@pytest.mark.parametrize("last", [2000, 10])
def test_line_of_a_long_journal_is_found_at_its_end_and_before(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """The first new byte of a continued file waits for it."""
    journal = Journal.create(folder, "film.mkv", LARGE, MANIFEST)
    for number in range(1, 2001):
        journal.note(number * INTERVAL, hashlib.sha256(), (number - 1) * INTERVAL)
    journal.close()
    if last == 2000:
        monkeypatch.delattr("dcsend.files.journal.parse_points")
    resumed = Journal.resume(folder, "film.mkv", LARGE, last * INTERVAL)
    assert resumed is not None
    resumed.close()
    header, *lines = read_lines(tmp_path / NAME)
    assert header["size"] == LARGE.size
    assert [line["offset"] for line in lines] == [n * INTERVAL for n in range(1, last + 1)]


@pytest.mark.parametrize("spoiled", [b"0,", b"x", b'"', b"\n"])
def test_line_that_is_not_valid_is_not_resumed(
    folder: Folder, tmp_path: Path, spoiled: bytes
) -> None:
    journal = Journal.create(folder, "film.mkv", ENTRY, MANIFEST)
    journal.keep(INTERVAL, hashlib.sha256())
    before = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(before[:-10] + spoiled + before[-10:])
    assert Journal.resume(folder, "film.mkv", ENTRY, INTERVAL) is None


def test_journal_without_the_line_is_not_resumed(folder: Folder, tmp_path: Path) -> None:
    Journal.create(folder, "film.mkv", ENTRY, MANIFEST).keep(INTERVAL, hashlib.sha256())
    before = (tmp_path / NAME).read_bytes()
    assert Journal.resume(folder, "film.mkv", ENTRY, INTERVAL + 1) is None
    assert Journal.resume(folder, "film.mkv", ENTRY._replace(mtime=0), INTERVAL) is None
    assert (tmp_path / NAME).read_bytes() == before
