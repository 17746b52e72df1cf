"""Outages in the middle of a transfer: the network of host `a` changes.

`a` is behind a translator, `b` has a public address. Either may have a browser.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.lab.laboratory import Lab
from tests.lab.pages import answered, page_on
from tests.lab.topologies import Nat
from tests.support.launching import Launched
from tests.support.load import slowness
from tests.support.netns import Host
from tests.support.page import from_disk, random_file
from tests.support.processes import PATIENCE, Event, Program

__all__ = ["EVENTS", "KINDS", "PAGES", "Story", "story"]

_RATE: Final = 8e6
"Bits per second of the link: slow, so that many transfers can be watched at once."
_BEFORE: Final = 1_000_000
"Bytes that have arrived when it happens."
_SIZE: Final = 5_000_000
"Bytes: the rest takes at least 4 s after the outage."
_EVERY: Final = 5.0
"Seconds between two changes of ports in `rebinding`."
_LONG: Final = 750_000
"Bytes for each second of `rebinding`, in which so many are not sent."
_PATIENCE: Final = 3 * PATIENCE
"Seconds; many transfers at once take longer."
_measuring: Final = threading.Lock()
"Threads that measure the load at once would be the load."


class _Processes:
    """Those of a browser, which are stopped as one program is."""

    def __init__(self, browser: Launched) -> None:
        self.process = self
        self._browser = browser

    def send_signal(self, number: int) -> None:
        """Send a signal to each of them."""
        for process in self._browser.processes():
            process.send_signal(number)


Happening = Callable[[Lab, Program | _Processes, Program], AbstractContextManager[None]]
"Gets the laboratory, the program of `a` or its browser, and the program of `b`."


@contextmanager
def _asleep(program: Program | _Processes) -> Iterator[None]:
    """Stop a program, as when its computer sleeps, or its phone is locked."""
    program.process.send_signal(signal.SIGSTOP)
    yield
    program.process.send_signal(signal.SIGCONT)


@contextmanager
def _at_once(change: Callable[[Host], None], host: Host) -> Iterator[None]:
    change(host)
    yield


@contextmanager
def _away(lab: Lab) -> Iterator[None]:
    """Let `a` be in no network, and then in another one."""
    with lab.silent(lab.a):
        yield
    lab.roam(lab.a)


@contextmanager
def _rebinding(lab: Lab) -> Iterator[None]:
    """Assign another port to each mapping of the translator of `a`, again and again."""
    over = threading.Event()

    def change() -> None:
        lab.rebind(lab.a)
        while not over.wait(_EVERY):
            lab.forget(lab.a)

    thread = threading.Thread(target=change, name="rebinding")
    thread.start()
    yield
    over.set()
    thread.join()


@contextmanager
def _both_moved(lab: Lab) -> Iterator[None]:
    """Give both sides another address, at once."""
    lab.move(lab.a)
    lab.roam(lab.b, Nat.PORT)
    yield


EVENTS: Final[Mapping[str, Happening]] = {
    "silent": lambda lab, *_: lab.silent(lab.a),
    "down": lambda lab, *_: lab.down(lab.a),
    "asleep": lambda _, program, other: _asleep(program),
    "other asleep": lambda _, program, other: _asleep(other),
    "away": lambda lab, *_: _away(lab),
    "forgotten": lambda lab, *_: _at_once(lab.forget, lab.a),
    "another port": lambda lab, *_: _at_once(lab.rebind, lab.a),
    "another address": lambda lab, *_: _at_once(lab.move, lab.a),
    "another network": lambda lab, *_: _at_once(lab.roam, lab.a),
    "both moved": lambda lab, *_: _both_moved(lab),
    "rebinding": lambda lab, *_: _rebinding(lab),
}
"""The outages: all packets are lost without an error; the interface of `a` is down; the program on
`a` is stopped, or that on `b`; `a` has no network and then another one; the translator loses its
mappings and assigns the same ports, or others; it gets another public address; `a` changes to a
mobile network; it gets another public address and `b` changes to a mobile network, at once; the
translator assigns another port every 5 s."""


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a transfer."""

    statuses: tuple[int | None, int | None]
    "Exit status of a and b, of a page 0 or 1; None: it did not end."
    stall: float
    """Longest time without progress since it happened, in seconds: that of the receiver, or of the
    sender where a page receives."""
    share: float
    "Rate while it happened, or until the end, as a part of that of the link."
    said: tuple[str, ...]
    "Errors and notes, each with the seconds after it happened."
    slowness: float
    "That of the machine when the outage was over, or at the end; see `tests.support.load`."


