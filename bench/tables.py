"""The tables of docs/performance.md, one function per part: JSON in, lines of Markdown out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from bench.results import Spread

__all__ = ["PARTS", "Part", "rates", "ratio"]

Part = Mapping[str, Any]
"The content of one JSON file."

OURS: Final = "dcsend"


def rates(results: Sequence[Part]) -> list[float]:
    """Return the rate of each, in MB/s; 0 where nothing arrived."""
    return [one["bytes"] / one["seconds"] / 1e6 if one["seconds"] else 0.0 for one in results]


def ratio(row: Part, other: str, ours: str = OURS) -> str:
    """Return the median over the rounds of *ours* divided by *other*, as text; a dash for none."""
    pairs = zip(rates(row["results"].get(ours, [])), rates(row["results"][other]), strict=False)
    quotients = [mine / theirs for mine, theirs in pairs if theirs]
    return f"{statistics.median(quotients):.2f}" if quotients else "–"


def table(heads: Sequence[str], lines: Sequence[Sequence[object]]) -> list[str]:
    """Return a Markdown table; its first column is text, the others are numbers."""
    return [
        f"| {' | '.join(heads)} |",
        f"|---|{'--:|' * (len(heads) - 1)}",
        *(f"| {' | '.join(map(str, line))} |" for line in lines),
        "",
    ]


def _costs(results: Sequence[Part]) -> list[str]:
    """Return processor seconds per GB and peak memory of both sides, as cells."""
    cells = []
    for side in ("sender", "receiver"):
        there = [one for one in results if one[side] and one["bytes"]]
        each = [one[side]["cpu_seconds"] / one["bytes"] * 1e9 for one in there]
        peak = max((one[side]["peak_rss"] for one in there), default=0) / 2**20
        cells.append((f"{statistics.median(each):.1f}", f"{peak:.0f}") if there else ("–", "–"))
    return [" / ".join(pair) for pair in zip(*cells, strict=True)]


def _compared(row: Part) -> list[str]:
    """Return the table of one row with all programs in it."""
    share = bool(row["bottleneck"])
    heads = ["", "sent, MB", "MB/s", "dcsend is × this"]
    heads += ["share of the line"] if share else []
    heads += ["CPU s/GB, sender / receiver", "peak MiB, sender / receiver", "done"]
    lines = []
    for name, results in row["results"].items():
        spread = Spread.of(rates(results))
        done = f"{sum(one['complete'] for one in results)} of {len(results)}"
        cells = [name, row["megabytes"].get(name, "–"), spread, ratio(row, name)]
        cells += [f"{spread.median / row['bottleneck']:.2f}"] if share else []
        lines.append([*cells, *_costs(results), done])
    return table(heads, lines)


def _throughput(part: Part) -> Iterator[str]:
    for row in part["rows"]:
        yield from _compared(row)


def _paths(part: Part) -> Iterator[str]:
    rows = part["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["results"]))
    lines = []
    for row in rows:
        medians = {n: Spread.of(rates(r)).median for n, r in row["results"].items()}
        cells = [f"{medians[n]:.2f}" if n in medians else "–" for n in names]
        share = medians.get(OURS, 0.0) / row["bottleneck"] if row["bottleneck"] else 0.0
        lines.append([row["title"], *cells, f"{share:.2f}"])
    yield from table(["MB/s", *names, "dcsend's share of the line"], lines)
    for row in rows:
        yield f"**{row['title']}**"
        yield ""
        yield from _compared(row)


def _uplink(part: Part) -> Iterator[str]:
    (row,) = part["rows"]
    yield from _compared(row)
    yield "Round trips of small datagrams beside it, in milliseconds; medians over the rounds."
    yield ""
    lines = []
    for name, rounds in row["extra"].items():

        def middle(key: str, rounds: Sequence[Part] = rounds) -> float:
            return float(statistics.median(one[key] for one in rounds))

        idle = middle("idle_ms")
        added = (middle("busy_ms") - idle, middle("busy_95_ms") - idle)
        cells = [name, f"{idle:.0f}", f"{middle('busy_ms'):.0f}", f"{middle('busy_95_ms'):.0f}"]
        cells += [f"{added[0]:.0f}", f"{added[1]:.0f}", f"{middle('lost') * 100:.1f} %"]
        lines.append(cells)
    heads = ["", "idle", "busy", "busy, 95 %", "added", "added, 95 %", "lost"]
    yield from table(heads, lines)


def _fairness(part: Part) -> Iterator[str]:
    lines = []
    for row in part["rows"]:
        for name, rounds in row["extra"].items():
            first, later = (
                Spread.of(one["ours"] for one in rounds if (one["after"] > 0) is leads)
                for leads in (True, False)
            )
            cells = [Spread.of(one[key] for one in rounds) for key in ("ours", "theirs", "used")]
            lines.append([f"{name} {row['title']}", *cells, first, later])
    heads = ["share of the line", "its own", "TCP's", "both", "its own, there first", "and later"]
    yield from table(heads, lines)


def _browsers(part: Part) -> Iterator[str]:
    for row in part["rows"]:
        yield f"**{row['title']}**"
        yield ""
        yield from _compared(row)
        for large in row["extra"].get(OURS, []):
            yield (
                f"At {large['gigabytes']:g} GB the tab's process had at most "
                f"{large['tab_peak'] / 2**20:.0f} MiB, at {large['rate']:.1f} MB/s."
            )
            yield ""


def _uploads(part: Part) -> Iterator[str]:
    lines = []
    for row in part["rows"]:
        for name, results in row["results"].items():
            spread = Spread.of(rates(results))
            share = f"{spread.median / row['bottleneck']:.2f}" if row["bottleneck"] else "–"
            done = f"{sum(one['complete'] for one in results)} of {len(results)}"
            added = [
                Spread.of(one[busy] - one["idle_ms"] for one in row["extra"][name])
                for busy in ("busy_ms", "busy_95_ms")
            ]
            cells = [f"{row['title']}: {name}", row["megabytes"][name], spread, share]
            lines.append([*cells, *(round(one.median) for one in added), *_costs(results), done])
    heads = ["", "sent, MB", "MB/s", "share of the line", "added, ms", "added, 95 %, ms"]
    yield from table([*heads, *_COSTS, "done"], lines)


def _small(part: Part) -> Iterator[str]:
    (row,) = part["rows"]
    lines = []
    medians: dict[str, list[float]] = {}
    for name, results in row["results"].items():
        done = [one for one in results if one["complete"]]
        transfer = Spread.of(one["seconds"] for one in done)
        command = Spread.of(one["receiver"]["elapsed"] for one in done)
        medians[name] = [transfer.median, command.median]
        lines.append([name, transfer, command, Spread.of(rates(results)), *_costs(results)])
    heads = [row["title"], "transfer, s", "whole `dcsend receive`, s", "MB/s", *_COSTS]
    yield from table(heads, lines)
    pairs = zip(medians["many files"], medians["one file"], strict=True)
    times = [f"{many / one:.2f}" if one else "–" for many, one in pairs]
    yield (
        f"From the start of the command to its end, many files take {times[1]} times as long as "
        f"one of the same bytes; {times[0]} times from the accepted manifest to the last verdict."
    )
    yield ""


def _sizes(part: Part) -> Iterator[str]:
    lines = []
    for row in part["rows"]:
        results = row["results"][OURS]
        done = f"{sum(one['complete'] for one in results)} of {len(results)}"
        lines.append([row["title"], Spread.of(rates(results)), *_costs(results), done])
    yield from table(["", "MB/s", *_COSTS, "done"], lines)


def _flood(part: Part) -> Iterator[str]:
    lines = []
    for row in part["rows"]:
        to_it, closed = (rates(row["results"][port]) for port in ("its port", "a closed port"))
        both = Spread.of(to_it), Spread.of(closed)
        left = f"{both[0].median / both[1].median:.2f}" if both[1].median else "–"
        lines.append([_FLOODS[row["title"]], *both, left])
    arguments = part["arguments"]
    yield (
        f"{arguments['rate']:g} packets a second to the {arguments['at']}, "
        f"{arguments['megabytes']} MB."
    )
    yield ""
    yield from table(["MB/s beside", "to its port", "to a closed port", "left"], lines)


def _startup(part: Part) -> Iterator[str]:
    said = {
        "send": "`dcsend send` until its code is printed",
        "receive": "`dcsend receive` until its code is printed",
        "asyncio": "a Python that imports asyncio, for comparison",
    }
    lines = [[said[name], Spread.of(times)] for name, times in part["times_ms"].items()]
    yield from table(["", "ms"], lines)


def _meeting(part: Part) -> Iterator[str]:
    lines = []
    for row in part["rows"]:
        first = next(iter(row["extra"].values()))["connected_ms"]
        for name, kept in row["extra"].items():
            times, good = kept["connected_ms"], len(kept["connected_ms"])
            share = statistics.median(times) / statistics.median(first) if good and first else 0.0
            shown = (Spread.of(times), f"{share:.2f}", Spread.of(kept["saved_ms"]))
            done = f"{good} of {good + len(kept['failed'])}"
            lines.append([f"{row['title']}: {name}", *(shown if good else "–––"), done])
    yield from table(
        ["", "connected, ms", "relative to the first", "file saved, ms", "done"], lines
    )
    where = part["conditions"]
    if where["load_before"] > where["cores"] / 2:
        yield (
            f"The load before it began was {where['load_before']}: other work shared the "
            f"{where['cores']} cores, so each time is longer than on an idle machine, and "
            "medians of overlapping ranges show no order."
        )
        yield ""


_FLOODS: Final = {
    "junk": "100 random bytes",
    "bare": "STUN headers without attributes",
    "wrong": "well-formed checks with a wrong MESSAGE-INTEGRITY",
    "fingerprints": "requests with 117 right FINGERPRINTs",
    "replayed": "a recorded check of the peer",
    "version": "DTLS records of no known version",
    "record": "DTLS records of the right version, forged",
}
"Name in `bench.spoof` -> description."
_COSTS: Final = ("CPU s/GB, sender / receiver", "peak MiB, sender / receiver")

PARTS: Final[dict[str, tuple[str, str, Callable[[Part], Iterator[str]]]]] = {
    "throughput": (
        "Over a cable",
        "Two hosts, network namespaces of one machine, joined by a veth pair with MTU 1500. Sizes "
        "differ, because slow programs would take minutes for a gigabyte; rates are compared. TCP, "
        "and datagrams sent with UDP_SEGMENT, cross the veth pair in pieces of up to 64 KiB, as "
        "they would not cross a cable; the emulated paths carry packets only.",
        _throughput,
    ),
    "paths": (
        "Over emulated paths",
        "A program on TUN devices (`tests/lab/link.c`) emulates delay, loss, rate and a drop-tail "
        "queue between the two hosts; it shares the processors with both ends. If a transfer is "
        "not complete within the limit, the bytes that have arrived are counted. magic-wormhole "
        "and wormhole-william run over TCP BBR.",
        _paths,
    ),
    "uplink": (
        "A slow uplink with a deep buffer",
        "Whether the transfer completes, and how much it delays a call on the same line.",
        _uplink,
    ),
    "fairness": (
        "Beside a TCP download",
        "100 Mbit/s, 40 ms, a queue of 500 KB, with one TCP flow of the kernel. Bytes that arrive "
        "while both flows run are counted; in every other round TCP starts first. TCP beside TCP "
        "is the reference.",
        _fairness,
    ),
    "browsers": (
        "Into browsers",
        "The browser runs on another host, over a cable with MTU 1500. The page of dcsend verifies "
        "and saves; the bytes of bare channels are counted and discarded. Processor time and "
        "memory of the browser are those of all its processes.",
        _browsers,
    ),
    "uploads": (
        "Out of browsers",
        "The page sends a file to `dcsend receive` over emulated paths. Small datagrams on the "
        "same path measure the delay that the queue adds. Browsers send as fast as their "
        "congestion control permits, so the page has a window of its own.",
        _uploads,
    ),
    "small": ("Many small files", "Complete transfers of dcsend over the cable.", _small),
    "sizes": (
        "Memory and cost by size",
        "Complete transfers of random files over the cable. Processor time is that of the whole "
        "process with its start, which matters for small files.",
        _sizes,
    ),
    "flood": (
        "Beside forged packets",
        "Complete transfers over the cable, while an attacker on the path sends packets with the "
        "address and port of the peer as their source: in turn to the port in use, and to a "
        "closed port of that host, which costs the system as much. `left` is the ratio of the "
        "medians.",
        _flood,
    ),
    "startup": ("Until the code is shown", "From the start of the program.", _startup),
    "meeting": (
        "From Enter to connected",
        "From the start of the receiver with a short code, its interpreter included, until it "
        "reports the connection, and until a file of 1000 bytes is saved. The sender has shown its "
        "code and waits. One mailbox server on the host of the sender serves all programs; only "
        "`dcsend without a server` finds the sender by multicast DNS. dcsend and magic-wormhole "
        "are Python, wormhole-william is compiled; it does not report its connection, so the first "
        "byte in its file counts. dcsend sets up ICE and DTLS, the other two a TCP connection. At "
        "the prompt, the receiver is loaded and connected to the server, and the times begin when "
        "the code is written to its terminal and end when the sender reports the connection.",
        _meeting,
    ),
}
"Part -> heading, description, table; in the order of the page."
