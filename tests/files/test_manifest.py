"""Listing what is sent."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dcsend.entry import Entry, Kind, LeftOut
from dcsend.errors import SourceError, UsageError
from dcsend.files.manifest import (
    Omission,
    Problem,
    Scan,
    manifest_id,
    scan,
    scan_stream,
    scan_text,
)
from dcsend.files.names import MAX_LEVELS


def paths_of(found: Scan) -> list[str]:
    return [entry.path for entry in found.entries]


def make_tree(root: Path, *paths: str) -> Path:
    for path in paths:
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.encode())
    return root


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system with far times")
def test_time_out_of_range_is_omitted() -> None:
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        os.utime(file.name, (0, 2**40))  # the year 36812
        (entry,) = scan([file.name]).entries
    assert entry.mtime is None


def test_file_is_listed_with_size_mode_and_time(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"hello")
    file.chmod(0o640)
    os.utime(file, ns=(0, 1_700_000_000_123_456_000))
    found = scan([file])
    assert found.entries == (Entry("a.txt", Kind.FILE, 5, 0o640, 1_700_000_000_123_456),)
    assert found.origins == (str(file.resolve()),)
    assert found.left_out == LeftOut()
    assert not found.problems


def test_setuid_bit_is_not_listed(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    file.chmod(0o4755)
    assert scan([file]).entries[0].mode == 0o755


def test_tree_is_listed_in_order_with_empty_and_hidden(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/b/2", "t/b/1", "t/a", "t/.hidden", "t/empty/", "t/b.x")
    found = scan([tmp_path / "t"])
    assert paths_of(found) == [
        "t",
        "t/.hidden",
        "t/a",
        "t/b",
        "t/b/1",
        "t/b/2",
        "t/b.x",
        "t/empty",
    ]
    assert [e.path for e in found.entries if e.kind is Kind.DIRECTORY] == ["t", "t/b", "t/empty"]


@pytest.mark.parametrize("spelling", [".", "./", "../t", "../t/", "b/.."])
def test_folder_is_listed_under_its_real_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    make_tree(tmp_path, "t/b/1")
    monkeypatch.chdir(tmp_path / "t")
    assert paths_of(scan([spelling])) == ["t", "t/b", "t/b/1"]


@pytest.mark.full
def test_tree_is_listed_down_to_the_deepest_path(tmp_path: Path) -> None:
    depth = 1200  # within PATH_MAX
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=here)
            deeper = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
    finally:
        os.close(here)
    try:
        found = scan([tmp_path / "d"])
        assert len(found.entries) == MAX_LEVELS
        (problem,) = found.problems
        assert problem.path == "/".join(["d"] * (MAX_LEVELS + 1))
        assert problem.reason == "the path is more than 128 levels deep"
    finally:
        # The removal of Python, which pytest uses, would exceed the recursion limit.
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["*.o"], ["t", "t/a.c", "t/build", "t/build/x", "t/s", "t/s/build"]),
        (["build/"], ["t", "t/a.c", "t/a.o", "t/s", "t/s/build", "t/s/b.o"]),
        (["build"], ["t", "t/a.c", "t/a.o", "t/s", "t/s/b.o"]),
        (["t/s/*"], ["t", "t/a.c", "t/a.o", "t/build", "t/build/x", "t/s"]),
        (["s/*"], ["t", "t/a.c", "t/a.o", "t/build", "t/build/x", "t/s"]),
        (["s", "build", "[ab].?"], ["t"]),
        (["t"], []),
        (["/build"], ["t", "t/a.c", "t/a.o", "t/s", "t/s/b.o", "t/s/build"]),
        (["/build/", "/s/*"], ["t", "t/a.c", "t/a.o", "t/s"]),
        (["/*.o"], ["t", "t/a.c", "t/build", "t/build/x", "t/s", "t/s/b.o", "t/s/build"]),
        (["/**.o"], ["t", "t/a.c", "t/build", "t/build/x", "t/s", "t/s/build"]),
        (["/t", "/", "/x", "build", "*.?"], ["t", "t/s"]),
    ],
)
def test_excluded_paths_are_not_listed(tmp_path: Path, exclude: list[str], left: list[str]) -> None:
    make_tree(tmp_path, "t/a.c", "t/a.o", "t/build/x", "t/s/b.o", "t/s/build")
    assert sorted(paths_of(scan([tmp_path / "t"], exclude=exclude))) == sorted(left)


def test_unmatched_patterns_are_reported(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/a.c", "t/s/b.o")
    found = scan([tmp_path / "t"], exclude=["*.o", "/b.o", "s/", "*.c", "/", "a.c"])
    assert found.unmatched == ("*.o", "/b.o", "/")


def test_link_named_is_followed_and_keeps_its_name(tmp_path: Path) -> None:
    make_tree(tmp_path, "real/x", "file")
    (tmp_path / "folder-link").symlink_to("real")
    (tmp_path / "file-link").symlink_to("file")
    found = scan([tmp_path / "folder-link", tmp_path / "file-link"])
    assert paths_of(found) == ["folder-link", "folder-link/x", "file-link"]
    assert found.entries[2].kind is Kind.FILE


def test_links_in_a_tree_are_left_out_and_counted(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/a")
    for number in range(5):
        (tmp_path / "t" / f"up{number}").symlink_to("..")
    found = scan([tmp_path / "t"])
    assert paths_of(found) == ["t", "t/a"]
    assert found.links == Omission(5, ("t/up0", "t/up1", "t/up2"))
    assert found.left_out == LeftOut(links=5)


def test_link_in_a_tree_is_listed_on_request_and_not_entered(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/a")
    (tmp_path / "t" / "self").symlink_to(".")
    found = scan([tmp_path / "t"], links=True)
    assert paths_of(found) == ["t", "t/a", "t/self"]
    assert (found.entries[2].kind, found.entries[2].target) == (Kind.LINK, ".")


def test_pipe_and_socket_in_a_tree_are_left_out_and_counted(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/a")
    os.mkfifo(tmp_path / "t" / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "t" / "sock"))
        found = scan([tmp_path / "t"])
    assert paths_of(found) == ["t", "t/a"]
    assert found.others == Omission(2, ("t/pipe", "t/sock"))
    assert found.left_out == LeftOut(others=2)


def test_pipe_that_is_named_is_a_stream(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert scan([tmp_path / "pipe"]).entries == (Entry("pipe", Kind.FILE, None),)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_can_not_be_sent_are_problems(tmp_path: Path) -> None:
    make_tree(tmp_path, "t/ok", "t/back\\slash", "t/part.dcsend-part", "t/line\nend")
    Path(os.fsdecode(os.fsencode(tmp_path / "t") + b"/\xff\xfe")).touch()
    found = scan([tmp_path / "t"])
    assert paths_of(found) == ["t", "t/ok"]
    assert len(found.problems) == found.left_out.unreadable == 4
    assert all(problem.reason.isprintable() for problem in found.problems)
    assert (
        Problem("t/line\nend", "the name holds a control character", lasting=True) in found.problems
    )
    assert "t/\udcff\udcfe" in {problem.path for problem in found.problems}


def test_folder_that_vanishes_while_listing_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read every folder, so the folder is removed to make it unreadable.
    make_tree(tmp_path, "t/a/", "t/b")
    real = os.open

    def vanish(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "a":
            os.rmdir(tmp_path / "t" / "a")
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr("os.open", vanish)
    found = scan([tmp_path / "t"])
    assert paths_of(found) == ["t", "t/a", "t/b"]
    assert found.problems == (Problem("t/a", "no such file or directory"),)


def test_missing_path_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        scan([tmp_path / "none"])


def test_dangling_link_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("none")
    with pytest.raises(SourceError, match="no such file"):
        scan([tmp_path / "link"])


def test_path_with_a_zero_byte_is_a_source_error() -> None:
    with pytest.raises((SourceError, UsageError)):
        scan(["a\0b"])


def test_two_paths_with_one_name_are_refused(tmp_path: Path) -> None:
    make_tree(tmp_path, "a/x", "b/x")
    with pytest.raises(UsageError, match="two files or folders with the name x"):
        scan([tmp_path / "a" / "x", tmp_path / "b" / "x"])


def test_joined_lists_refuse_one_name_twice(tmp_path: Path) -> None:
    make_tree(tmp_path, "stdin")
    found = scan([tmp_path / "stdin"])
    assert paths_of(found + scan_text("hi")) == ["stdin", "text"]
    with pytest.raises(UsageError, match="stdin"):
        found + scan_stream(io.BytesIO())


def test_root_of_the_disk_has_no_name() -> None:
    with pytest.raises(UsageError, match="root of a file system"):
        scan(["/"])


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="no sparse files here")
def test_sparse_file_has_its_size_on_the_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10 << 20)
        file.write(b"x" * 4096)
    entry = scan([tmp_path / "sparse"]).entries[0]
    assert entry.size == 10 << 20
    assert entry.stored is not None
    assert entry.stored < 1 << 20


def test_text_is_listed_with_its_bytes() -> None:
    found = scan_text("süß")
    assert found.entries == (Entry("text", Kind.TEXT, 5),)
    assert found.origins == ("süß".encode(),)


@pytest.mark.parametrize(
    "other",
    [
        Entry("b", size=1, mtime=5),
        Entry("a", size=2, mtime=5),
        Entry("a", size=1, mtime=6),
        Entry("a", size=None, mtime=5),
        Entry("a", Kind.DIRECTORY, size=1, mtime=5),
    ],
)
def test_manifest_id_differs_between_manifests(other: Entry) -> None:
    entry = Entry("a", size=1, mtime=5)
    assert manifest_id([entry]) == manifest_id([Entry("a", size=1, mtime=5)])
    assert manifest_id([entry]) != manifest_id([other])
    assert manifest_id([entry, other]) != manifest_id([other, entry])


def test_manifest_id_never_changes_between_releases() -> None:
    entries = [Entry("a/b", size=3, mode=0o600, mtime=1), Entry("l", Kind.LINK, target="é")]
    canonical = b'["a/b","file",3,384,1,""]\n["l","link",0,420,null,"\\u00e9"]\n'
    assert manifest_id(entries) == hashlib.sha256(canonical).hexdigest()
