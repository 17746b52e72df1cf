"""`--json` and `--json-to`: one event per line."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeGuard

from dcsend.display.base import AnyEvent, Display
from dcsend.display.streams import Stream, is_hurrying
from dcsend.entry import Entry
from dcsend.errors import DcsendError, UsageError
from dcsend.session.events import (
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    OfPeer,
    Progressed,
    TextExchanged,
)

__all__ = ["JsonDisplay"]

_PAUSE: Final = 0.03
"""Seconds for which a manifest is held: encoding 10 000 entries takes 16 ms, by which the first
frame would be delayed on both sides."""
_MAX_HELD: Final = 1000
"Verdicts that are held before they are written; a peer can cause a million."
_PIECE: Final = 64 << 10
"Characters of paths that are encoded at once; JSON needs up to twelve bytes for each."
_FEW: Final = 100
"Entries of a manifest up to which its line is always complete; a signal truncates a longer one."


class JsonDisplay(Display):
    """Writes `{"v":1,"event":…}` lines; the last one is `done`, which is written exactly once.

    Args:
        out: for the lines.
        verbose: whether keep-alive messages are written, too.
        hurries: returns whether long output must be truncated, because a signal has come.
    """

    def __init__(
        self, out: Stream, *, verbose: bool = False, hurries: Callable[[], bool] = is_hurrying
    ) -> None:
        self._out = out
        self._hurries = hurries
        self._verbose = verbose
        self._held: deque[tuple[str, AnyEvent]] = deque()
        "Events that are not written yet, with their times."
        self._later: asyncio.Handle | None = None

    def show(self, event: AnyEvent) -> None:
        """Write one line; keep-alive messages only with `-v`."""
        inner = _inner(event)
        if isinstance(inner, TextExchanged) and inner.kind == "random" and not self._verbose:
            return
        self._held.append((_now(), event))
        match inner:
            case FileFinished() if len(self._held) < _MAX_HELD:
                # Hundreds of small files end together: they are written by one system call.
                self._write_within(0.0)
            case ManifestKnown():
                self._write_within(_PAUSE)
            case _:
                self._write()

    def refuse(self, error: DcsendError) -> None:
        """Write `error` and `done` for a run that has not started."""
        self.show(Failed(error))
        self.show(Finished(ok=False, exit=error.exit_status, bytes=0, seconds=0.0))

    async def decide(self, manifest: ManifestKnown) -> bool:
        """Raise UsageError: `--json` needs `-y`."""
        raise UsageError("--json can't ask whether to accept", "add -y to accept every offer")

    def close(self) -> None:
        """Write the events that are held."""
        self._write()

    def _write_within(self, seconds: float) -> None:
        """Write after *seconds* if an event loop runs, otherwise at once."""
        if self._later is not None:
            return  # before get_running_loop(), which makes a system call in Python 3.11
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
            return
        if seconds:
            self._later = loop.call_later(seconds, self._write)
        else:
            self._later = loop.call_soon(self._write)

    def _write(self) -> None:
        """Write the events that are held, in order."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        while self._held:
            when, event = self._held[0]
            if _is_long(event):
                self._held.popleft()
                self._out.feed(_manifest_line(when, event, self._hurries))
            elif isinstance(_inner(event), Progressed):
                self._held.popleft()
                self._out.write(json.dumps(_object(when, event)) + "\n", passing=True)
            else:
                self._out.write(self._lines())

    def _lines(self) -> str:
        """Remove held events and return their lines, up to one that is written differently."""
        lines = []
        size = 0
        while self._held and size < _PIECE:
            when, event = self._held[0]
            inner = _inner(event)
            if _is_long(event) or isinstance(inner, Progressed):
                break
            self._held.popleft()
            lines.append(json.dumps(_object(when, event)) + "\n")
            size += len(inner.path) if isinstance(inner, FileFinished) else 0
        return "".join(lines)


def _now() -> str:
    """Return the time in UTC with milliseconds (ISO 8601)."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _object(when: str, event: AnyEvent) -> dict[str, Any]:
    return {"v": 1, "event": event.event, "time": when, **event.as_json()}


def _inner(event: AnyEvent) -> AnyEvent:
    """Return an event without the number of its peer."""
    return event.inner if isinstance(event, OfPeer) else event


def _is_long(event: AnyEvent) -> TypeGuard[ManifestKnown]:
    """Return whether an event is a manifest that is written in pieces."""
    return isinstance(event, ManifestKnown) and len(event.entries) > _FEW


def _manifest_line(when: str, event: ManifestKnown, hurries: Callable[[], bool]) -> Iterator[str]:
    """Encode a manifest in pieces, since its line may have a gigabyte.

    After a signal the line ends with the current piece, so that the process can end in time.
    """
    if hurries():
        return
    line = _object(when, ManifestKnown([], event.left_out))
    line |= {"files": event.files, "bytes": event.bytes}
    yield json.dumps(line).removesuffix("]}")
    separator = ""
    for some in _portions(event.entries):
        if hurries():
            yield "\n"
            return
        yield separator + json.dumps([ManifestKnown.listed(entry) for entry in some])[1:-1]
        separator = ", "
    yield "]}\n"


def _portions(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Divide entries into lists whose paths have about _PIECE characters."""
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
