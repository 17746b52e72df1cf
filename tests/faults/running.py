"""One case: a sender and a receiver, of which one has a call that fails.

Both are forked from this process, which has loaded dcsend: a tenth of the time of two new ones. So
this module must not start threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.faults.calls import LASTING
from tests.faults.injection import Injection, join
from tests.faults.scenes import SCENES

__all__ = ["Case", "Report", "Run", "load", "run"]

LIMIT: Final = 100.0
"Seconds that a case may take: more than each timer of the protocol."
_AFTER: Final = 1.0
"Seconds until a sender whose receiver accepted nothing is interrupted: it waits for another one."

_ENVIRONMENT: Final = {
    "DCSEND_ADDRESS": "127.0.0.1",
    "DCSEND_STUN": "none",
    "DCSEND_NO_PAGE": "1",
    "DCSEND_JSON": "1",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What fails, where, and how."""

    scene: str
    side: str
    "`sender` or `receiver`."
    kind: str
    "Of calls; `any` with *lasting*."
    nth: int
    "The call of this kind that fails first, from 1; 0 for none."
    error: str
    "Its name, such as EIO."
    lasting: bool = False
    "Each later call fails as well."

    def __str__(self) -> str:
        return f"{self.scene} {self.side} {self.kind} {self.nth} {self.error}"


@dataclass(slots=True)
class Report:
    """What one program has left."""

    status: int = 0
    "Exit status; negative: killed by that signal."
    out: bytes = b""
    err: bytes = b""

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of its standard output."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith(b"{")]


@dataclass(slots=True)
class Run:
    """The result of a case."""

    case: Case
    source: Path
    "The folder that was sent."
    output: Path
    "The folder that it was received into."
    sender: Report = field(default_factory=Report)
    receiver: Report = field(default_factory=Report)
    failed: int = 0
    "How many calls failed."
    first: str = ""
    "The first of them, and its path."
    counts: dict[str, int] = field(default_factory=dict)
    "Calls of each kind on the side of the case."
    hung: bool = False
    "It was over only because the time was."
    stopped: bool = False
    "The sender was interrupted by the test, since it waited for another receiver."
    seconds: float = 0.0

    @staticmethod
    def accepted(receiver: Report) -> bool:
        """Return whether a receiver has accepted the offer."""
        return any(event["event"] in ("progress", "file") for event in receiver.events)


def load() -> None:
    """Load what both programs need; call it before the first `run`."""
    import dcsend.cli
    import dcsend.display.jsonlines
    import dcsend.files.directory_sink
    import dcsend.files.source
    import dcsend.peers.dialer
    import dcsend.peers.listener
    import dcsend.peers.transfer
    import dcsend.runner  # noqa: F401


def run(case: Case, source: Path, folder: Path) -> Run:
    """Carry out a case.

    Args:
        case: what fails.
        source: the folder that is sent, with what its scene has.
        folder: empty; where this case may write.
    """
    scene = SCENES[case.scene]
    output = folder / "output"
    scene.occupy(source, output)
    below = source if case.side == "sender" else output
    injection = Injection(folder / "control", below)
    kinds = LASTING[case.error] if case.lasting else (case.kind,)
    injection.plan(kinds, case.nth, case.error, lasting=case.lasting)
    done = Run(case, source, output)
    began = time.monotonic()

    def steered(side: str) -> Callable[[], None]:
        return partial(join, injection.path) if side == case.side else _pass

    with contextlib.ExitStack() as stack:
        sender = _Child(["send", str(source), *scene.sending], steered("sender"), folder / "sender")
        stack.callback(sender.end)
        code = sender.code(began + LIMIT)
        injection.arm()
        arguments = ["receive", code, "-y", "-o", str(output), *scene.receiving]
        receiver = _Child(arguments, steered("receiver"), folder / "receiver")
        stack.callback(receiver.end)
        receiver.wait(began + LIMIT)
        if not done.accepted(receiver.report()):
            sender.wait(min(time.monotonic() + _AFTER, began + LIMIT))
            done.stopped = sender.interrupt()
        sender.wait(began + LIMIT)
        done.hung = not (sender.over and receiver.over)
    done.sender, done.receiver = sender.report(), receiver.report()
    done.failed, done.first, done.counts = injection.failed, injection.first, injection.counts
    injection.close()
    done.seconds = time.monotonic() - began
    return done


def _pass() -> None:
    pass


class _Child:
    """A process of dcsend, forked from this one.

    Args:
        arguments: of its command line.
        before: called first in it.
        place: where its standard error goes.
    """

    def __init__(self, arguments: list[str], before: Callable[[], None], place: Path) -> None:
        self.out = bytearray()
        self.over = False
        self._status = 0
        self._err = place
        reader, writer = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            _become(arguments, before, writer, place)
        os.close(writer)
        self._reader = reader

    def code(self, deadline: float) -> str:
        """Wait for its code."""
        while self._read(deadline):
            for line in self.out.splitlines(keepends=True):
                if line.endswith(b"\n") and b'"code"' in line:
                    event = json.loads(line)
                    if event["event"] == "code":
                        return str(event["code"])
        raise RuntimeError(f"no code: {bytes(self.out)!r} {self._err.read_bytes()!r}")

    def wait(self, deadline: float) -> None:
        """Wait until it has ended, or until the limit."""
        if self.over:
            return
        while self._read(deadline):
            pass
        if time.monotonic() >= deadline:
            return
        _, status = os.waitpid(self._pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        self.over = True

    def interrupt(self) -> bool:
        """Send SIGINT if it has not ended; return whether that was the case."""
        if not self.over:
            os.kill(self._pid, signal.SIGTERM)
        return not self.over

    def end(self) -> None:
        """Kill it if it has not ended."""
        if not self.over:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._reader)

    def report(self) -> Report:
        """Return its status and output."""
        return Report(self._status, bytes(self.out), self._err.read_bytes())

    def _read(self, deadline: float) -> bool:
        """Wait for more standard output; return False at its end or at the limit."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._reader], [], [], left)[0]:
            return False
        chunk = os.read(self._reader, 1 << 16)
        self.out += chunk
        return bool(chunk)


def _become(arguments: list[str], before: Callable[[], None], out: int, err: Path) -> None:
    """Be a dcsend; does not return."""
    status = 70
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number, fd in enumerate((nothing, out, said)):
            os.dup2(fd, number)
        os.closerange(3, 256)
        os.environ.update(_ENVIRONMENT)
        sys.argv = ["dcsend", *arguments]
        before()
        from dcsend.__main__ import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what Python does with it
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
