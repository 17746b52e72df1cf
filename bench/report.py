"""From the JSON files of a real run to docs/performance.md and its plots.

    build/bench-venv/bin/python -m bench.report [--output FOLDER]

Reads the parts that are in build/bench/ and measures nothing. With `--output`, the files are
written into that folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results import FOLDER, Spread
from bench.running import ROOT
from bench.tables import PARTS, Part, rates, ratio, table

__all__ = ["main", "page", "summary"]


def main() -> None:
    """Read the results, draw the plots and write the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, help="folder to write to, instead of docs/")
    chosen = parser.parse_args()
    parts = _read(FOLDER)
    if not parts:
        raise SystemExit(f"nothing measured is in {FOLDER}; `make bench` measures")
    folder = chosen.output or ROOT / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # matplotlib is installed in build/bench-venv only.
        from bench.plots import draw
    except ModuleNotFoundError as error:
        raise SystemExit(f"no {error.name}; `sh scripts/bench-venv.sh` installs it") from None
    pictures = {name: [p.name for p in paths] for name, paths in draw(parts, folder).items()}
    written = folder / "performance.md"
    written.write_text("\n".join(page(parts, pictures)), encoding="utf-8")
    print(f"written: {written}")


def _read(folder: Path) -> dict[str, Part]:
    files = {name: folder / f"{name}.json" for name in PARTS}
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in files.items()
        if path.exists()
    }


def page(parts: Mapping[str, Part], pictures: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give the lines of docs/performance.md."""
    yield "# Performance"
    yield ""
    yield (
        "Written by `python -m bench.report` from what `make bench` measured; do not edit. Figures "
        "are medians of all rounds, with minimum and maximum in brackets. In each round "
        "each program runs once, in turn; ratios are medians of the rounds' ratios. Compare ratios "
        "rather than figures: machines differ, and here both ends share one."
    )
    yield ""
    yield from summary(parts)
    yield from _conditions(parts)
    for name, part in parts.items():
        heading, words, lines = PARTS[name]
        yield f"## {heading}"
        yield ""
        yield words
        yield ""
        yield from lines(part)
        for picture in pictures.get(name, ()):
            against = ", rate against time" if "-time" in picture else ""
            yield f"![{heading}{against}]({picture})"
            yield ""
    yield from _timing(parts)


def _conditions(parts: Mapping[str, Part]) -> Iterator[str]:
    yield "## Conditions"
    yield ""
    for said in dict.fromkeys(_machine(part["conditions"]) for part in parts.values()):
        yield f"* {said}"
    yield ""
    lines = [
        [
            f"`bench.{name}`",
            part["conditions"]["date"],
            part["conditions"]["commit"],
            part["conditions"]["load_before"],
            _arguments(part["arguments"]),
        ]
        for name, part in parts.items()
    ]
    yield from table(["part", "date", "commit", "load before", "arguments"], lines)


def _machine(where: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"{where['cpu'] or 'unknown processor'}, {where['cores']} cores, "
        f"{where['memory_gib']} GiB; {where['kernel']}; Python {where['python']}; {versions}"
    )


def _arguments(arguments: Mapping[str, Any]) -> str:
    given = {name: value for name, value in arguments.items() if value is not None}
    return ", ".join(f"{name} {value}" for name, value in given.items())


def _timing(parts: Mapping[str, Part]) -> Iterator[str]:
    yield "## What the seconds measure"
    yield ""
    timings: dict[str, str] = {}
    for part in parts.values():
        for row in part.get("rows", ()):
            timings |= row["timing"]
    for name, words in timings.items():
        yield f"* **{name}**: {words}."
    yield (
        "* Processor time and peak memory are those of each process from its start to its end, "
        "interpreters included; of a browser, while the bytes flow."
    )
    yield ""


def summary(parts: Mapping[str, Part]) -> Iterator[str]:
    """Give the lines of the summary: whole transfers beside other programs."""
    where = next(iter(parts.values()))["conditions"]
    lines = list(_short(parts))
    if lines:
        yield from table(["MB/s, medians", "dcsend", "others (dcsend is × this)"], lines)
    if "startup" in parts:
        taken = Spread.of(parts["startup"]["times_ms"]["send"])
        yield f"The code is on the screen after {taken.median:.0f} ms."
    yield (
        f"Measured {where['date'][:10]} on {where['cores']} cores ({where['cpu']}) that both sides "
        "share."
    )
    yield ""


def _short(parts: Mapping[str, Part]) -> Iterator[list[object]]:
    for name, what in (("throughput", "a cable, "), ("paths", ""), ("browsers", "")):
        for row in parts[name]["rows"] if name in parts else ():
            if "dcsend" not in row["results"]:
                continue
            ours = Spread.of(rates(row["results"]["dcsend"]))
            share = (
                f" ({ours.median / row['bottleneck']:.0%} of the line)" if row["bottleneck"] else ""
            )
            others = [
                f"{other} {Spread.of(rates(results)).short} (× {ratio(row, other)})"
                for other, results in row["results"].items()
                if other in ("libwebrtc", "aiortc", "magic-wormhole")
            ]
            yield [f"{what}{row['title']}", f"{ours.short}{share}", ", ".join(others)]


if __name__ == "__main__":
    main()
