"""The log for developers that `--debug` writes: records of the `dcsend` loggers, one per line.

Text that a peer may have chosen is escaped by `printable`. Records never contain a code, an ICE
password, a TURN password or the content of a file (tests/programs/test_log.py).
"""

from __future__ import annotations

import logging
import platform
import sys
from typing import Final

from dcsend._version import __version__
from dcsend.display.base import AnyEvent
from dcsend.display.streams import Stream
from dcsend.printable import printable
from dcsend.session.events import Failed, OfPeer, Progressed

__all__ = ["log_event", "start_log"]

_LOGGER: Final = logging.getLogger("dcsend")


class _Formatter(logging.Formatter):
    """Time, level, module and message, without escape sequences."""

    default_msec_format = "%s.%03d"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - overrides
        return printable(super().formatMessage(record))


class _Handler(logging.Handler):
    """Writes records to a stream that delays neither the event loop nor the threads."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self.setFormatter(_Formatter("{asctime} {levelname} {name}: {message}", style="{"))

    def emit(self, record: logging.LogRecord) -> None:
        self._stream.line(self.format(record))


def start_log(stream: Stream) -> None:
    """Write every record of the `dcsend` loggers to *stream* until the process ends."""
    _LOGGER.addHandler(_Handler(stream))
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.propagate = False
    _LOGGER.debug("dcsend %s, Python %s, %s", __version__, platform.python_version(), sys.platform)


def log_event(event: AnyEvent) -> None:
    """Log the name of an event. Its values may be secret, such as the code."""
    match event:
        case Progressed() | OfPeer(inner=Progressed()):
            pass
        case Failed():
            _LOGGER.debug("error: %s", event.error.message)
        case _:
            _LOGGER.debug("event %s", event.event)
