"""The plots of docs/performance.md, from the JSON files of the parts. Needs matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

__all__ = ["draw"]

_COLOURS: Final = {
    "dcsend": "#c0392b",
    "aiortc": "#95a5a6",
    "libwebrtc": "#2471a3",
    "pion": "#76448a",
    "magic-wormhole": "#1e8449",
    "magic-wormhole-cubic": "#82c99d",
    "wormhole-william": "#b7950b",
    "tcp-bbr": "#34495e",
    "tcp-cubic": "#d68910",
}
"Contender -> the same colour everywhere; dcsend's stands out."

_WINDOW: Final = 0.5
"Seconds over which a rate is taken: two lines of a receiver."

_FLOOR: Final = 0.05
"MB/s; the place of a rate of 0 on a logarithmic scale."

_LINEAR: Final = 0.5
"MB/s; below, the scale of rates against time is linear, down to 0."

_WIDE: Final = 50.0
"MB/s of a line above which the scale is logarithmic, for slow contenders."

_TICKS: Final = (0, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100)

Part = Mapping[str, Any]


def draw(parts: Mapping[str, Part], folder: Path) -> dict[str, list[Path]]:
    """Draw the parts that have data; return the pictures of each part."""
    mpl.use("Agg")
    plt.rcParams.update(
        {
            **{"font.size": 9, "axes.spines.top": False, "axes.spines.right": False},
            **{"axes.grid": True, "grid.alpha": 0.25, "legend.frameon": False},
        }
    )
    drawn: dict[str, list[Path]] = {}
    for name, plots in {
        "throughput": (_over_time,),
        "paths": (_grid, _over_time),
        "uplink": (_delays,),
        "fairness": (_sharing,),
        "sizes": (_sizes,),
    }.items():
        for plot in plots if name in parts else ():
            figure = plot(parts[name])
            path = folder / f"performance-{name}{'-time' if plot is _over_time else ''}.png"
            figure.savefig(path, dpi=110, bbox_inches="tight")
            plt.close(figure)
            drawn.setdefault(name, []).append(path)
    return drawn


def _rates(series: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """Return moments and the rate at each, in MB/s, from bytes arrived so far."""
    moments, rates = [0.0], [0.0]
    before, low = 0.0, 0.0
    for at, arrived in series:
        if at - before >= _WINDOW * 0.9:
            moments.append((at + before) / 2)
            rates.append((arrived - low) / (at - before) / 1e6)
            before, low = at, arrived
    return moments[1:], rates[1:]


def _typical(results: Sequence[Part]) -> Part:
    """Return the result in the middle."""
    ordered = sorted(results, key=_rate)
    return ordered[len(ordered) // 2]


def _rate(result: Part) -> float:
    return float(result["bytes"] / result["seconds"] / 1e6) if result["seconds"] else 0.0


def _whole_series(result: Part) -> list[Sequence[float]]:
    """Return the series with its end, which may be close to its last point."""
    series = list(result["series"])
    if result["complete"] and (not series or result["seconds"] - series[-1][0] > _WINDOW / 5):
        series.append((max(result["seconds"], _WINDOW), result["bytes"]))
    return series


def _over_time(part: Part) -> Any:  # noqa: ANN401 - matplotlib ships no types for a figure here
    rows = part["rows"]
    columns = min(2, len(rows))
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(5.2 * columns, 2.9 * lines), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(rows) :]:
        axis.axis("off")
    for axis, row in zip(axes.flat, rows, strict=False):
        for name, results in row["results"].items():
            moments, rates = _rates(_whole_series(_typical(results)))
            # One point makes no line.
            marker = "o" if len(moments) == 1 else ""
            style = {
                "marker": marker,
                "color": _COLOURS.get(name),
                "lw": 2.2 if name == "dcsend" else 1.2,
            }
            axis.plot(moments, rates, label=name, zorder=3 if name == "dcsend" else 2, **style)
        if row["bottleneck"]:
            axis.axhline(row["bottleneck"], color="black", lw=0.8, ls=":")
        axis.set(title=row["title"], xlabel="seconds", ylabel="MB/s")
        if row["bottleneck"] >= _WIDE:
            # Slow contenders and stalls must be visible beside one that fills the line.
            axis.set_yscale("symlog", linthresh=_LINEAR)
            axis.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
            axis.set_yticks([], minor=True)
        axis.set(xlim=(0, None), ylim=(0, (row["bottleneck"] or axis.get_ylim()[1]) * 1.15))
    _legend(figure, axes)
    return figure


def _legend(figure: Any, axes: Any) -> None:  # noqa: ANN401
    known = {
        name: line
        for axis in axes.flat
        for line, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=4)


def _grid(part: Part) -> Any:  # noqa: ANN401
    rows = part["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["results"]))
    figure, axis = plt.subplots(figsize=(10, 3.8), layout="constrained")
    width = 0.84 / len(names)
    for index, name in enumerate(names):
        for number, row in enumerate(rows):
            rates = [max(_FLOOR, _rate(one)) for one in row["results"].get(name, [])]
            if not rates:
                continue
            middle, at = statistics.median(rates), number - 0.42 + (index + 0.5) * width
            label = name if number == 0 else None
            axis.bar(at, middle, width * 0.92, color=_COLOURS.get(name), label=label)
            axis.plot([at, at], [min(rates), max(rates)], color="black", lw=0.9)
    for number, row in enumerate(rows):
        if row["bottleneck"]:
            ends = [number - 0.46, number + 0.46]
            axis.plot(ends, [row["bottleneck"]] * 2, color="black", lw=1, ls=":")
    axis.set(yscale="log", ylim=(_FLOOR, None), ylabel="MB/s (dotted: the line)")
    titles = [row["title"].replace(", queue", ",\nqueue") for row in rows]
    axis.set_xticks(range(len(rows)), titles)
    axis.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=len(names))
    return figure


def _delays(part: Part) -> Any:  # noqa: ANN401
    (row,) = part["rows"]
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for name, rounds in row["extra"].items():
        middle = sorted(rounds, key=lambda one: one["busy_ms"])[len(rounds) // 2]
        moments, trips = zip(*middle["trips"], strict=True) if middle["trips"] else ((), ())
        width = 2.0 if name == "dcsend" else 1.1
        axis.plot(moments, trips, label=name, color=_COLOURS.get(name), lw=width)
    axis.axvline(0, color="black", lw=0.8, ls=":")
    axis.set(xlabel="seconds after the start", ylabel="round trip beside it, ms", yscale="log")
    axis.set_title(row["title"])
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def _sharing(part: Part) -> Any:  # noqa: ANN401
    rows = part["rows"]
    rounds = max(len(row["extra"]["dcsend"]) for row in rows if "dcsend" in row["extra"])
    orders = (0, 1) if rounds > 1 else (0,)
    figure, axes = plt.subplots(
        len(rows),
        len(orders),
        figsize=(5.2 * len(orders), 2.7 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for row, line in zip(rows, axes, strict=True):
        for axis, number in zip(line, orders, strict=True):
            _one_pair(axis, row, number)
    _legend(figure, axes)
    return figure


def _one_pair(axis: Any, row: Part, number: int) -> None:  # noqa: ANN401
    neighbour = row["title"].removeprefix("beside ")
    result, beside = row["results"]["dcsend"][number], row["extra"]["dcsend"][number]
    shift = beside["after"]
    for name, series, later in (
        ("dcsend", result["series"], max(0.0, -shift)),
        (neighbour, beside["beside"], max(0.0, shift)),
    ):
        moments, rates = _rates(series)
        axis.plot([at + later for at in moments], rates, label=name, color=_COLOURS[name], lw=1.6)
    axis.axhline(row["bottleneck"], color="black", lw=0.8, ls=":")
    first = "dcsend" if shift > 0 else neighbour
    axis.set(xlabel="seconds", ylabel="MB/s", ylim=(0, None), xlim=(0, None))
    axis.set_title(f"{first} first")


def _sizes(part: Part) -> Any:  # noqa: ANN401
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    for side, colour in (("sender", "#c0392b"), ("receiver", "#2471a3")):
        points = []
        for row in part["rows"]:
            done = [one for one in row["results"]["dcsend"] if one[side] and one["bytes"]]
            if done:
                peak = max(one[side]["peak_rss"] for one in done) / 2**20
                costs = [one[side]["cpu_seconds"] / one["bytes"] * 1e9 for one in done]
                points.append((row["megabytes"]["dcsend"], peak, statistics.median(costs)))
        sizes = [point[0] for point in points]
        left.plot(sizes, [point[1] for point in points], "o-", color=colour, label=side)
        right.plot(sizes, [point[2] for point in points], "o-", color=colour, label=side)
    for axis, label in ((left, "peak memory, MiB"), (right, "processor seconds per GB")):
        axis.set(xscale="log", xlabel="size, MB", ylabel=label)
        axis.set_ylim(0, axis.get_ylim()[1] * 1.15)
        sizes = [row["megabytes"]["dcsend"] for row in part["rows"]]
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.set_xticks([], minor=True)
        axis.legend()
    return figure
