"""Handles Ctrl-C while the program is loaded, before `ending.guard` installs its handlers.

During that tenth of a second Python would show a traceback. A leaf; imported only by
`dcsend/__init__.py`, right after `importing`.
"""

import os
import signal
import sys


def _is_the_program() -> bool:
    """Return whether dcsend is the running program, not a library of another one."""
    name = sys.argv[0] if sys.argv else ""
    if name == "-m":  # Python is still looking up the module
        return "dcsend" in sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    return os.path.basename(name) in ("dcsend", "dcsend.exe", "dcsend-script.py")


def _end(number: int, frame: object) -> None:
    os._exit(128 + number)


# An ignored SIGINT (`&` in a script) stays ignored.
if _is_the_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
