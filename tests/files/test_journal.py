"""The journal of a part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Tree
from dcsend.files.journal import (
    INTERVAL,
    MIN_SIZE,
    Journal,
    JournalHeader,
    parse_journal,
    read_journal,
    wants_journal,
)
from dcsend.files.planned_folders import PlannedFolders
from dcsend.listing import Entries, Index

HEADER = JournalHeader("ab" * 32, "d/film.mkv", 100 << 20, 1_700_000_000_000_000)
HEADER_LINE = b'{"v":1,"manifest":"m","path":"p","size":9,"mtime":null}\n'
POINT_LINE = b'{"offset":5,"sha256":"' + b"0" * 64 + b'"}\n'
NAME = "film.mkv.dcsend-journal"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    rules = PlannedFolders(Entries(), Index(Entries()), ())
    tree = Tree(tmp_path, rules, descriptors=USE_DESCRIPTORS)
    yield tree.folder(())
    tree.close()


def test_journal_is_read_back(folder: Folder, tmp_path: Path) -> None:
    hasher = hashlib.sha256()
    journal = Journal(folder, "film.mkv", HEADER)
    for position in (100, INTERVAL - 1, INTERVAL + 7, INTERVAL + 8, 2 * INTERVAL):
        hasher.update(b"x")
        journal.note(position, hasher)
    hasher.update(b"y")
    journal.keep(2 * INTERVAL + 1, hasher)
    record = read_journal(tmp_path / NAME)
    assert record is not None
    assert record.header == HEADER
    assert record.points == (
        (INTERVAL + 7, hashlib.sha256(b"xxx").digest()),
        (2 * INTERVAL, hashlib.sha256(b"xxxxx").digest()),
        (2 * INTERVAL + 1, hashlib.sha256(b"xxxxxy").digest()),
    )


def test_discarded_journal_is_removed(folder: Folder, tmp_path: Path) -> None:
    Journal(folder, "film.mkv", HEADER).discard()
    assert not list(tmp_path.iterdir())


def test_journal_replaces_a_link_and_not_its_target(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / NAME).symlink_to("victim")
    Journal(folder, "film.mkv", HEADER).keep(0, hashlib.sha256())
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / NAME).is_symlink()


def test_incomplete_last_line_is_ignored() -> None:
    record = parse_journal([HEADER_LINE, POINT_LINE, b'{"offset":9,"sha'])
    assert record is not None
    assert [offset for offset, _ in record.points] == [5]


def test_last_line_without_a_newline_is_ignored() -> None:
    record = parse_journal([HEADER_LINE, POINT_LINE.rstrip()])
    assert record is not None
    assert record.points == ()


@pytest.mark.parametrize(
    "line",
    [
        POINT_LINE,
        b'{"offset":4,"sha256":"' + b"0" * 64 + b'"}\n',
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
    late = b'{"offset":9,"sha256":"' + b"0" * 64 + b'"}\n'
    record = parse_journal([HEADER_LINE, POINT_LINE, line, late])
    assert record is not None
    assert [offset for offset, _ in record.points] == [5]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        HEADER_LINE.rstrip(),
        HEADER_LINE.replace(b'"v":1', b'"v":2'),
        HEADER_LINE.replace(b'"m"', b"7"),
        HEADER_LINE.replace(b'"p"', b"null"),
        HEADER_LINE.replace(b"9", b"-9"),
        HEADER_LINE.replace(b"null", b'"now"'),
        POINT_LINE,
    ],
)
def test_file_without_a_valid_header_is_no_journal(line: bytes) -> None:
    assert parse_journal([line, POINT_LINE]) is None


@given(st.lists(st.binary(max_size=80)))
def test_any_bytes_are_parsed_without_an_exception(lines: list[bytes]) -> None:
    assert parse_journal(lines) is None or lines
    parse_journal([HEADER_LINE, *lines])


def test_missing_link_folder_and_pipe_are_no_journals(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(HEADER_LINE)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert read_journal(tmp_path / "real") is not None
    for name in ("none", "link", "folder", "pipe"):
        assert read_journal(tmp_path / name) is None


def test_file_longer_than_any_journal_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(HEADER_LINE + POINT_LINE)
    os.truncate(tmp_path / "long", (256 << 20) + 1)
    assert read_journal(tmp_path / "long") is None


def test_only_large_files_and_streams_have_a_journal() -> None:
    assert not wants_journal(Entry("a", size=MIN_SIZE - 1))
    assert wants_journal(Entry("a", size=MIN_SIZE))
    assert wants_journal(Entry("a", size=None))
