"""Entries of a manifest in little memory: what goes in comes out, and a path is found."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsend.entry import Entry, Kind
from dcsend.listing import Entries, Index
from dcsend.protocol import limits

ENTRIES = st.builds(
    Entry,
    st.text(min_size=1, max_size=600),
    st.sampled_from(list(Kind)),
    st.none() | st.integers(0, limits.MAX_SAFE),
    st.integers(0, limits.MAX_MODE),
    st.none() | st.integers(-limits.MAX_SAFE, limits.MAX_SAFE),
    st.text(max_size=20),
    st.none() | st.integers(0, limits.MAX_SAFE),
)


@given(st.lists(ENTRIES, max_size=8))
def test_what_is_listed_is_what_was_added(entries: list[Entry]) -> None:
    listed = Entries(entries)
    assert listed == entries
    assert list(listed) == [listed[n] for n in range(len(entries))] == listed[:] == entries
    assert listed.names == sum(len((e.path + e.target).encode()) for e in entries)
    for number, entry in enumerate(entries):
        assert listed.path(number) == entry.path
        assert (listed.kind(number), listed.size(number)) == (entry.kind, entry.size)
        assert listed.mode(number) == entry.mode
        assert listed[number - len(entries)] == entry
    with pytest.raises(IndexError):
        listed[len(entries)]


@given(st.lists(st.text("ab/é", max_size=3), max_size=200))
def test_path_is_found_where_it_was_added_first(paths: list[str]) -> None:
    entries = Entries(Entry(path) for path in paths)
    index = Index(entries)
    for number, path in enumerate(paths):
        assert index.add(number, path) == paths.index(path)
    for path in {*paths, "ab", "c"}:
        assert index.find(path) == (paths.index(path) if path in paths else None)


@pytest.mark.parametrize("name", ["x" * 60, "x" * 59 + "\U0001f389", "é" * 30])
def test_entry_takes_its_name_and_little_more(name: str) -> None:
    tracemalloc.start()
    try:
        listed = Entries(Entry(f"{n:06}{name}", size=n, mtime=n) for n in range(20_000))
        index = Index(listed)
        for number in range(len(listed)):
            index.add(number, listed.path(number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 24 bytes of numbers, 13 of the index, and room to grow; an Entry has 330, or 570.
    assert held < 1.2 * listed.names + 60 * len(listed)
