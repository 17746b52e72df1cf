"""Codes in arguments, files and pipes; `test_paste` has those that are pasted at a terminal."""

from __future__ import annotations

import codecs
import io
import os
import threading
from pathlib import Path

import pytest

from dcsend.display.paste import MAX_INPUT, resolve_code_argument
from dcsend.errors import UsageError
from tests.display.test_paste import complete, on_posix


def resolve(argument: str, stdin: bytes = b"") -> str:
    """Resolve without a terminal."""
    file = io.TextIOWrapper(io.BytesIO(stdin), encoding="ascii")
    return resolve_code_argument(argument, file, complete=complete, stderr=io.StringIO())


@pytest.mark.parametrize("argument", ["", "dc0123", "-", "https://dcsend.example/#1", "a@-"])
def test_argument_without_an_at_sign_is_the_text(argument: str) -> None:
    assert resolve(argument, b"not read") == argument


def test_pipe_is_read_to_its_end() -> None:
    assert resolve("@-", b"one\n\ntwo\n") == "one\n\ntwo\n"


@pytest.mark.parametrize(
    "content",
    [
        b"code\r\n",
        codecs.BOM_UTF8 + b"code\r\n",
        "\ufeffcode\r\n".encode("utf-16-le"),
        "\ufeffcode\r\n".encode("utf-16-be"),
    ],
    ids=["plain", "utf-8-bom", "utf-16-le", "utf-16-be"],
)
def test_file_is_read_in_the_encodings_that_editors_and_shells_write(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "code.txt").write_bytes(content)
    assert resolve(f"@{tmp_path}/code.txt") == "code\r\n"


def test_bytes_that_are_no_text_are_left_to_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\x00")
    assert not complete(resolve(f"@{tmp_path}/photo.jpg"))


@on_posix
def test_file_may_be_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(b"a" * 60_000))
    writer.start()
    assert resolve(f"@{tmp_path}/pipe") == "a" * 60_000
    writer.join()


def test_file_in_the_home_directory_may_be_named_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "code").write_text("dc0")
    assert resolve("@~/code") == "dc0"


@pytest.mark.parametrize("name", ["missing", ".", "missing\x1b[2J", "nul\0"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="can't read the code from") as refusal:
        resolve(f"@{tmp_path / name}")
    assert refusal.value.message.isprintable()
    assert str(tmp_path) in refusal.value.message


def test_file_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="@ has no file name after it"):
        resolve("@")


def test_large_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"a" * MAX_INPUT)
    assert len(resolve(f"@{path}")) == MAX_INPUT
    path.write_bytes(b"a" * (MAX_INPUT + 1))
    with pytest.raises(UsageError, match=r"film\.mkv is too large to be a code"):
        resolve(f"@{path}")


def test_large_pipe_is_refused() -> None:
    with pytest.raises(UsageError, match="standard input is too large"):
        resolve("@-", b"a" * (MAX_INPUT + 1))
