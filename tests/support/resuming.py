"""Transfers that are interrupted and continued, with real programs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

from dcsend.files.journal import INTERVAL
from tests.support.processes import Ended, Program, Stage, digest

__all__ = ["Interrupted", "flip", "held"]

_LIMIT: Final = INTERVAL
"Bytes that may be sent again beyond those that had not been written."


def flip(path: Path, offset: int) -> None:
    """Change one byte of a file, and leave its time as it was."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


_HELD: Final = """
import threading
from dcsend.files.reading import FileReader

pieces = FileReader.pieces

def held(self, start):
    position = start
    for piece in pieces(self, start):
        position += piece if isinstance(piece, int) else len(piece)
        yield piece
        if position >= {at}:
            threading.Event().wait()

FileReader.pieces = held
"""
"Lets a sender read no further than to this offset, as from a disk that does not respond."


def held(at: int) -> str:
    """Return what makes a sender read no further than to this offset, for `before`."""
    return _HELD.format(at=at)


class Interrupted:
    """One file that is sent from run to run.

    Args:
        stage: starts the programs.
        source: the file.
        output: the folder of the receiver.
    """

    def __init__(self, stage: Stage, source: Path, output: Path) -> None:
        self._stage = stage
        self.source = source
        self.target = output / source.name
        self.part = output / f"{source.name}.dcsend-part"
        self.journal = output / f"{source.name}.dcsend-journal"
        self._output = output

    def begin(self, before: str = "") -> tuple[Program, Program]:
        """Start a sender, with *before* as of `Program`, and a receiver."""
        sender = self._stage.send(self.source, before=before)
        return sender, self._stage.receive(sender.code, self._output)

    def interrupt(
        self, at: int, side: str, number: signal.Signals = signal.SIGKILL, *, held: bool = True
    ) -> int:
        """Transfer until the receiver has *at* bytes, then end *side*, and then the other one.

        Args:
            at: bytes.
            side: `sender` or `receiver`.
            number: ends that side.
            held: whether the sender sends no more than about so many bytes.

        Returns:
            Bytes of the part; 0 if there is none.
        """
        sender, receiver = self.begin(_HELD.format(at=at) if held else "")
        receiver.until(
            lambda event: event["event"] == "progress" and event["bytes"] >= at, f"{at} bytes"
        )
        first, second = (sender, receiver) if side == "sender" else (receiver, sender)
        first.process.send_signal(number)
        first.reap()
        second.process.send_signal(signal.SIGINT)
        second.reap()
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def is_complete(self) -> bool:
        """Whether the file has arrived although a program was killed."""
        return self.target.exists() and not self.part.exists()

    def complete(self, before: int, limit: int = _LIMIT) -> tuple[Ended, Ended]:
        """Continue to the end, and check the file and the number of bytes that are sent again.

        Args:
            before: bytes of the part that are of use.
            limit: bytes that may be sent beyond those that were not there.
        """
        size = self.source.stat().st_size
        sender, receiver = self.begin()
        received, sent = receiver.end(), sender.end()
        assert (sent.status, received.status) == (0, 0), (sent.events, received.events)
        assert digest(self.target) == digest(self.source)
        assert not self.part.exists()
        assert not self.journal.exists()
        assert received.done["bytes"] - (size - before) <= limit
        return sent, received
