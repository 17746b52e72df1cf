"""Measure short codes in every network, and write their section of docs/networks.md.

    python -m tests.lab.short_codes [TOPOLOGY...]

With names it measures these topologies only, and prints instead of writing. `make lab` includes it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.lab import DISTANT, TOPOLOGIES, Lab
from tests.lab.ways import STUN, Attempt, Outcome, short_code, two_codes
from tests.support import netns

__all__ = ["HEADING", "LOCAL", "ROUTES", "relayed", "section"]

HEADING: Final = "## Short codes between two terminals"
_REPORT: Final = Path(__file__).resolve().parents[2] / "docs" / "networks.md"
_AT_ONCE: Final = 2
"Topologies that are measured at the same time."
_LIMIT: Final = 20.0
"Seconds within which both sides have connected, or have reported why they have not."

LOCAL: Final = (
    *("lan", "lan-dual", "lan-v6", "lan-hostfw", "lan-hostfws", "lan-offline", "lan-deadnet"),
    *("lan-second", "isolation", "vpn-exit", "vpn-kill"),
)
"Topologies whose hosts are in one network."

_NO_INTERNET: Final = ("lan-offline", "lan-deadnet")
"Topologies whose hosts reach no server."

ROUTES: Final[Mapping[str, str]] = {
    "direct IPv4": "d4",
    "direct IPv6": "d6",
    "relayed IPv4": "r4",
    "relayed IPv6": "r6",
}
"How the table writes what a terminal reports."

_KINDS: Final = ("udp", "tcp", "tls", "tls443")
"Transports to a relay, which are compared where nothing but a relay connects."

Cell = tuple[str, Sequence[str]]
"What goes into the table, and what was said, if it did not connect."


def main() -> None:
    """Measure the networks on the command line, or all."""
    if lacking := netns.missing():
        raise SystemExit(lacking)
    for name in [name for name in os.environ if name.startswith("DCSEND_")]:
        del os.environ[name]
    os.environ["DCSEND_NO_PAGE"] = "1"
    text = section(sys.argv[1:] or list(TOPOLOGIES))
    if sys.argv[1:]:
        sys.stdout.write(text)
        return
    before = _REPORT.read_text(encoding="utf-8")
    pattern = rf"^{re.escape(HEADING)}\n.*?(?=^## (?!#)|\Z)"
    _REPORT.write_text(
        re.sub(pattern, lambda _: f"{text}\n", before, flags=re.MULTILINE | re.DOTALL),
        encoding="utf-8",
    )


_WAYS: Final = ("two codes", "short code", "short code and a relay", "short code without a server")


def section(names: Sequence[str]) -> str:
    """Measure topologies; return the section about them."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = dict(zip(names, pool.map(_row, names), strict=True))
        kinds = dict(zip(_KINDS, pool.map(_by_relay, _KINDS), strict=True))
    lines = [
        HEADING,
        "",
        "Milliseconds from the start of `dcsend receive CODE` until both sides have reported a "
        "connection, and the route: d4, d6 direct over IPv4 or IPv6, r4 relayed. The rendezvous",
        "server has port 443; its round trip is 60 ms from a and 70 ms from b, that from a to b "
        "is 50 ms. Where no server can be reached (–), a short code works by mDNS. The modules of "
        "dcsend are loaded, as",
        "at a prompt. *Two codes* is the same network in the same run, pasted at once: short codes "
        "connect directly where these do. `python -m tests.lab.short_codes lan` measures one "
        "network.",
        "",
        "| network | |" + "|".join(f" {way} " for way in _WAYS) + "|",
        "|---|---" + "|---" * len(_WAYS) + "|",
    ]
    for name, row in rows.items():
        shown = " | ".join(what for what, _ in row)
        lines.append(f"| {name} | {TOPOLOGIES[name].about} | {shown} |")
    found = "; ".join(f"{kind} {what}" for kind, (what, _) in kinds.items())
    lines += ["", f"By transport to the relay, in symmetric-symmetric: {found}.", ""]
    lines += ["Messages where no connection is made, with the seconds after the start:", ""]
    for name, row in rows.items():
        for way, (_, said) in zip(_WAYS, row, strict=True):
            lines += [f"* {name}, {way}: {one}" for one in said]
    return "\n".join(lines) + "\n"


def relayed(lab: Lab, folder: Path, kind: str, *options: str) -> Attempt:
    """Connect by a short code, with a relay of *kind* for both sides."""
    servers = [STUN, lab.relay(kind)]
    return short_code(lab, folder, a=servers, b=servers, options=options)


def _row(name: str) -> list[Cell]:
    relay = TOPOLOGIES[name].relay
    has_server = name not in _NO_INTERNET
    cells: list[Cell] = []
    for way in (
        two_codes,
        short_code if has_server else None,
        (lambda lab, folder: relayed(lab, folder, relay)) if has_server else None,
        (lambda lab, folder: short_code(lab, folder, server=False)) if name in LOCAL else None,
    ):
        cells.append(_tried(name, way) if way else ("–", ()))
        _note(f"{name}, {_WAYS[len(cells) - 1]}: {cells[-1][0]} {'; '.join(cells[-1][1])}")
    return [(cells[0][0], ()), *cells[1:]]


def _by_relay(kind: str) -> Cell:
    return _tried("symmetric-symmetric", lambda lab, folder: relayed(lab, folder, kind))


def _tried(name: str, way: Callable[[Lab, Path], Attempt]) -> Cell:
    try:
        with tempfile.TemporaryDirectory() as folder, Lab(name, delays=DISTANT) as lab:
            return _cell(way(lab, Path(folder)).outcome(_LIMIT))
    except (AssertionError, OSError, RuntimeError, TimeoutError) as exc:
        return "?", [f"not measured: {exc!r:.200}"]


def _cell(outcome: Outcome) -> Cell:
    if outcome.seconds is None:
        return "✗", [said for said in outcome.said if not re.match(r". -", said)]
    routes = "/".join(ROUTES[route] for route in dict.fromkeys(outcome.routes))
    return f"{1000 * outcome.seconds:.0f} {routes}", ()


_printing = threading.Lock()


def _note(line: str) -> None:
    with _printing:
        sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
