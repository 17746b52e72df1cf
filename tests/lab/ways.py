"""Connections between two terminals: dial code, short code, or offer and answer; also by relays."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.laboratory import Lab
from tests.support.page import random_file
from tests.support.processes import Event, Program

__all__ = ["LIMIT", "STUN", "Attempt", "Outcome", "dial", "short_code", "two_codes"]

LIMIT: Final = 40.0
"Seconds without a message after the last user action, after which the attempt ends."

STUN: Final = "stun:stun.l.google.com:19302"
"The default, which has to be named where a relay is."

_SIZE: Final = 300_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an attempt to connect."""

    seconds: float | None
    """Seconds from the last user action (start of the dialer, paste of the last code) until both
    sides reported a connection; None if they did not."""
    routes: tuple[str, ...]
    "Route and address family as each terminal reported it, such as `direct IPv4`: a, b."
    statuses: tuple[int | None, ...]
    "Exit status of each terminal; None where it did not end."
    said: tuple[str, ...]
    "What those that were not content reported, each with the seconds after that last thing."

    @property
    def reported(self) -> list[str]:
        """What they reported after the last user action."""
        return [one for one in self.said if not re.match(r". -", one)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Two terminals that try to connect."""

    programs: tuple[Program, ...]
    asked: float
    "The last user action; seconds of the monotonic clock."
    code: str = ""
    "The short code, if it is one: the side that shows it does not end if there is no path."

    def outcome(self, limit: float = LIMIT) -> Outcome:
        """Wait until both are connected and done, or as many have given up as will."""
        deadline = self.asked + limit
        met = [
            program.find(self._is_news_of(program), max(0.0, deadline - time.monotonic()))
            for program in self.programs
        ]
        connected = [event for event in met if event and event["event"] == "connected"]
        together = len(connected) == len(self.programs)
        statuses: list[int | None] = []
        for program, event in zip(self.programs, met, strict=True):
            rest = limit if together else max(0.0, deadline - time.monotonic())
            if event and event["event"] == "error" and not event["fatal"]:
                rest = 0.0
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

    def _is_news_of(self, program: Program) -> Callable[[Event], bool]:
        def is_news(event: Event) -> bool:
            if event["event"] == "error" and self.code:
                return event["kind"] == "connection" and program.at(event) > self.asked
            return event["event"] in ("connected", "done")

        return is_news

    def _said(self) -> Sequence[str]:
        """Return the errors and notes after the last user action."""
        said = []
        for name, program in zip("ab", self.programs, strict=True):
            for event in program.so_far("error"):
                after = program.at(event) - self.asked
                hint = f" ({event['hint']})" if event.get("hint") else ""
                said.append(f"{name} {after:.1f} s: {event['message']}{hint}")
        return said


def dial(lab: Lab, listener: str, folder: Path) -> Attempt:
    """Offer a file at one host, `a` or `b`; the other one dials."""
    here, there = (lab.a, lab.b) if listener == "a" else (lab.b, lab.a)
    options = lab.topology.options if listener == "a" else ()
    film = random_file(folder / "film", _SIZE)
    waiting = lab.send(here, film, *options)
    code = waiting.code
    asked = time.monotonic()
    dialer = lab.receive(there, code, folder / f"out-{asked}")
    programs = (waiting, dialer) if listener == "a" else (dialer, waiting)
    return Attempt(programs, asked)


def two_codes(
    lab: Lab, folder: Path, *, pause: float = 0.0, a: Sequence[str] = (), b: Sequence[str] = ()
) -> Attempt:
    """Offer a file at `a`, answer at `b`, and paste the answer after a pause.

    Args:
        lab: the network.
        folder: for files.
        pause: seconds between the output of the answer and its paste.
        a: servers of `a`, in place of the default.
        b: servers of `b`.
    """
    film = random_file(folder / "film", _SIZE)
    options = [
        ["--signal", "sdp", *(f"--ice-server={one}" for one in servers)] for servers in (a, b)
    ]
    offerer = lab.send(lab.a, film, *options[0], stdin=subprocess.PIPE)
    offer = offerer.event("description")["text"]
    answerer = lab.receive(lab.b, offer, folder / f"out-{time.monotonic()}", *options[1])
    answer = answerer.event("description")["text"]
    # The time before the code is pasted is a parameter of the measurement.
    time.sleep(pause)
    asked = time.monotonic()
    offerer.write(answer.encode() + b"\n")
    return Attempt((offerer, answerer), asked)


def short_code(
    lab: Lab,
    folder: Path,
    *,
    server: bool = True,
    a: Sequence[str] = (),
    b: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Attempt:
    """Offer a file at `a`, and start a receiver with its short code at `b`.

    Args:
        lab: the network.
        folder: for files.
        server: whether there is a rendezvous server; without one, `b` finds `a` by mDNS.
        a: STUN and TURN servers of `a`, in place of the default.
        b: those of `b`.
        options: of both.
    """
    film = random_file(folder / "film", _SIZE)
    given = ["--server", lab.rendezvous()] if server else []
    ices = [[f"--ice-server={one}" for one in servers] for servers in (a, b)]
    options = (*given, *options)
    environment = {"DCSEND_NO_MDNS": ""}
    allocator = lab.send(lab.a, film, *ices[0], *options, environment=environment)
    code = allocator.event("short_code")["code"]
    asked = time.monotonic()
    output = folder / f"out-{asked}"
    joiner = lab.receive(lab.b, code, output, *ices[1], *options, environment=environment)
    return Attempt((allocator, joiner), asked, code)
