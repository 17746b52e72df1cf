"""`--json`: one event per line on standard output, for programs."""

from __future__ import annotations

import json

from dcsend.display.streams import Stream
from dcsend.errors import DcsendError, UsageError
from dcsend.session.events import Event, Failed, Finished, ManifestKnown, TextExchanged

__all__ = ["JsonDisplay"]


class JsonDisplay:
    """Writes `{"v":1,"event":…}` lines; `done` is the last, and comes exactly once."""

    def __init__(self, out: Stream, *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose

    def show(self, event: Event) -> None:
        """Write one line; signs of life only with `-v`."""
        if isinstance(event, TextExchanged) and event.kind == "random" and not self._verbose:
            return
        self._out.line(json.dumps({"v": 1, "event": event.name, **event.as_json()}))

    def refuse(self, error: DcsendError) -> None:
        """Report a run that never began: `error`, then `done`."""
        self.show(Failed(error))
        self.show(Finished(ok=False, exit=error.exit_status, bytes=0, seconds=0.0))

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Refuse: a program says `-y`."""
        raise UsageError("nobody can be asked with --json", "add -y to accept what comes")

    def close(self) -> None:
        """Nothing to tidy up."""
