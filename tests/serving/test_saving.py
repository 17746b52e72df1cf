"""Writing the page to a file is atomic and destroys no other file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dcsend.errors import DestinationError
from dcsend.serving.saving import save

HTML = "<!doctype html><p>café".encode() * 200


def test_saved_page_is_complete_and_the_only_file(tmp_path: Path) -> None:
    save(HTML, tmp_path / "page.html")
    save(HTML[::-1], tmp_path / "page.html", overwrite=True)
    assert (tmp_path / "page.html").read_bytes() == HTML[::-1]
    assert len(list(tmp_path.iterdir())) == 1


def test_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(DestinationError, match=r"page\.html exists") as caught:
        save(HTML, tmp_path / "page.html")
    assert "--overwrite" in caught.value.hint
    assert (tmp_path / "page.html").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing/page.html", "no such file or directory"),
        ("folder", "is not a file"),
        ("file/page.html", "not a directory"),
        ("a\0b", "embedded null"),
        ("circle", "ymbolic link|loop"),
        pytest.param(
            "pipe",
            "is not a file",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes"),
        ),
    ],
)
def test_reason_why_a_path_can_not_be_written_is_named(
    tmp_path: Path, name: str, message: str, overwrite: bool
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DestinationError, match=message):
        save(HTML, tmp_path / name, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("overwrite", [False, True])
def test_failed_write_leaves_no_file(tmp_path: Path, overwrite: bool) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(HTML) - 1, limits[1]))
    try:
        with pytest.raises(DestinationError, match="file too large"):
            save(HTML, tmp_path / "page.html", overwrite=overwrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_replaced_page_keeps_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "page.html").touch()
    (tmp_path / "page.html").chmod(0o604)
    save(HTML, tmp_path / "page.html", overwrite=True)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("overwrite", [False, True])
def test_name_may_be_as_long_as_the_system_allows(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / ("漢" * 85)  # 255 bytes
    save(HTML, path, overwrite=overwrite)
    assert path.read_bytes() == HTML


def test_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "page.html").touch()
    (tmp_path / "link").symlink_to("page.html")
    save(HTML, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_bytes() == HTML


@pytest.mark.parametrize("overwrite", [False, True])
def test_file_is_created_at_the_target_of_a_dangling_link(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/page.html")
    save(HTML, tmp_path / "link", overwrite=overwrite)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "page.html").read_bytes() == HTML


@pytest.mark.parametrize(("count", "followed"), [(40, True), (41, False)])
def test_forty_links_in_a_row_are_followed(tmp_path: Path, count: int, followed: bool) -> None:
    for number in range(count):
        (tmp_path / f"l{number}").symlink_to(
            f"l{number + 1}" if number + 1 < count else "page.html"
        )
    if followed:
        save(HTML, tmp_path / "l0")
        assert (tmp_path / "page.html").read_bytes() == HTML
    else:
        with pytest.raises(DestinationError, match="symbolic links"):
            save(HTML, tmp_path / "l0")


def as_another_user(tmp_path: Path, link: Path) -> None:
    """Give *link* to another user, in a world-writable folder like /tmp."""
    if sys.platform == "win32" or os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("only root can give a link away")
        pytest.skip("only root can give a link away")
    os.lchown(link, 65534, 65534)
    tmp_path.chmod(0o1777)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_link_of_another_user_is_not_followed(tmp_path: Path, overwrite: bool, there: bool) -> None:
    private = tmp_path / "private"
    if there:
        private.write_text("mine")
    (tmp_path / "page.html").symlink_to(private)
    as_another_user(tmp_path, tmp_path / "page.html")
    with pytest.raises(DestinationError, match="symbolic link of another user"):
        save(HTML, tmp_path / "page.html", overwrite=overwrite)
    assert private.exists() == there
    assert not there or private.read_text() == "mine"


def test_page_in_place_of_a_file_of_another_user_has_not_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "page.html").touch()
    as_another_user(tmp_path, tmp_path / "page.html")
    (tmp_path / "page.html").chmod(0o6777)
    save(HTML, tmp_path / "page.html", overwrite=True)
    (tmp_path / "new").touch()
    assert (tmp_path / "page.html").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_link_of_another_user_behind_an_own_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    (tmp_path / "theirs").symlink_to("private")
    (tmp_path / "page.html").symlink_to("theirs")
    as_another_user(tmp_path, tmp_path / "theirs")
    with pytest.raises(DestinationError, match="symbolic link of another user"):
        save(HTML, tmp_path / "page.html", overwrite=True)
    assert (tmp_path / "private").read_text() == "mine"
