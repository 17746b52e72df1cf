"""Over a cable: one large file with whole dcsend, and the bare channels of engines.

    python -m bench.throughput [--rounds 5] [--megabytes 1000] [--contender NAME …]

Two hosts, joined by a veth pair with MTU 1500. Rates are compared, not times: much slower
contenders send less (`SMALLER`), since a gigabyte through stock aiortc takes 70 s.
Writes build/bench/throughput.json; about 7 minutes by default.
"""

from __future__ import annotations

import argparse
from typing import Final

from bench import results
from bench.contenders import choose
from bench.files import random_file, workshop
from bench.hosts import cable
from bench.rounds import add_options, interleave

__all__ = ["main", "random_file"]

_DEFAULT: Final = ("dcsend", "aiortc", "libwebrtc", "pion", "magic-wormhole", "wormhole-william")

SMALLER: Final = {"aiortc": 5, "pion": 5}
"Contender -> by how much less it sends; a fifth of a gigabyte still takes ten seconds."

LIMIT: Final = 300.0
"Seconds for one transfer."


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add_options(parser, _DEFAULT)
    parser.add_argument("--megabytes", type=int, default=1000)
    chosen = parser.parse_args()
    where = results.conditions()
    contenders = choose(chosen.contender or _DEFAULT)
    sizes = {one.name: max(1, chosen.megabytes // SMALLER.get(one.name, 1)) for one in contenders}
    row = results.Row("veth, MTU 1500, one file", sizes)
    with workshop(3 * chosen.megabytes * results.MEGABYTE) as folder:
        interleave(row, contenders, chosen.rounds, LIMIT, lambda _: cable(), folder)
    results.save("throughput", where, vars(chosen), [row])


if __name__ == "__main__":
    main()
