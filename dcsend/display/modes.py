"""Saves the modes of terminals before they are changed, and restores them.

`restore_all` may be called in a signal handler and in any thread: it takes no lock and does not
block. (TCSADRAIN and TCSAFLUSH would block while the terminal is stopped with Ctrl-S.) Must not
import anything of dcsend.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

__all__ = ["is_foreground", "restore", "restore_all", "switch_to_cbreak"]

_saved: dict[int, list[Any]] = {}
"Descriptor of a terminal -> its mode before it was changed (`termios.tcgetattr`)."


def restore(descriptor: int) -> None:
    """Restore the saved mode of a terminal, unless the job is in the background; idempotent."""
    mode = _saved.pop(descriptor, None)
    if mode is not None:
        _set(descriptor, mode)


def restore_all() -> None:
    """Restore every terminal."""
    for descriptor in list(_saved):
        restore(descriptor)


if sys.platform == "win32":

    def is_foreground(descriptor: int, *, closed: bool) -> bool:
        """Return True: Windows has no background jobs."""
        return True

    def _set(descriptor: int, mode: list[Any]) -> None:
        """Do nothing: no mode is changed on Windows."""

else:
    import termios

    def is_foreground(descriptor: int, *, closed: bool) -> bool:
        """Return whether this job is in the foreground; *closed* if the terminal is closed."""
        try:
            return os.getpgrp() == os.tcgetpgrp(descriptor)
        except OSError:  # closed, or not the controlling terminal
            return closed

    def switch_to_cbreak(descriptor: int, mode: list[Any], when: int) -> None:
        """Switch a terminal to cbreak mode without echo.

        Args:
            descriptor: of the terminal.
            mode: saved, so that `restore` sets it.
            when: as for `termios.tcsetattr`.
        """
        _saved[descriptor] = mode
        changed = termios.tcgetattr(descriptor)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        termios.tcsetattr(descriptor, when, changed)

    def _set(descriptor: int, mode: list[Any]) -> None:
        # SIGTTOU would stop a background job that changes the terminal.
        if not is_foreground(descriptor, closed=True):
            return
        with contextlib.suppress(termios.error):  # the terminal has been closed
            # The shell must not run the rest of a paste as a command.
            termios.tcflush(descriptor, termios.TCIFLUSH)
            termios.tcsetattr(descriptor, termios.TCSANOW, mode)
