"""Kill transfers at random moments, continue them, and compare the files.

    python -m tests.kills [ROUNDS] [SEED]

Each round sends one file: up to four runs are killed, the sender's or the receiver's process, at a
random number of bytes; the next run completes it. A round fails if the file differs, if something
is left beside it, or if more than 8 MiB of what had been written are sent again.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.support.processes import Stage, digest
from tests.support.resuming import Interrupted

_SIZE: Final = 64 << 20
_SIDES: Final = ("sender", "receiver")


def one_round(folder: Path, rng: random.Random) -> str:
    """Carry out one round; return what happened in it."""
    source = folder / "source" / "film.mkv"
    source.parent.mkdir()
    source.write_bytes(rng.randbytes(rng.randrange(_SIZE // 4, _SIZE)))
    size, before, story = source.stat().st_size, 0, ""
    with Stage() as stage:
        case = Interrupted(stage, source, folder / "output")
        for _ in range(rng.randrange(1, 5)):
            if before == size:
                break
            at, side = rng.randrange(before, size), rng.choice(_SIDES)
            if at > size - (4 << 20):
                break
            before = case.interrupt(at, side, signal.SIGKILL, held=False)
            story += f" {side} at {before / 1e6:.1f} MB"
            if case.is_complete:
                assert digest(case.target) == digest(source)
                return f"{size / 1e6:.1f} MB:{story}: it was complete"
        _, received = case.complete(before)
    again = received.done["bytes"] - (size - before)
    return f"{size / 1e6:.1f} MB:{story or ' not killed'}; sent again: {again / 1e6:.2f} MB"


def main() -> int:
    """Run the command line; return 1 if a round has failed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    os.environ |= {"DCSEND_STUN": "none", "DCSEND_NO_PAGE": "1"}
    failed = 0
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            shown = io.StringIO()
            try:
                with contextlib.redirect_stdout(shown):
                    result = one_round(Path(folder), random.Random(seed + number))
            except (AssertionError, OSError) as error:
                failed += 1
                result = f"FAILED: {error!r}\n{shown.getvalue()}"
        sys.stdout.write(f"seed {seed + number}: {result}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{failed} of {rounds} rounds failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
