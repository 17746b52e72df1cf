"""Sinks that write into a temporary folder, and helpers for their operations and results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcsend.content import Content, Data, End
from dcsend.entry import Entry, Existing
from dcsend.files.committing import MAX_GROUP
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.folder import USE_DESCRIPTORS
from dcsend.files.sink import Outcome
from dcsend.files.syncing import FILE_SYSTEM_SYNC, FileSystemSync

__all__ = [
    "MakeSink",
    "finished",
    "make_sink",
    "receive",
    "sink_on",
    "statuses",
    "tree",
    "whole",
]

MakeSink = Callable[..., DirectorySink]


@pytest.fixture(params=[True, False], ids=["by-descriptor", "by-path"])
def make_sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSink]:
    """Return a function that makes sinks for `tmp_path/out`, by descriptor and by path."""
    if request.param and not USE_DESCRIPTORS:
        pytest.skip("this system can't open files below a descriptor")
    sinks: list[DirectorySink] = []

    def make(
        existing: Existing = Existing.REFUSE,
        root: Path | None = None,
        max_group: int = MAX_GROUP,
        file_system_sync: FileSystemSync | None = FILE_SYSTEM_SYNC,
    ) -> DirectorySink:
        sink = DirectorySink(
            tmp_path / "out" if root is None else root,
            existing=existing,
            descriptors=request.param,
            max_group=max_group,
            file_system_sync=file_system_sync,
        )
        sinks.append(sink)
        return sink

    yield make
    for sink in sinks:
        sink.close()


def whole(number: int, content: bytes) -> list[Content]:
    """Return the operations of one file."""
    return [
        *([Data(number, 0, content)] if content else []),
        End(number, len(content), hashlib.sha256(content).digest()),
    ]


def receive(sink: DirectorySink, *files: tuple[str, bytes]) -> list[Outcome]:
    """Receive whole files, in one batch."""
    sink.plan([Entry(path, size=len(content)) for path, content in files])
    operations = [whole(number, content) for number, (_, content) in enumerate(files)]
    return sink.apply([operation for each in operations for operation in each])


def tree(root: Path) -> dict[str, bytes | None]:
    """Return path and content of everything below *root*; None for folders."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def sink_on(folder: Path, existing: Existing = Existing.REFUSE) -> DirectorySink:
    """Return a sink for the folder `out` in *folder*."""
    return DirectorySink(folder / "out", existing=existing)


def finished(sink: DirectorySink, outcomes: list[Outcome]) -> dict[int, str]:
    """Finish and close *sink*; return the statuses of all entries."""
    return {one.number: one.status for one in [*outcomes, *sink.finish(), *sink.close()]}
