"""A round: one file that is sent from run to run, of which all but the last are killed.

A run is killed at a number of bytes, or after a random time, in which both sides may not have met
yet, or may be finished. Only one of both programs is killed; the other one is interrupted (SIGINT)
then, since a killed program does not connect again.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.processes import Event, Program, Stage, digest
from tests.support.resuming import Interrupted

__all__ = ["LIMIT", "PATIENCE", "Round", "carry_out"]

LIMIT: Final = 8 << 20
"Bytes that may be sent again beyond those that had not been written."
PATIENCE: Final = 60.0
"Seconds in which the other side must end."
_SMALLEST: Final = 9 << 20
_LARGEST: Final = 40 << 20
_MOST: Final = 4
"Runs that are killed in one round."
_SIDES: Final = ("sender", "receiver")


@dataclass(slots=True)
class Round:
    """What happened."""

    size: int = 0
    "Bytes of the file."
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SIDES, 0))
    "Programs that were killed while they ran, by side."
    early: int = 0
    "Kills before a byte was written."
    late: int = 0
    "Kills after which the file had its final name."
    again: list[int] = field(default_factory=list)
    "Bytes that each continuing run has sent again."
    faults: list[str] = field(default_factory=list)
    story: str = ""

    def value(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


def carry_out(seed: int) -> Round:
    """Carry out the round of a seed, which chooses the size of the file and each kill."""
    result, rng, shown = Round(), random.Random(seed), io.StringIO()
    with tempfile.TemporaryDirectory(prefix="dcsend-kills-") as folder, _variables():
        try:
            with contextlib.redirect_stdout(shown), Stage() as stage:
                _carry_out(stage, Path(folder), rng, result)
        # A test that fails raises what is no `Exception`.
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is reported
            result.faults.append(f"{error!r} after{result.story or ' no kill'}\n{shown.getvalue()}")
    return result


@contextlib.contextmanager
def _variables() -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= {"DCSEND_STUN": "none", "DCSEND_NO_PAGE": "1"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _carry_out(stage: Stage, folder: Path, rng: random.Random, result: Round) -> None:
    source = folder / "source" / "film.mkv"
    source.parent.mkdir()
    result.size = rng.randrange(_SMALLEST, _LARGEST)
    source.write_bytes(rng.randbytes(result.size))
    case, wanted, before = Interrupted(stage, source, folder / "output"), digest(source), 0
    for _ in range(rng.randint(1, _MOST)):
        before = _kill(case, rng, before, result)
        if case.target.exists():
            assert digest(case.target) == wanted, "a wrong file has the final name"
            result.late += 1
            break
        result.early += not before
    _complete(stage, case, before, result)
    assert digest(case.target) == wanted
    assert [path.name for path in case.target.parent.iterdir()] == [source.name]


def _kill(case: Interrupted, rng: random.Random, before: int, result: Round) -> int:
    """Kill one side of a run, and end the other one; return how many bytes the receiver has."""
    side, size = rng.choice(_SIDES), result.size
    sender, receiver = case.begin()
    if rng.random() < 0.5 and before < size:
        _wait(case, receiver, rng.randrange(before, size))
    else:
        # Until it is finished, or for a time in which it may be.
        receiver.find(_is_done, rng.random() * (0.5 + (size - before) / 20e6))
    first, second = (sender, receiver) if side == "sender" else (receiver, sender)
    ran = first.process.poll() is None
    first.process.send_signal(signal.SIGKILL)
    killed = first.reap(PATIENCE).status == -signal.SIGKILL
    assert killed or not ran or first.process.returncode == 0, first.process.returncode
    began = time.monotonic()
    if second.process.poll() is None:
        second.process.send_signal(signal.SIGINT)
    second.reap(PATIENCE)
    result.kills[side] += killed
    now = _written(case)
    where = "the end" if case.target.exists() else f"{now / 1e6:.1f} MB"
    result.story += f" {side} at {where} ({time.monotonic() - began:.1f} s)"
    if before:
        _check_again(receiver, before, result)
    return now


def _wait(case: Interrupted, receiver: Program, at: int) -> None:
    """Wait until the part has *at* bytes; progress events would be too far apart."""
    deadline = time.monotonic() + PATIENCE
    while not receiver.find(_is_done, 0.002) and _written(case) <= at:
        assert time.monotonic() < deadline, f"{at} bytes are never written"


def _is_done(event: Event) -> bool:
    return bool(event["event"] == "done")


def _written(case: Interrupted) -> int:
    try:
        return case.part.stat().st_size
    except FileNotFoundError:
        return 0


def _check_again(receiver: Program, before: int, result: Round) -> None:
    """Check what a run continues with, if it was not killed before."""
    first = receiver.find(lambda event: event["event"] == "progress", 0)
    if first is not None:
        assert first["bytes"] >= before - LIMIT, f"{first['bytes']} of {before} bytes are kept"


def _complete(stage: Stage, case: Interrupted, before: int, result: Round) -> None:
    """Let another run finish."""
    options = ("--skip",) if case.target.exists() else ()
    sender = stage.send(case.source)
    receiver = stage.receive(sender.code, case.target.parent, *options)
    received, sent = receiver.end(PATIENCE), sender.end(PATIENCE)
    assert (sent.status, received.status) == (0, 0), (sent.events, received.events)
    again = received.done["bytes"] - (0 if options else result.size - before)
    result.again.append(again)
    assert again <= LIMIT, f"{again} bytes are sent again"
