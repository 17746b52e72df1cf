"""`--json`: one event per line on standard output, for programs."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from dcsend.display.streams import Stream
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
_BETWEEN: Final = '}, {"v": '
"Between two objects in an array of them."
_LINES: Final = '}\n{"v": '


class JsonDisplay:
    """Writes `{"v":1,"event":…}` lines; `done` is the last, and comes exactly once."""

    def __init__(self, out: Stream, *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose
        self._held: list[Event] = []
        "What is to be written soon, a line each."

    def show(self, event: Event) -> None:
        """Write one line; signs of life only with `-v`."""
        if isinstance(event, TextExchanged) and event.kind == "random" and not self._verbose:
            return
        self._held.append(event)
        match event:
            case FileFinished():
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
        self._write()

    def _write_within(self, seconds: float) -> None:
        """Write in a later turn of the loop; at once if none runs."""
        if len(self._held) > 1:
            return  # not for each line: asking for the loop is a system call (Python 3.11)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
            return
        if seconds:
            loop.call_later(seconds, self._write)
        else:
            loop.call_soon(self._write)

    def _write(self) -> None:
        if self._held:
            held, self._held = self._held, []
            objects = [{"v": 1, "event": one.name, **one.as_json()} for one in held]
            # All at once takes half the time. No text has what is replaced: a quote in it, after
            # whatever else, has a backslash before it.
            self._out.line(json.dumps(objects)[1:-1].replace(_BETWEEN, _LINES))
