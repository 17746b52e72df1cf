"""Measure short codes in every network, and write their section of docs/networks.md.

    python -m tests.lab.short_codes [TOPOLOGY...]

With names it measures these topologies only, and prints instead of writing. `make lab` includes it.
"""

from __future__ import annotations

import asyncio
import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.lab import DISTANT, TOPOLOGIES, Lab
from tests.lab.page_codes import PageCodes, between_pages, entered_in_page, shown_by_page
from tests.lab.pages import page_on
from tests.lab.results import Results, write
from tests.lab.ways import STUN, Attempt, Outcome, short_code, two_codes
from tests.support import netns
from tests.support.bidi import BidiError

__all__ = ["HEADING", "LOCAL", "NO_SERVER", "ROUTES", "relayed", "section"]

HEADING: Final = "## Short codes"
_AT_ONCE: Final = 2
"Topologies that are measured at the same time."
_LIMIT: Final = 20.0
"Seconds within which both sides have connected, or have reported why they have not."

LOCAL: Final = (
    *("lan", "lan-dual", "lan-v6", "lan-hostfw", "lan-hostfws", "lan-offline", "lan-deadnet"),
    *("lan-second", "isolation", "vpn-exit", "vpn-kill"),
)
"Topologies whose hosts are in one network."

NO_SERVER: Final = ("lan-offline", "lan-deadnet", "lan-second")
"Topologies in which `a` reaches no server."

ROUTES: Final[Mapping[str, str]] = {
    "direct IPv4": "d4",
    "direct IPv6": "d6",
    "relayed IPv4": "r4",
    "relayed IPv6": "r6",
    "direct": "d",
    "relayed": "r",
}
"""How the table writes what is reported; a page shows no family if it has only a name of mDNS
of the other side."""

_RELAY_ROWS: Final = (
    ("symmetric-symmetric", "tcp"),
    ("symmetric-symmetric", "tls"),
    ("symmetric-symmetric", "tls443"),
)
"Transports to a relay, besides that of each topology."

_PAIRS: Final = ("Chromium", "Firefox", "Chromium and Firefox")
"The browsers of each column with a page; one alone: with a terminal on `a`."

Cell = list[Any]
"What goes into the table, and what was said, if it did not connect."

_Work = Callable[[PageCodes], Coroutine[Any, Any, Outcome]]

_UNMEASURED: Final = (
    *(AssertionError, OSError, RuntimeError, TimeoutError, BidiError),
    *(pytest.fail.Exception, pytest.skip.Exception),
)


def main() -> None:
    """Measure the networks on the command line, or all."""
    if lacking := netns.missing():
        raise SystemExit(lacking)
    for name in [name for name in os.environ if name.startswith("DCSEND_")]:
        del os.environ[name]
    os.environ["DCSEND_NO_PAGE"] = "1"
    if names := sys.argv[1:]:
        sys.stdout.write(section(names, Results(None)))
    else:
        write(HEADING, section(list(TOPOLOGIES), Results()))


