"""The vectors of the pace: journeys over simulated paths, event by event.

    python -m tests.pace_vectors

writes `tests/vectors/pace-*.txt` anew from what the Python code does; only after a deliberate
change of its arithmetic. Then compare: `git diff --stat tests/vectors`. A vector is a header
(`comment`, `manner`: bytes at first, seconds of delay, share; `most`: bytes), an empty line, and a
line for each event: `send` or `ack`, the time in seconds, the cost of the frame or the total that
is acknowledged, and the size after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dcsend.protocol.pace import CAUTIOUS, LOOSE, Manner, Pace
from tests.paths import Journey, Line, journey

__all__ = ["FOLDER", "SCENARIOS", "lines"]

FOLDER: Final = Path(__file__).parent / "vectors"

_ORDINARY: Final = Line(lambda _: 0.04, lambda _: 12.5e6)

SCENARIOS: Final[dict[str, tuple[str, Manner, int, Line, float]]] = {
    "ordinary": ("100 Mbit/s, 40 ms", CAUTIOUS, 2**23, _ORDINARY, 1.5),
    "uplink": ("8 Mbit/s, 60 ms", CAUTIOUS, 2**23, Line(lambda _: 0.06, lambda _: 1e6), 5.0),
    "drain": (
        *("20 Mbit/s, 40 ms, until the shortest round trip is measured anew; it has become 70 ms",),
        *(CAUTIOUS, 2**23),
        *(Line(lambda t: 0.04 if t < 9 else 0.07, lambda _: 2.5e6), 13.0),
    ),
    "lan": ("30 MB/s, 1 ms", CAUTIOUS, 2**23, Line(lambda _: 0.001, lambda _: 3e7), 0.5),
    "granted": ("the receiver grants 300 000 bytes", CAUTIOUS, 300_000, _ORDINARY, 1.0),
    "loose": ("100 Mbit/s, 40 ms, over an engine that is trusted", LOOSE, 2**23, _ORDINARY, 2.5),
    "disk": (
        *("a disk of 5 MB/s that stalls for 2 s", CAUTIOUS, 2**23),
        Line(_ORDINARY.trip, _ORDINARY.rate, lambda t: 2.0 if 2 < t < 2.013 else 0.013),
        6.0,
    ),
    "pauses": (
        *("nothing to send every other half second", CAUTIOUS, 2**23),
        Line(_ORDINARY.trip, _ORDINARY.rate, wanted=lambda t: t % 1 < 0.5),
        3.0,
    ),
}
"Name -> comment, manner, most, line, seconds."


def lines(travelled: Journey) -> list[str]:
    """Return the events as the vectors have them."""
    return [f"{kind} {time!r} {count} {size}" for kind, time, count, size in travelled.events]


def _write() -> None:
    for name, (comment, manner, most, line, until) in SCENARIOS.items():
        travelled = journey(Pace(manner, most), line, until)
        header = [
            f"comment: {comment}",
            f"manner: {manner.first} {manner.delay} {manner.share}",
            f"most: {most}",
        ]
        text = "\n".join([*header, "", *lines(travelled)])
        (FOLDER / f"pace-{name}.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
