"""The judge of names: what it refuses, and that nothing it lets through escapes."""

from __future__ import annotations

import itertools
import os
from pathlib import PurePosixPath, PureWindowsPath

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

# Text that looks like a path, so that hypothesis finds its way to the rules.
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
def test_accepted_path_is_said_back_unchanged(path: str) -> None:
    try:
        parts = safe_path(path)
    except UnsafeName:
        return
    assert "/".join(parts) == path
    assert path.isprintable() or not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in path)


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_ordinary_paths_are_those_that_every_rule_lets_through(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    pieces = ["a", "Z", "9", "_", "-", ".", "/", " ", "\n", ":", "é", "\u017f", "\u212a", "²"]
    pieces += ["con", "COM1", "nul", "Lpt", ".dcsend-part", "dcsend-part", ".Dcsend-Journal"]
    passed = 0
    for length in range(1, 5):
        for some in itertools.product(pieces, repeat=length):
            path = "".join(some)
            if names._ORDINARY.fullmatch(path):
                assert safe_path(path) == names._by_the_rules(path), path
                passed += 1
    assert passed > 4**5  # it is of use


def test_ordinary_paths_are_not_too_long() -> None:
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


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "//x",
        "a//b",
        "a/",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a/..",
        "a\\b",
        "\\\\server\\share",
        "..\\a",
        "C:",
        "c:\\x",
        "z:x",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\x7f",
        "a\x85b",
        "a\x9bb",
        "a\ud800b",
        "x" * 256,
        "é" * 128,
        "/".join(["x" * 200] * 21),
        "film.dcsend-part",
        "a/film.dcsend-journal",
        "FILM.DCSEND-PART",
        "film.dcsend-part. .",
    ],
)
def test_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(UnsafeName):
        safe_path(path)


@pytest.mark.parametrize(
    "name",
    [
        "CON",
        "con",
        "Prn.txt",
        "aux.tar.gz",
        "NUL ",
        "nul .txt",
        "NUL:",
        "nul:stream",
        "COM0",
        "com9.log",
        "COM¹",
        "lpt³.x",
        "LPT5",
        "CONIN$",
        "conout$.txt",
    ],
)
def test_device_name_is_refused_in_any_folder_on_any_system(name: str) -> None:
    with pytest.raises(UnsafeName, match="device"):
        safe_path(f"folder/{name}")


@pytest.mark.parametrize(
    "path",
    [
        "a",
        ".hidden",
        "...",
        "a/b/c.txt",
        "süß 文件 🎉.jpg",
        "console",
        "com10",
        "com",
        "nullable.py",
        "x" * 255,
        "-rf",
        "~",
        "a'b\"c",
        "dcsend-part",
        " leading",
        "\u202egnp.exe",
    ],
)
def test_ordinary_path_is_accepted(path: str) -> None:
    assert safe_path(path) == tuple(path.split("/"))


@pytest.mark.parametrize("name", ["a<b", "a>b", "a|b", "a?", "a*", 'a"b', "a:b", "a.", "a "])
def test_windows_refuses_what_it_can_not_store(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert safe_path(f"x/{name}")
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(UnsafeName):
        safe_path(f"x/{name}")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("a", ".."),
        ("a", "../x"),
        ("d/a", "../../x"),
        ("d/a", "../.."),
        ("a", "/etc"),
        ("a", "C:\\x"),
        ("a", "x\\y"),
        ("d/a", "b/../c"),
        ("d/a", "up/../.."),
        ("a", ""),
        ("a", "x\0y"),
        ("a", "NUL"),
        ("a", "\ud800"),
    ],
)
def test_link_that_may_lead_outside_is_refused(link: str, target: str) -> None:
    with pytest.raises(UnsafeName):
        safe_target(safe_path(link), target)


@pytest.mark.parametrize(
    ("link", "target"),
    [("a", "b"), ("a", "."), ("d/a", ".."), ("d/a", "../b/c"), ("d/e/a", "../../b"), ("a", "./b/")],
)
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
