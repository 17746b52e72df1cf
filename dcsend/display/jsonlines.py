"""`--json`: one event per line on standard output, for programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, TypeGuard

from dcsend.display.streams import Stream, in_haste
from dcsend.entry import Entry
from dcsend.errors import DcsendError, UsageError
from dcsend.session.events import (
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    TextExchanged,
)

__all__ = ["JsonDisplay"]

_PAUSE: Final = 0.03
"""Seconds in which nobody misses what is offered. To write 10 000 entries takes half as long, and
just then both sides wait for the transfer to begin."""
_TURN: Final = 0.01
"Seconds of writing after which the rest of the loop has its turn."
_MOST_HELD: Final = 1000
"Verdicts that wait to be written; a peer can have a million made, faster than they are written."
_PIECE: Final = 64 << 10
"Characters of paths that are turned into JSON at once, in which each may become twelve."
_FEW: Final = 100
"Entries of a manifest whose line is written whole, after a signal, too; a longer one is cut then."
_BETWEEN: Final = '}, {"v": '
"Between two objects in an array of them."
_LINES: Final = '}\n{"v": '


class JsonDisplay:
    """Writes `{"v":1,"event":…}` lines; `done` is the last, and comes exactly once."""

    def __init__(self, out: Stream, *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose
        self._held: deque[Event] = deque()
        "What is to be written soon, a line each."
        self._listing: Iterator[str] = iter(())
        "The rest of the manifest's line, which is written in pieces, before what is held."
        self._later: asyncio.Handle | None = None

    def show(self, event: Event) -> None:
        """Write one line; signs of life only with `-v`."""
        if isinstance(event, TextExchanged) and event.kind == "random" and not self._verbose:
            return
        self._held.append(event)
        match event:
            case FileFinished() if len(self._held) < _MOST_HELD:
                # Small files end hundreds at a time: one system call for them, not hundreds.
                self._write_within(0.0)
            case ManifestKnown():
                self._write_within(_PAUSE)
            case _:
                self._write()

    def refuse(self, error: DcsendError) -> None:
        """Report a run that never began: `error`, then `done`."""
        self.show(Failed(error))
        self.show(Finished(ok=False, exit=error.exit_status, bytes=0, seconds=0.0))

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Refuse: a program says `-y`."""
        raise UsageError("nobody can be asked with --json", "add -y to accept what comes")

    def close(self) -> None:
        """Write what is held."""
        for piece in self._pieces():
            self._out.write(piece)

    def _write_within(self, seconds: float) -> None:
        """Write in a later turn of the loop; at once if none runs."""
        if self._later is not None:
            return  # not for each line: asking for the loop is a system call (Python 3.11)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.close()
            return
        if seconds:
            self._later = loop.call_later(seconds, self._write)
        else:
            self._later = loop.call_soon(self._write)

    def _write(self) -> None:
        """Write what is held, for one turn of the loop; the rest in the next."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        until = time.monotonic() + _TURN
        for piece in self._pieces():
            self._out.write(piece)
            if time.monotonic() > until:
                self._write_within(0.0)
                return

    def _pieces(self) -> Iterator[str]:
        """Turn what is held into JSON, and let go of it piece by piece."""
        while True:
            for piece in self._listing:
                if in_haste():  # what is left of it would take longer than there is time
                    self._listing = iter(())
                    self._out.tear()
                    break
                yield piece
            if not self._held:
                return
            event = self._held[0]
            if _is_long(event):
                self._held.popleft()
                if not in_haste():
                    self._listing = _manifest_line(event)
            else:
                yield self._lines()

    def _lines(self) -> str:
        """Take some of what is held, up to a long manifest."""
        objects = []
        size = 0
        while self._held and size < _PIECE:
            event = self._held[0]
            if _is_long(event):
                break
            self._held.popleft()
            objects.append({"v": 1, "event": event.name, **event.as_json()})
            size += len(event.path) if isinstance(event, FileFinished) else 0
        # All at once takes half the time. No text has what is replaced: a quote in it, after
        # whatever else, has a backslash before it.
        return json.dumps(objects)[1:-1].replace(_BETWEEN, _LINES) + "\n"


def _is_long(event: Event) -> TypeGuard[ManifestKnown]:
    """Tell whether an event is a manifest whose line is written in pieces."""
    return isinstance(event, ManifestKnown) and len(event.entries) > _FEW


def _manifest_line(event: ManifestKnown) -> Iterator[str]:
    """Turn the manifest into JSON in pieces: all of it may be a gigabyte."""
    line = {"v": 1, "event": event.name, **ManifestKnown([]).as_json()}
    line |= {"files": event.files, "bytes": event.total}
    yield json.dumps(line).removesuffix("]}")
    separator = ""
    for some in _portions(event.entries):
        yield separator + json.dumps([ManifestKnown.listed(entry) for entry in some])[1:-1]
        separator = ", "
    yield "]}\n"


def _portions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Divide entries into portions with paths of about _PIECE characters."""
    portion: list[Entry] = []
    size = 0
    for entry in entries:
        portion.append(entry)
        size += len(entry.path) + 40
        if size >= _PIECE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
