"""Sinks that write into a scratch folder, and short ways to feed them and to look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcsend.entry import Entry
from dcsend.files.folder import USE_DESCRIPTORS
from dcsend.files.operations import End, Existing, Operation, Outcome, Write
from dcsend.files.sink import DirectorySink

__all__ = ["MakeSink", "make_sink", "receive", "statuses", "tree", "whole"]

MakeSink = Callable[..., DirectorySink]


@pytest.fixture(params=[True, False], ids=["by-descriptor", "by-path"])
def make_sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSink]:
    """Make sinks that write into `tmp_path/out`, both ways of walking."""
    if request.param and not USE_DESCRIPTORS:
        pytest.skip("this system can't open files below a descriptor")
    sinks: list[DirectorySink] = []

    def make(existing: Existing = Existing.REFUSE, root: Path | None = None) -> DirectorySink:
        place = tmp_path / "out" if root is None else root
        sinks.append(DirectorySink(place, existing=existing, descriptors=request.param))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def whole(number: int, content: bytes) -> list[Operation]:
    """The operations of one file."""
    return [
        *([Write(number, 0, content)] if content else []),
        End(number, len(content), hashlib.sha256(content).digest()),
    ]


def receive(sink: DirectorySink, *files: tuple[str, bytes]) -> list[Outcome]:
    """Receive whole files, in one batch."""
    sink.plan([Entry(path, size=len(content)) for path, content in files])
    operations = [whole(number, content) for number, (_, content) in enumerate(files)]
    return sink.apply([operation for each in operations for operation in each])


def tree(root: Path) -> dict[str, bytes | None]:
    """Everything below *root*: the content of files, None for folders."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]