def _dial_and_send(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.receive(lab.b, "", out)
    return lab.send(lab.a, film, "--to", b.code), b


def _dial_and_receive(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.send(lab.b, film)
    return lab.receive(lab.a, b.code, out), b


def _join_and_send(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    server = ("--server", lab.rendezvous())
    b = lab.receive(lab.b, "", out, *server)
    return lab.send(lab.a, film, "--to", b.event("short_code")["code"], *server), b


def _join_and_receive(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    server = ("--server", lab.rendezvous())
    b = lab.send(lab.b, film, *server)
    return lab.receive(lab.a, b.event("short_code")["code"], out, *server), b


def _answer_and_receive(lab: Lab, film: Path, out: Path) -> tuple[Program, Program]:
    b = lab.send(lab.b, film, "--signal", "sdp", stdin=subprocess.PIPE)
    a = lab.receive(lab.a, _description(b), out, "--signal", "sdp")
    b.write(_description(a).encode() + b"\n")
    return a, b


def _description(program: Program) -> str:
    shown = program.until(lambda e: e["event"] == "description", "description", _PATIENCE)
    return str(shown["text"])


KINDS: Final[Mapping[str, Callable[[Lab, Path, Path], tuple[Program, Program]]]] = {
    "dials and sends": _dial_and_send,
    "dials and receives": _dial_and_receive,
    "answers and receives": _answer_and_receive,
    "joins and sends": _join_and_send,
    "joins and receives": _join_and_receive,
}
"What `a` does."


PAGES: Final = ("page dials and receives", "page dials and sends", "page stays, a sends")
"The browser is on `a`, or on `b`, which then made the first of two codes."


def story(kind: str, event: str, seconds: float, folder: Path, browser: str = "chromium") -> Story:
    """Run a transfer with an outage of *seconds*; return its result."""
    size = int(_LONG * seconds) if event == "rebinding" else _SIZE
    film = random_file(folder / "film", size)
    with Lab("restricted-public", rate=_RATE) as lab:
        if kind in PAGES:
            return asyncio.run(_page_story(lab, kind, event, seconds, film, browser))
        a, b = KINDS[kind](lab, film, folder / "out")
        watched = b if kind.endswith("sends") else a
        start, slow = _happen(lab, watched, event, seconds, a, b)
        story = _story((a, b), watched, start, seconds, slow)
        if story.statuses == (0, 0):
            assert (folder / "out" / film.name).read_bytes() == film.read_bytes()
        return story


async def _page_story(
    lab: Lab, kind: str, event: str, seconds: float, film: Path, browser: str
) -> Story:
    stays, sends = kind == "page stays, a sends", kind == "page dials and sends"
    async with page_on(lab, film.parent, browser, host=lab.b if stays else lab.a) as page:
        if stays:
            sender = await answered(lab, page, film)
        elif sends:
            sender = await asyncio.to_thread(lab.receive, lab.b, "", film.parent / "out")
            link = (await asyncio.to_thread(sender.event, "code"))["link"]
            await page.open(from_disk(film.parent, link))
        else:
            sender = await asyncio.to_thread(lab.send, lab.b, film)
            link = (await asyncio.to_thread(sender.event, "code"))["link"]
            await page.open(from_disk(film.parent, link))
        if sends:
            await page.choose(film)
            await page.tab.click("#send")
        else:
            await page.accept("memory")
        mover = sender if stays else _Processes(page.tab.browser)
        start, slow = await asyncio.to_thread(_happen, lab, sender, event, seconds, mover, sender)
        state = await page.until("done", "failed", timeout=_PATIENCE)
        shown = (f"page: {await page.text('#problem')}",) if state == "failed" else ()
        story = await asyncio.to_thread(_story, (sender,), sender, start, seconds, slow)
        done = 0 if state == "done" else 1
        statuses = (story.statuses[0], done) if stays else (done, story.statuses[0])
        return replace(story, statuses=statuses, said=story.said + shown)


def _happen(
    lab: Lab,
    watched: Program,
    event: str,
    seconds: float,
    program: Program | _Processes,
    other: Program,
) -> tuple[float, float]:
    """Wait until the transfer is in progress, and cause the outage.

    Returns:
        Its begin, and how slow the machine was at its end.
    """
    watched.until(_has_come, f"{_BEFORE} bytes", _PATIENCE)
    start = time.monotonic()
    with EVENTS[event](lab, program, other):
        # The length of the outage is the subject of the test.
        time.sleep(seconds)
    return start, _slowness()


def _slowness() -> float:
    with _measuring:
        return slowness()


def _story(
    programs: Sequence[Program], watched: Program, start: float, seconds: float, slow: float
) -> Story:
    """Wait for the end of each program; *start* and *slow* are those of `_happen`."""
    statuses: list[int | None] = []
    for program in programs:
        try:
            statuses.append(program.process.wait(_PATIENCE))
        except subprocess.TimeoutExpired:
            statuses.append(None)
    said = (
        f"{program.at(event) - start:.1f} s: {event['message']}"
        for program in programs
        for event in program.so_far("error")
    )
    return Story(
        (statuses[0], statuses[-1]),
        _stall(watched, start),
        _share(watched, start, seconds),
        tuple(said),
        max(slow, _slowness()),
    )


def _has_come(event: Event) -> bool:
    return event["event"] == "progress" and int(event["bytes"]) >= _BEFORE


def _share(watched: Program, start: float, seconds: float) -> float:
    """Return `Story.share`."""
    steps = watched.steps()
    before = max((size for when, size in steps if when <= start), default=0)
    after = [(when, size) for when, size in steps if start < when <= start + seconds]
    if not after:
        return 0.0
    when, size = after[-1]
    if size < steps[-1][1]:
        when = start + seconds
    return (size - before) / (when - start) / (_RATE / 8)


def _stall(receiver: Program, start: float) -> float:
    """Return the longest time without progress from *start* to the last progress."""
    times, most = [start], 0
    for when, size in receiver.steps():
        if size > most and when > start:
            times.append(when)
        most = max(most, size)
    return max((b - a for a, b in itertools.pairwise(times)), default=0.0)