def section(names: Sequence[str], results: Results) -> str:
    """Measure topologies; return the section about them."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = dict(zip(names, pool.map(lambda name: _row(results, name), names), strict=True))
        kinds = [row for row in _RELAY_ROWS if row[0] in names]
        more = dict(zip(kinds, pool.map(lambda row: _relay_row(results, *row), kinds), strict=True))
    tables = [(name, *rows[name]) for name in names]
    relays = [(name, TOPOLOGIES[name].relay, relay) for name, _, relay, _ in tables]
    relays += [(name, kind, row) for (name, kind), row in more.items()]
    lines = [HEADING, "", *_INTRODUCTION, results.conditions(("codes ",)), ""]
    lines += _table(("network", "", *_WAYS), [(n, TOPOLOGIES[n].about, r) for n, r, _, _ in tables])
    lines += ["", "### With a relay", "", *_ABOUT_RELAYS, ""]
    lines += _table(("network", "relay over", *_WAYS[1:]), relays)
    lines += ["", "### Without a server, in one network", "", *_ABOUT_LOCAL, ""]
    local = [(name, TOPOLOGIES[name].about, row) for name, _, _, row in tables if row]
    lines += _table(("network", "", *_LOCAL_WAYS), local)
    lines += ["", "### Messages of short codes", "", *_ABOUT_MESSAGES, ""]
    for name, without, relay, alone in tables:
        lines += _messages(name, _WAYS[1:], without[1:])
        lines += _messages(f"{name}, with a relay", _WAYS[1:], relay)
        lines += _messages(f"{name}, without a server", _LOCAL_WAYS, alone)
    return "\n".join(lines) + "\n"


_WAYS: Final = (
    *("two codes", "two terminals", "terminal and Chromium", "terminal and Firefox"),
    "Chromium and Firefox",
)
_LOCAL_WAYS: Final = ("two terminals", "terminal and Chromium", "terminal and Firefox")

_INTRODUCTION: Final = (
    "Milliseconds from entering the code until both sides show that they are connected, and the "
    "route: d4, d6 direct over IPv4 or IPv6, r4 relayed; d is direct, between two pages that",
    "know each other by names of mDNS only. ✗: the seconds after which the last side has reported "
    "why there is no connection. A code is entered by the start of `dcsend receive CODE`, whose",
    "modules are loaded, as at a prompt, or by the click in a page. With a page, the first number "
    "is for a code that is shown on a and entered on b, the second for one that is shown on b and",
    "entered on a. The terminal, or Firefox, is on a, which sends. *Two codes* are two terminals "
    "whose last code is pasted at once: short codes connect directly where these do.",
    "",
    "The rendezvous server is the stock mailbox server, at a `wss:` URL on port 443. The page is a "
    "copy on an https server, with that server written into it (`dcsend page --server`). Round",
    "trips to both take 60 ms from a and 70 ms from b, from a to b 50 ms. Their certificates are "
    "of an authority that terminals get by `SSL_CERT_FILE` and browsers in their profile.",
    "The browsers are headless and have their default settings for WebRTC and networks. Servers "
    "have addresses of documentation (203.0.113.0/24, 2001:db8::/32), which Chromium treats as",
    "public, and IPv4 LANs have private ones: as in real networks, the page needs no permission "
    "for the local network (Local Network Access), and no flag changes that.",
    "",
    "In lan-offline, lan-deadnet and lan-second, a reaches no server: there the columns with a "
    "terminal are those without a server, and two pages use a rendezvous server and a web server",
    "on a third host of the LAN, both without TLS; the relay is there, too. `python -m "
    "tests.lab.short_codes lan` measures one network.",
    "",
)
_ABOUT_RELAYS: Final = (
    "Both sides have named coturn: `--ice-server`, or *Servers* in the page. A relay is used only "
    "where there is no direct path.",
)
_ABOUT_LOCAL: Final = (
    "Terminals find each other by mDNS. A browser has opened the page that the terminal serves "
    "(the link without its fragment), and the code is entered there.",
)
_ABOUT_MESSAGES: Final = ("With the seconds after the code was entered.",)


def relayed(lab: Lab, folder: Path, kind: str, *options: str, server: bool = True) -> Attempt:
    """Connect by a short code, with a relay of *kind* for both sides.

    Without a rendezvous server, the relay is in the LAN.
    """
    servers = [STUN, lab.relay(kind) if server else lab.local_relay(kind)]
    return short_code(lab, folder, server=server, a=servers, b=servers, options=options)


# --- rows


def _row(results: Results, name: str) -> tuple[list[Cell], list[Cell], list[Cell]]:
    """Return the cells without a relay, those with one, and those without a server."""
    relay = TOPOLOGIES[name].relay
    offline = name in NO_SERVER
    has_server = not offline

    def terminals(what: str, way: Callable[[Lab, Path], Attempt]) -> Cell:
        return results.cell(f"codes {name}, {what}", lambda: _tried(name, way))

    def pages(what: str, pair: str, kind: str, *, server: bool = has_server) -> Cell:
        key = f"codes {name}, {what}, {pair}"
        return results.cell(key, lambda: _with_pages(name, pair, kind, server=server))

    without = [terminals("two codes", two_codes)]
    named, alone = [], []
    if name in LOCAL:
        alone = [terminals("no server", lambda lab, f: short_code(lab, f, server=False))]
        alone += [pages("no server", pair, "", server=False) for pair in _PAIRS[:2]]
    if offline:
        without += [*alone, pages("no relay", _PAIRS[2], "")]
        named = [terminals("relay", lambda lab, f: relayed(lab, f, relay, server=False))]
    else:
        without += [terminals("no relay", short_code)]
        without += [pages("no relay", pair, "") for pair in _PAIRS]
        named = [terminals("relay", lambda lab, f: relayed(lab, f, relay))]
    named += [pages("relay", pair, relay) for pair in _PAIRS]
    return without, named, alone


def _relay_row(results: Results, name: str, kind: str) -> list[Cell]:
    """Return the cells of one more transport to a relay."""
    start = f"codes {name}, relay over {kind}"

    def pages(pair: str) -> Cell:
        work = functools.partial(_with_pages, name, pair, kind, server=True)
        return results.cell(f"{start}, {pair}", work)

    terminals = results.cell(start, lambda: _tried(name, lambda lab, f: relayed(lab, f, kind)))
    return [terminals, *map(pages, _PAIRS)]


def _tried(name: str, way: Callable[[Lab, Path], Attempt]) -> Cell:
    try:
        with tempfile.TemporaryDirectory() as folder, Lab(name, delays=DISTANT) as lab:
            return _cell([way(lab, Path(folder)).outcome(_LIMIT)])
    except _UNMEASURED as exc:
        return ["?", [f"not measured: {exc!r:.300}"]]


def _with_pages(name: str, pair: str, kind: str, *, server: bool) -> Cell:
    """Measure one cell with pages: both directions, in one laboratory."""
    try:
        with tempfile.TemporaryDirectory() as folder, Lab(name, delays=DISTANT) as lab:
            relay = lab.relay if server else lab.local_relay
            ice = [STUN, relay(kind)] if kind else []
            url, link = "", ""
            if server:
                url = lab.rendezvous()
                link = lab.hosted_page(url)
            elif pair == _PAIRS[2]:
                url, link = lab.local_servers()
            codes = PageCodes(lab, Path(folder), link, url, ice)
            return _cell(asyncio.run(_attempts(codes, pair)))
    except _UNMEASURED as exc:
        return ["?", [f"not measured: {exc!r:.300}"]]


async def _attempts(codes: PageCodes, pair: str) -> list[Outcome]:
    lab, folder = codes.lab, codes.folder
    if pair == _PAIRS[2]:
        async with (
            page_on(lab, folder, "firefox", lab.a) as one,
            page_on(lab, folder, "chromium", lab.b) as other,
        ):
            return [
                await between_pages(codes, one, other, sends=True),
                await between_pages(codes, other, one, sends=False),
            ]
    async with page_on(lab, folder, pair.lower()) as page:
        outcomes = [await entered_in_page(codes, page)]
        if codes.link:
            outcomes.append(await shown_by_page(codes, page))
        return outcomes


# --- text


def _cell(outcomes: Sequence[Outcome]) -> Cell:
    shown, said = [], []
    for outcome in outcomes:
        if outcome.seconds is None:
            notes = outcome.reported
            after = [
                float(found[1]) for one in notes for found in re.finditer(r"([\d.]+) s: ", one)
            ]
            shown.append(f"✗ {max(after):.0f} s" if after else "✗")
            said += notes
            continue
        routes = list(dict.fromkeys(ROUTES[route] for route in outcome.routes))
        # A family that one page does not show, the other one does.
        known = {route[0] for route in routes if len(route) > 1}
        routes = [route for route in routes if len(route) > 1 or route not in known]
        shown.append(f"{1000 * outcome.seconds:.0f} {'/'.join(routes)}")
    return [" · ".join(shown), said]


def _table(head: Sequence[str], rows: Sequence[tuple[str, str, Sequence[Cell]]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, about, cells in rows:
        lines.append(f"| {name} | {about} | {' | '.join(shown for shown, _ in cells)} |")
    return lines


def _messages(start: str, ways: Sequence[str], cells: Sequence[Cell]) -> list[str]:
    return [
        f"* {start}, {way}: {one}"
        for way, (_, said) in zip(ways, cells, strict=False)
        for one in said
    ]


if __name__ == "__main__":
    main()
