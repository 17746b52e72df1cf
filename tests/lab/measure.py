"""Measure every network and every outage, and write docs/networks.md: `make lab`, two hours.

    python -m tests.lab.measure [PART | TOPOLOGY...]

A part is `networks`, `codes` (short codes) or `outages`; each is written when it is complete. An
interrupted run continues where it stopped (`results`). With topologies it measures these only,
and prints instead of writing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.lab import DISTANT, TOPOLOGIES, Lab, short_codes
from tests.lab.outages import EVENTS, KINDS, PAGES, story
from tests.lab.pages import dial_with_page, page_on, two_codes_with_page
from tests.lab.results import Results, write
from tests.lab.ways import STUN, Attempt, dial, two_codes
from tests.support import netns

_PARTS: Final = ("networks", "codes", "outages")
_AT_ONCE: Final = 4
"Topologies that are measured at the same time; outages, which only wait, are twice as many."
_BUSY: Final = 2
"Outages at the same time of which the rate is measured."
_PAUSE: Final = 8.0
"Seconds before the last code is pasted."
_LENGTHS: Final[Mapping[str, Sequence[float]]] = {
    "forgotten": (0,),
    "silent": (5, 10, 15, 20, 25, 40, 120),
    "down": (5, 20, 60, 120),
    "asleep": (20, 60),
    "other asleep": (60,),
    "away": (40,),
    "another port": (0,),
    "another address": (0,),
    "another network": (0,),
    "both moved": (0,),
    "rebinding": (60,),
}
"Seconds of each kind of outage."

Cell = Sequence[str]
"What goes into the table, and what was said, if it did not connect."


def main() -> None:
    """Measure the networks on the command line, or all."""
    if lacking := netns.missing():
        raise SystemExit(lacking)
    # The environment may contain other settings.
    for name in [name for name in os.environ if name.startswith("DCSEND_")]:
        del os.environ[name]
    os.environ["DCSEND_NO_PAGE"] = "1"
    names = sys.argv[1:] or list(_PARTS)
    results = Results()
    if not set(names) <= set(_PARTS):
        sys.stdout.write(_networks(names, Results(None)))
        return
    if "networks" in names:
        write("# What connects in which network", _networks(list(TOPOLOGIES), results))
    if "codes" in names:
        write(short_codes.HEADING, short_codes.section(list(TOPOLOGIES), results))
    if "outages" in names:
        write("## Outages during a transfer", _outages(results))


# --- networks

_WAYS: Final = (
    *("dial: a listens", "dial: b listens", "two codes", "two codes and a relay"),
    *("page, dial", "page, two codes"),
)


def _topology(name: str, results: Results) -> list[Cell]:
    """Measure all ways of connecting in one network, each in a separate laboratory."""
    relay = TOPOLOGIES[name].relay
    ways: tuple[Callable[[Lab, Path], Cell], ...] = (
        lambda lab, folder: _outcome(dial(lab, "a", folder)),
        lambda lab, folder: _outcome(dial(lab, "b", folder)),
        lambda lab, folder: _outcome(two_codes(lab, folder, pause=_PAUSE)),
        lambda lab, folder: _outcome(_relayed(lab, folder, relay)),
        lambda lab, folder: asyncio.run(_page(lab, folder, codes=False)),
        lambda lab, folder: asyncio.run(_page(lab, folder, codes=True)),
    )
    return [
        results.cell(f"networks {name}, {what}", lambda way=way: _tried(name, way))  # type: ignore[misc]
        for what, way in zip(_WAYS, ways, strict=True)
    ]


def _tried(name: str, way: Callable[[Lab, Path], Cell]) -> Cell:
    try:
        with tempfile.TemporaryDirectory() as folder, Lab(name, delays=DISTANT) as lab:
            return way(lab, Path(folder))
    except (AssertionError, OSError, RuntimeError, TimeoutError) as exc:
        return "?", f"not measured: {exc!r:.200}"


def _relayed(lab: Lab, folder: Path, kind: str) -> Attempt:
    servers = [STUN, lab.relay(kind)]
    return two_codes(lab, folder, pause=_PAUSE, a=servers, b=servers)


def _outcome(attempt: Attempt) -> Cell:
    outcome = attempt.outcome(90.0)
    if outcome.seconds is None:
        return "✗", "; ".join(outcome.said)
    return f"{outcome.seconds:.2f} {' / '.join(dict.fromkeys(outcome.routes))}", ""


async def _page(lab: Lab, folder: Path, *, codes: bool) -> Cell:
    async with page_on(lab, folder) as page:
        if codes:
            shown = await two_codes_with_page(lab, page, folder, pause=_PAUSE)
        else:
            shown = await dial_with_page(lab, page, folder)
    return (f"{shown.seconds:.2f}", "") if shown.seconds is not None else ("✗", shown.said)


def _networks(names: Sequence[str], results: Results) -> str:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = pool.map(lambda name: _topology(name, results), names)
        cells = dict(zip(names, rows, strict=True))
    lines = [
        "# What connects in which network",
        "",
        "Measured by `make lab`, several networks at the same time. Hosts are network",
        "namespaces; address translation and firewalls are nftables. The one-way delay of the link "
        "of a is 10 ms, of b 15 ms, of the server 20 ms.",
        "Numbers are seconds from the last action of a person: starting the program that dials, "
        "pasting the last code (after 8 s), opening the",
        "link. They include the start of Python or of the page where one dials. "
        "`python -m tests.lab.measure lan` measures one network.",
        results.conditions(("networks ",)),
        "",
        "| network | |" + "|".join(f" {way} " for way in _WAYS) + "|",
        "|---|---" + "|---" * len(_WAYS) + "|",
    ]
    for name, row in cells.items():
        shown = " | ".join(what for what, _ in row)
        lines.append(f"| {name} | {TOPOLOGIES[name].about} | {shown} |")
    lines += ["", "## Messages where no connection is made", ""]
    for name, row in cells.items():
        for way, (_, said) in zip(_WAYS, row, strict=True):
            if said:
                lines.append(f"* {name}, {way}: {said}")
    return "\n".join(lines) + "\n"


# --- outages


def _outages(results: Results) -> str:
    kinds = (*KINDS, *PAGES)
    cases = [
        (kind, event, seconds)
        for event in EVENTS
        for seconds in _LENGTHS[event]
        for kind in kinds
        if _is_possible(kind, event)
    ]
    became: dict[tuple[str, str, float], str] = {}
    for is_busy, at_once in ((False, 2 * _AT_ONCE), (True, _BUSY)):
        some = [case for case in cases if (case[1] == "rebinding") is is_busy]
        with ThreadPoolExecutor(at_once) as pool:
            became.update(zip(some, pool.map(lambda case: _kept(results, case), some), strict=True))
    lines = [
        "## Outages during a transfer",
        "",
        "Host a is behind NAT, b has a public address; 8 Mbit/s. Numbers are seconds without "
        "progress. *silent*: all packets are lost; *down*: the interface of a is switched off; "
        "*asleep*: the program on a is stopped, *other asleep*: that on b; *away*: a has no "
        "network, and then another one; *both moved*: both get another address at once;",
        "*forgotten*: the NAT loses its table and then assigns the same ports; *another port*: it "
        "assigns others; *rebinding*: it does so every 5 s, and the number is the rate in "
        "this time as a part of that of the link, with two transfers at a time.",
        results.conditions(("outages ",)),
        "",
        "| event |"
        + "|".join(f" a {kind} " for kind in KINDS)
        + "|"
        + "|".join(f" {kind} " for kind in PAGES)
        + "|",
        "|---" + "|---" * len(kinds) + "|",
    ]
    for event in EVENTS:
        for seconds in _LENGTHS[event]:
            shown = " | ".join(became.get((kind, event, seconds), "") for kind in kinds)
            length = f" {seconds:g} s" if seconds else ""
            lines.append(f"| {event}{length} | {shown} |")
    return "\n".join(lines) + "\n"


def _is_possible(kind: str, event: str) -> bool:
    """Return whether a transfer can survive an event."""
    if event == "both moved":
        return kind.startswith("joins")
    return kind in KINDS or event != "other asleep"


def _kept(results: Results, case: tuple[str, str, float]) -> str:
    kind, event, seconds = case
    return results.cell(f"outages {event} {seconds:g} s, {kind}", lambda: _outage(case))


def _outage(case: tuple[str, str, float]) -> str:
    try:
        with tempfile.TemporaryDirectory() as folder:
            became = story(*case, Path(folder))
    except (AssertionError, OSError, RuntimeError, TimeoutError) as exc:
        return f"? not measured: {exc!r:.200}"
    if became.statuses == (0, 0) and case[1] == "rebinding":
        return f"{became.share:.0%}"
    if became.statuses == (0, 0):
        return f"{became.stall:.1f}"
    said = " ".join("; ".join(became.said[-2:]).split())  # a message of the page has several lines
    return f"✗ {said}"


if __name__ == "__main__":
    main()
