"""Where the program starts, as `dcsend` and as `python -m dcsend`."""

import contextlib
import gc
import os

from dcsend import importing

__all__ = ["main"]

_GARBAGE = 50_000
"""Objects made, and not yet gone, until the next search for garbage. Python's 700 make it search
120 times while everything is loaded, and 100 times more at either end of 10 000 files: 16 and
30 ms, to find next to nothing. A code is there 6 ms sooner."""


def main() -> None:
    """Run the command line."""
    # Before anything is loaded.
    gc.set_threshold(_GARBAGE)
    with contextlib.suppress(OSError):  # the current folder has been removed
        importing.keep_out(os.getcwd())
    from dcsend.cli import main as run

    run()


if __name__ == "__main__":
    main()
