"""The last section of SECURITY.md: each promise names the tests that hold it, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
HEADING: Final = "\n## Every promise and its tests\n"
ROW: Final = re.compile(r"\| (?P<promise>\S.*?) \| (?P<tests>\S.*?) \|")


def rows(document: str) -> dict[str, list[str]]:
    """Return the promises in the tables of the last section, each with its tests."""
    _, heading, section = document.partition(HEADING)
    assert heading, f"SECURITY.md has no section {HEADING.strip()!r}"
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if not line.startswith("|") or line in ("| Promise | Tests |", "| --- | --- |"):
            continue
        row = ROW.fullmatch(line)
        assert row is not None, f"not a row of two cells: {line}"
        assert row["promise"] not in found, f"twice: {row['promise']}"
        found[row["promise"]] = row["tests"].split(", ")
    return found


def missing(tests: list[str]) -> list[str]:
    """Return those of *tests*, each `` `FILE::NAME` ``, that are not there."""
    return [test for test in tests if not exists(test)]


def exists(test: str) -> bool:
    """Return whether `` `FILE::NAME` `` is a function, or the title of a test in TypeScript."""
    named = re.fullmatch(r"`(?P<file>[\w./-]+)::(?P<name>[^`]+)`", test)
    if named is None or not (path := ROOT / named["file"]).is_file():
        return False
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ts":
        return f'("{named["name"]}",' in source
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    defined = {node.name for node in ast.parse(source).body if isinstance(node, functions)}
    return named["name"].startswith("test_") and named["name"] in defined


PROMISES: Final = rows((ROOT / "SECURITY.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_names_tests_that_exist(promise: str) -> None:
    assert promise.endswith(".")
    assert not missing(PROMISES[promise])


def test_test_that_is_missing_is_noticed() -> None:
    here = "`tests/test_promises.py::test_test_that_is_missing_is_noticed`"
    gone = [
        "`tests/test_promises.py::test_none`",
        "`tests/test_promises.py::rows`",
        "`tests/test_none.py::test_none`",
        "`web-receiver/test/names.test.ts::no such title`",
        "no test at all",
    ]
    assert missing([here, *gone]) == gone


def test_row_without_a_test_is_noticed() -> None:
    with pytest.raises(AssertionError, match="not a row of two cells"):
        rows(f"{HEADING}\n| Nothing is lost. | |\n")
