"""Validation of names: what is refused, and that no accepted path leaves the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcsend.files import names
from dcsend.files.names import (
    JOURNAL_SUFFIX,
    MAX_COMPONENT,
    PART_SUFFIX,
    UnsafeName,
    beside,
    numbered,
    safe_path,
    safe_target,
)
from dcsend.protocol import limits

# Text like a path, so that hypothesis reaches all rules.
PATHS = st.lists(
    st.one_of(
        st.sampled_from(
            ["..", ".", "", "/", "\\", "C:", "c:x", "NUL", "con.txt", "a", "b.c", " ", "...", "~"]
        ),
        st.text(max_size=12),
    ),
    max_size=6,
).map("/".join)


@given(PATHS)
@example("a/../../b")
@example("..")
@example("C:/x")
@example("//server/share")
def test_accepted_path_stays_inside_on_posix(path: str) -> None:
    try:
        parts = safe_path(path)
    except UnsafeName:
        return
    joined = os.path.normpath(os.path.join("/root/chosen", *parts))
    assert joined.startswith("/root/chosen/")
    assert PurePosixPath("/root/chosen", *parts).parts[3:] == parts


@given(PATHS)
@example("a\\..\\..\\b")
@example("c:evil")
@example("a/c:/b")
def test_accepted_path_stays_inside_on_windows(path: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.platform", "win32")
        try:
            parts = safe_path(path)
        except UnsafeName:
            return
    joined = PureWindowsPath("D:\\chosen", *parts)
    assert joined.parts == ("D:\\", "chosen", *parts)
    assert ".." not in joined.parts


@given(PATHS)
def test_accepted_path_is_returned_unchanged(path: str) -> None:
    try:
        parts = safe_path(path)
    except UnsafeName:
        return
    assert "/".join(parts) == path
    assert path.isprintable() or not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in path)


def test_names_and_paths_are_not_too_long() -> None:
    with pytest.raises(UnsafeName, match="longer than 255"):
        safe_path("a" * 256)
    assert safe_path("a" * 255) == ("a" * 255,)
    long = "/".join(["a" * 255] * 16)
    assert len(safe_path(long)) == 16
    with pytest.raises(UnsafeName, match="longer than 4096"):
        safe_path(f"{long}/a")


def test_path_of_more_than_128_levels_is_refused() -> None:
    assert names.MAX_LEVELS == limits.MAX_LEVELS
    for name in ("a", "é", "two letters"):
        deepest = "/".join([name] * 128)
        assert len(safe_path(deepest)) == 128
        safe_target(("link",), deepest)
        with pytest.raises(UnsafeName, match="more than 128 levels"):
            safe_path(f"{deepest}/{name}")
        with pytest.raises(UnsafeName, match="more than 128 levels"):
            safe_target(("link",), f"{deepest}/{name}")


def cases(*verdicts: str) -> list[list[str]]:
    """The names of the vectors that have one of these verdicts."""
    path = Path(__file__).parents[1] / "vectors" / "names.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    split = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    assert {verdict for verdict, _ in split} == {"ok", "windows", "unsafe", "link", "unsafe-link"}
    return [json.loads(names) for verdict, names in split if verdict in verdicts]


def short(names: list[str]) -> str:
    return ascii(names[0])[:30]


@pytest.mark.parametrize("names", cases("ok", "windows"), ids=short)
def test_path_of_the_vectors_is_accepted(names: list[str]) -> None:
    assert safe_path(names[0]) == tuple(names[0].split("/"))


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("names", cases("unsafe"), ids=short)
def test_unsafe_path_of_the_vectors_is_refused_on_every_system(
    names: list[str], platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    with pytest.raises(UnsafeName):
        safe_path(names[0])


@pytest.mark.parametrize("names", cases("ok"), ids=short)
def test_windows_accepts_what_it_can_store(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert safe_path(names[0]) == tuple(names[0].split("/"))


@pytest.mark.parametrize("names", cases("windows"), ids=short)
def test_windows_refuses_what_it_can_not_store(
    names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(UnsafeName):
        safe_path(names[0])


@pytest.mark.parametrize(("link", "target"), cases("unsafe-link"))
def test_link_that_may_lead_outside_is_refused(link: str, target: str) -> None:
    with pytest.raises(UnsafeName):
        safe_target(safe_path(link), target)


@pytest.mark.parametrize(("link", "target"), cases("link"))
def test_link_that_stays_inside_is_accepted(link: str, target: str) -> None:
    safe_target(safe_path(link), target)


@given(PATHS, PATHS)
def test_accepted_link_stays_inside(link: str, target: str) -> None:
    try:
        parts = safe_path(link)
        safe_target(parts, target)
    except UnsafeName:
        return
    joined = os.path.normpath(os.path.join("/root/chosen", *parts[:-1], target))
    assert joined == "/root/chosen" or joined.startswith("/root/chosen/")


@given(st.text(min_size=1, max_size=255))
def test_part_and_journal_names_fit_and_differ(name: str) -> None:
    try:
        safe_path(name)
    except UnsafeName:
        return
    part, journal = beside(name, PART_SUFFIX), beside(name, JOURNAL_SUFFIX)
    assert max(len(part.encode()), len(journal.encode())) <= MAX_COMPONENT
    assert part != journal
    with pytest.raises(UnsafeName):
        safe_path(part)


def test_long_names_with_one_beginning_get_different_parts() -> None:
    assert beside("x" * 250 + "a", PART_SUFFIX) != beside("x" * 250 + "b", PART_SUFFIX)


def test_numbered_name_keeps_its_extension_and_fits() -> None:
    name = numbered("é" * 125 + ".jpg", 12)
    assert name.endswith(" (12).jpg")
    assert len(name.encode()) <= MAX_COMPONENT
