"""The journal of a part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.files.folder import USE_DESCRIPTORS, Folder, Tree
from dcsend.files.journal import INTERVAL, MIN_SIZE, Journal, wants_journal
from dcsend.files.planned_folders import PlannedFolders
from dcsend.listing import Entries, Index
from tests.support.journals import read_lines

ENTRY = Entry("d/film.mkv", size=100 << 20, mtime=1_700_000_000_000_000)
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
    journal = Journal(folder, "film.mkv", ENTRY, MANIFEST)
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


def test_discarded_journal_is_removed(folder: Folder, tmp_path: Path) -> None:
    Journal(folder, "film.mkv", ENTRY, MANIFEST).discard()
    assert not list(tmp_path.iterdir())


def test_journal_replaces_a_link_and_not_its_target(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / NAME).symlink_to("victim")
    Journal(folder, "film.mkv", ENTRY, MANIFEST).keep(0, hashlib.sha256())
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / NAME).is_symlink()


def test_only_large_files_and_streams_have_a_journal() -> None:
    assert not wants_journal(Entry("a", size=MIN_SIZE - 1))
    assert wants_journal(Entry("a", size=MIN_SIZE))
    assert wants_journal(Entry("a", size=None))
