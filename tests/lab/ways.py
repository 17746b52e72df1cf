"""How two terminals meet, and what comes of it: by dialling or by two codes, with relays or not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.laboratory import Lab
from tests.page import random_file
from tests.processes import Event, Program

__all__ = ["LIMIT", "STUN", "Meeting", "Outcome", "dial", "two_codes"]

LIMIT: Final = 40.0
"Seconds after the last thing a person does, until a run that says nothing is given up."

STUN: Final = "stun:stun.l.google.com:19302"
"The default, which has to be named where a relay is."

_SIZE: Final = 300_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt to meet."""

    seconds: float | None
    """From the last thing that a person did (started the dialer, pasted the last code) until both
    sides had reported a connection; None: they had not."""
    routes: tuple[str, ...]
    "Route and address family as each terminal reported it, such as `direct IPv4`: a, b."
    statuses: tuple[int | None, ...]
    "Exit status of each terminal; None where it did not end."
    said: tuple[str, ...]
    "What those that were not content reported, each with the seconds after that last thing."


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two terminals that try to meet."""

    programs: tuple[Program, ...]
    asked: float
    "When the person did the last thing; seconds of the monotonic clock."

    def outcome(self, limit: float = LIMIT) -> Outcome:
        """Wait until both are connected and done, or as many have given up as will."""
        deadline = self.asked + limit
        met = [
            program.find(_is_news, max(0.0, deadline - time.monotonic()))
            for program in self.programs
        ]
        connected = [event for event in met if event and event["event"] == "connected"]
        together = len(connected) == len(self.programs)
        statuses: list[int | None] = []
        for program in self.programs:
            rest = limit if together else max(0.0, deadline - time.monotonic())
            try:
                statuses.append(program.process.wait(rest))
            except subprocess.TimeoutExpired:
                statuses.append(None)
        times = [p.at(e) for p, e in zip(self.programs, met, strict=True) if e in connected]
        return Outcome(
            max(times) - self.asked if together else None,
            tuple(f"{event['route']} {event['family']}" for event in connected),
            tuple(statuses),
            tuple(self._said()),
        )

    def _said(self) -> Sequence[str]:
        """Return what was reported as an error or a note after the last thing a person did."""
        said = []
        for name, program in zip("ab", self.programs, strict=True):
            for event in program.so_far("error"):
                after = program.at(event) - self.asked
                hint = f" ({event['hint']})" if event.get("hint") else ""
                said.append(f"{name} {after:.1f} s: {event['message']}{hint}")
        return said


def dial(lab: Lab, listener: str, folder: Path) -> Meeting:
    """Let one host, `a` or `b`, offer a file and the other dial."""
    here, there = (lab.a, lab.b) if listener == "a" else (lab.b, lab.a)
    options = lab.topology.options if listener == "a" else ()
    film = random_file(folder / "film", _SIZE)
    waiting = lab.send(here, film, *options)
    code = waiting.code
    asked = time.monotonic()
    dialer = lab.receive(there, code, folder / f"out-{asked}")
    programs = (waiting, dialer) if listener == "a" else (dialer, waiting)
    return Meeting(programs, asked)


def two_codes(
    lab: Lab, folder: Path, *, pause: float = 0.0, a: Sequence[str] = (), b: Sequence[str] = ()
) -> Meeting:
    """Let `a` offer a file, `b` answer, and a person carry the answer back after a pause.

    Args:
        lab: where.
        folder: for files.
        pause: seconds until the answer is pasted, after it was shown.
        a: servers that `a` asks, in place of the default.
        b: servers that `b` asks.
    """
    film = random_file(folder / "film", _SIZE)
    options = [
        ["--signal", "sdp", *(f"--ice-server={one}" for one in servers)] for servers in (a, b)
    ]
    offerer = lab.send(lab.a, film, *options[0], stdin=subprocess.PIPE)
    offer = offerer.event("description")["text"]
    answerer = lab.receive(lab.b, offer, folder / f"out-{time.monotonic()}", *options[1])
    answer = answerer.event("description")["text"]
    # What a person takes to carry a code: it is what is measured.
    time.sleep(pause)
    asked = time.monotonic()
    offerer.write(answer.encode() + b"\n")
    return Meeting((offerer, answerer), asked)


def _is_news(event: Event) -> bool:
    return event["event"] in ("connected", "done")
