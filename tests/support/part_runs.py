"""Parts that a sink has written, interrupted and continued, without programs."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

from dcsend.content import Content, Data, End
from dcsend.entry import Entry
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.journal import INTERVAL
from dcsend.files.sink import Outcome
from tests.support.sinks import MakeSink

__all__ = [
    *("ENTRY", "JOURNAL", "MIB", "PART", "SIZE", "abandon", "completed", "end", "interrupted"),
    *("killed", "pieces"),
]

MIB: Final = 1 << 20
SIZE: Final = 3 * INTERVAL + 5
ENTRY: Final = Entry("d/film.mkv", size=SIZE, mtime=1_700_000_000_000_000)
PART: Final = "out/d/film.mkv.dcsend-part"
JOURNAL: Final = "out/d/film.mkv.dcsend-journal"
"Paths of the part and its journal, from the temporary folder of the test."


def pieces(content: bytes, start: int, end: int) -> list[Content]:
    """Return the bytes [start, end) in blocks of 1 MiB."""
    return [Data(0, at, content[at : min(at + MIB, end)]) for at in range(start, end, MIB)]


def end(content: bytes) -> End:
    """Return the end of the file."""
    return End(0, len(content), hashlib.sha256(content).digest())


def killed(sink: DirectorySink, content: bytes, upto: int, entry: Entry = ENTRY) -> None:
    """Receive the first bytes, and end as a killed process: nothing is written any more."""
    sink.plan([entry])
    sink.apply(pieces(content, 0, upto), more=True)


def abandon(folder: Path) -> None:
    """Replace the files by copies, which no descriptor of this process has locked."""
    for path in folder.rglob("*.dcsend-*"):
        copy = path.with_name("copy")
        shutil.copy2(path, copy)
        copy.replace(path)


def interrupted(make: MakeSink, tmp_path: Path, content: bytes, upto: int) -> None:
    """Receive the first bytes, and end as a killed process, whose locks are gone."""
    killed(make(), content, upto)
    abandon(tmp_path / "out")


def completed(sink: DirectorySink, content: bytes, start: int) -> list[Outcome]:
    """Receive the rest."""
    outcomes = sink.apply([*pieces(content, start, len(content)), end(content)])
    return [*outcomes, *sink.finish(), *sink.close()]
