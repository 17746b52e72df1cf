"""The command line; see the package."""

from __future__ import annotations

import argparse
import sys

from tests.kills.report import carry_out_all
from tests.kills.rounds import carry_out


def main() -> int:
    """Run the command line; return 1 if a round has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills")
    parser.add_argument("--seeds", metavar="A..B", help="only these rounds; nothing is written")
    options = parser.parse_args()
    if options.seeds is None:
        faults = carry_out_all()
    else:
        faults = []
        first, _, last = options.seeds.partition("..")
        for seed in range(int(first), int(last or first) + 1):
            result = carry_out(seed)
            faults += [f"seed {seed}: {fault}" for fault in result.faults]
            sys.stdout.write(f"seed {seed}: {result.size / 1e6:.1f} MB:{result.story}; ")
            sys.stdout.write(f"sent again: {result.again}\n")
            sys.stdout.flush()
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
