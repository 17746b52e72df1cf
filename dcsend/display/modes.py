"""Terminals whose mode is changed for a while, so that they can be put back from anywhere.

`put_back_all` may be called in a signal handler and by any thread: it takes no lock and waits for
nothing. (TCSADRAIN and TCSAFLUSH wait until the terminal has taken all output, which one that is
stopped with Ctrl-S never does.) Must not import anything of dcsend.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

__all__ = ["borrow", "put_back", "put_back_all"]

_borrowed: dict[int, list[Any]] = {}
"Descriptor of a terminal -> its mode as it was found (`termios.tcgetattr`)."


def borrow(descriptor: int, mode: list[Any]) -> None:
    """Note how a terminal was found, before it is changed."""
    _borrowed[descriptor] = mode


def put_back(descriptor: int) -> None:
    """Put a terminal back as it was found, if it still is ours to change; idempotent."""
    mode = _borrowed.pop(descriptor, None)
    if mode is not None:
        _restore(descriptor, mode)


def put_back_all() -> None:
    """Put every terminal back."""
    for descriptor in list(_borrowed):
        put_back(descriptor)


if sys.platform == "win32":  # mypy looks at one branch only, as does the computer

    def _restore(descriptor: int, mode: list[Any]) -> None:
        """Nothing is borrowed there."""

else:
    import termios

    def _restore(descriptor: int, mode: list[Any]) -> None:
        # Who changes a terminal from the background is stopped (SIGTTOU).
        with contextlib.suppress(OSError):  # closed, or not the terminal that controls us
            if os.getpgrp() != os.tcgetpgrp(descriptor):
                return
        with contextlib.suppress(termios.error):  # the terminal has been closed
            # What is left of a paste must not become a command.
            termios.tcflush(descriptor, termios.TCIFLUSH)
            termios.tcsetattr(descriptor, termios.TCSANOW, mode)
