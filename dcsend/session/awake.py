"""Keeps this computer from falling asleep while a transfer runs.

Linux:   systemd-inhibit … cat    reads a pipe of which this process has the other end
macOS:   caffeinate -i -w PID     watches this process
Windows: SetThreadExecutionState  is of a thread of this process

Each of them ends with this process, also if that is killed. Where there is none, or it is refused,
the transfer runs without it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from dcsend.threads import begin

__all__ = ["Awake"]

logger = logging.getLogger(__name__)


class Awake:
    """Lets the system stay awake from `hold` to `release`."""

    def __init__(self) -> None:
        self._over: threading.Event | None = None

    def hold(self) -> None:
        """Keep the system awake, by a thread for which the transfer does not wait; idempotent."""
        if self._over is None:
            over = self._over = threading.Event()
            begin(lambda: _stay_awake(over), "dcsend-awake")

    def release(self) -> None:
        """Let the system fall asleep again; idempotent, and without effect before `hold`."""
        if self._over is not None:
            self._over.set()
            self._over = None


if sys.platform == "win32":
    import ctypes

    _CONTINUOUS = 0x80000000
    _SYSTEM_REQUIRED = 0x00000001

    def _stay_awake(over: threading.Event) -> None:
        set_state = ctypes.windll.kernel32.SetThreadExecutionState
        if not set_state(_CONTINUOUS | _SYSTEM_REQUIRED):
            logger.debug("sleep is not prevented: refused")
        over.wait()
        set_state(_CONTINUOUS)

else:
    import shutil
    import subprocess

    if sys.platform == "darwin":

        def _command() -> list[str]:
            return ["caffeinate", "-i", "-w", str(os.getpid())]

    else:

        def _command() -> list[str]:
            inhibit = ["systemd-inhibit", "--what=idle:sleep", "--mode=block"]
            return [*inhibit, "--who=dcsend", "--why=A transfer is running", "cat"]

    def _stay_awake(over: threading.Event) -> None:
        name, *arguments = _command()
        # No program of the current folder is started.
        folders = os.pathsep.join(filter(os.path.isabs, os.get_exec_path()))
        path = shutil.which(name, path=folders)
        if path is None:
            logger.debug("sleep is not prevented: there is no %s", name)
            return
        try:
            process = subprocess.Popen(
                [path, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as exc:
            logger.debug("sleep is not prevented: %s", exc)
            return
        over.wait()
        if process.poll() is not None:
            logger.debug("sleep was not prevented: %s has ended early", name)
        process.kill()  # caffeinate reads nothing
        process.communicate()  # closes the pipe, which ends `cat`
