"""What a transfer lives through: the network of host `a` changes in the middle of it.

`a` is at home behind a translator, `b` has a public address.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.laboratory import Lab
from tests.page import random_file
from tests.processes import PATIENCE, Event, Program

__all__ = ["EVENTS", "KINDS", "Story", "story"]

_RATE: Final = 8e6
"Bits per second of the link: slow, so that many transfers can be watched at once."
_BEFORE: Final = 1_000_000
"Bytes that have arrived when it happens."
_SIZE: Final = 5_000_000
"Bytes: what is left takes 4 s at least, once it goes on."
_PATIENCE: Final = 3 * PATIENCE
"Seconds; many transfers at once take longer."

Happening = Callable[[Lab, Program], AbstractContextManager[None]]


@contextmanager
def _asleep(program: Program) -> Iterator[None]:
    """Stop a program, as when its computer sleeps."""
    program.process.send_signal(signal.SIGSTOP)
    yield
    program.process.send_signal(signal.SIGCONT)


@contextmanager
def _forgotten(lab: Lab) -> Iterator[None]:
    lab.forget(lab.a)
    yield


EVENTS: Final[Mapping[str, Happening]] = {
    "silent": lambda lab, _: lab.silent(lab.a),
    "down": lambda lab, _: lab.down(lab.a),
    "asleep": lambda _, program: _asleep(program),
    "forgotten": lambda lab, _: _forgotten(lab),
}
"""What happens: everything is lost without an error; the interface of `a` is down; the program on
`a` is stopped; the translator forgets and then gives the same ports."""


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a transfer."""

    statuses: tuple[int | None, int | None]
    "Exit status of a and b; None: it did not end."
    stall: float
    "Longest time without progress at the receiver since it happened, in seconds."
    said: tuple[str, ...]
    "Errors and notes, each with the seconds after it happened."


def _dial_and_send(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.receive(lab.b, "", out)
    return lab.send(lab.a, film, "--to", b.code), b


def _dial_and_receive(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.send(lab.b, film)
    return lab.receive(lab.a, b.code, out), b


def _answer_and_receive(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.send(lab.b, film, "--signal", "sdp", stdin=subprocess.PIPE)
    a = lab.receive(lab.a, b.event("description")["text"], out, "--signal", "sdp")
    b.write(a.event("description")["text"].encode() + b"\n")
    return a, b


KINDS: Final[Mapping[str, Callable[[Lab, Path, Path], tuple[Program, Program]]]] = {
    "dials and sends": _dial_and_send,
    "dials and receives": _dial_and_receive,
    "answers and receives": _answer_and_receive,
}
"What `a` does."


def story(kind: str, event: str, seconds: float, folder: Path) -> Story:
    """Let something happen to a transfer, for so many seconds; return what became of it."""
    film = random_file(folder / "film", _SIZE)
    with Lab("restricted-public", rate=_RATE) as lab:
        a, b = KINDS[kind](lab, film, folder / "out")
        receiver = b if kind == "dials and sends" else a
        receiver.until(_has_come, f"{_BEFORE} bytes", _PATIENCE)
        start = time.monotonic()
        with EVENTS[event](lab, a):
            # How long it lasts: it is what is tested.
            time.sleep(seconds)
        statuses: list[int | None] = []
        for program in (a, b):
            try:
                statuses.append(program.process.wait(_PATIENCE))
            except subprocess.TimeoutExpired:
                statuses.append(None)
        return Story(
            (statuses[0], statuses[1]),
            _stall(receiver, start),
            tuple(
                f"{name} {program.at(event) - start:.1f} s: {event['message']}"
                for name, program in (("a", a), ("b", b))
                for event in program.so_far("error")
            ),
        )


def _has_come(event: Event) -> bool:
    return event["event"] == "progress" and int(event["bytes"]) >= _BEFORE


def _stall(receiver: Program, start: float) -> float:
    """Return the longest time without progress from *start* to the last progress."""
    times, most = [start], 0
    for when, size in receiver.steps():
        if size > most and when > start:
            times.append(when)
        most = max(most, size)
    return max((b - a for a, b in itertools.pairwise(times)), default=0.0)
