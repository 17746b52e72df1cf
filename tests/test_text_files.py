"""No text file of the project names a path of one machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent

MACHINE_PATH: Final = re.compile(r"(?<![\w.~-])/(?:home|Users)/(?!(?:me|you|user)/)\w[\w.-]*/")
"A path that exists on one machine only; examples say ~, $HOME, or /home/me."

SKIPPED: Final = frozenset({"node_modules", "dist", "build", "results", "__pycache__", "htmlcov"})
KEPT: Final = frozenset({".ci", ".gitignore", ".gitattributes", ".github"})
"Among the names with a leading dot, those that belong to the project."


def text_files(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in KEPT
        if hidden or path.name in SKIPPED or path.name.endswith(".egg-info") or path.is_symlink():
            continue
        if path.is_dir():
            yield from text_files(path)
        elif b"\0" not in (content := path.read_bytes()):
            yield path, content.decode("utf-8", "replace")


def test_no_text_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in text_files(ROOT)
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


def test_text_files_include_code_documents_and_settings() -> None:
    names = {str(path.relative_to(ROOT)) for path, _ in text_files(ROOT)}
    assert {"pyproject.toml", "dcsend/errors.py", ".ci/run", "SECURITY.md"} <= names


# In pieces, or this file would be the one that is found.
@pytest.mark.parametrize(
    "text",
    [
        "open('/{}/ada/x.py')".format("home"),
        "file:///{}/ada/x".format("Users"),
    ],
)
def test_a_path_of_one_machine_is_found(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["https://example.org/network/x", "home/ada", "/home/me/x"])
def test_a_path_of_every_machine_is_fine(text: str) -> None:
    assert not MACHINE_PATH.search(text)
