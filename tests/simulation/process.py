"""Processes of the simulation: what is theirs, and how they end without any cleanup.

All of them run in one thread. The process of a task, a timer or a job is in its context.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import random
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

from tests.simulation.disk import Disk, Inode

__all__ = ["CURRENT", "OWNERS", "Action", "Dead", "Log", "OpenFile", "Process"]

Action = str | int
"What happens at a call on the disk: `kill`, `power`, `short`, or an errno."


class Dead(BaseException):
    """This process has ended; it does nothing any more."""


class Log:
    """What has happened, as a digest; the lines are kept only if they are wanted."""

    def __init__(self, clock: Callable[[], float], *, shown: bool = False) -> None:
        self._clock = clock
        self._digest = hashlib.sha256()
        self.lines: list[str] | None = [] if shown else None

    def note(self, who: str, what: str, *details: object) -> None:
        """Add an event."""
        line = f"{self._clock():.6f} {who} {what} {' '.join(map(repr, details))}\n"
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def value(self) -> str:
        """The digest so far."""
        return self._digest.hexdigest()[:16]


class OpenFile:
    """A descriptor, and its duplicates."""

    def __init__(self, inode: Inode, path: str) -> None:
        self.inode = inode
        self.path = path
        self.offset = 0
        self.users = 1


class Process:
    """One run of a program.

    Args:
        name: for the log.
        disk: of its machine.
        log: gets what it does.
        rng: chooses delays.
        actions: what happens at its calls on the disk, by their number.
    """

    def __init__(
        self,
        name: str,
        disk: Disk,
        log: Log,
        rng: random.Random,
        actions: Mapping[int, Action],
    ) -> None:
        self.name = name
        self.disk = disk
        self.log = log
        self.rng = rng
        self.slow = rng.choice((1e-4, 1e-3, 2e-2))
        "Seconds that a job of the disk takes, about."
        self.dead = False
        self.lost_power = False
        self.on_death: Callable[[], None] = lambda: None
        self.files: dict[int, OpenFile] = {}
        self.calls = 0
        self.working = 0
        "Functions that its disk threads have not finished."
        self.failed = 0
        "Calls that have failed on purpose."
        self.written: dict[str, int] = {}
        "Bytes, by path."
        self._actions = actions
        self._jobs: list[_Job] = []

    # --- calls on the disk

    def call(self, kind: str, what: object = "", torn: Callable[[], object] | None = None) -> bool:
        """Note a call; return whether it should be carried out in part only.

        Args:
            kind: name of the call.
            what: for the log.
            torn: carries out a part of it, before the process is killed.

        Raises:
            Dead: the process has ended, or ends now.
            OSError: the call fails.
        """
        if self.dead:
            raise Dead
        self.calls += 1
        self.log.note(self.name, kind, what)
        action = self._actions.get(self.calls)
        if action is None:
            return False
        self.log.note(self.name, "action", action)
        if isinstance(action, int):
            self.failed += 1
            raise OSError(action, errno.errorcode[action])
        if action == "short":
            return True
        if torn is not None:
            torn()
        self.kill(power=action == "power")
        raise Dead

    def add(self, file: OpenFile) -> int:
        """Return a new descriptor."""
        fd = _FIRST + len(OWNERS)
        OWNERS[fd] = self
        self.files[fd] = file
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        file = self.files.pop(fd, None)
        if file is None:
            return
        file.users -= 1
        if not file.users:
            file.inode.locks.pop(file, None)

    def exit(self) -> None:
        """End it."""
        self.dead = True
        self._jobs.clear()
        for fd in list(self.files):
            self.close(fd)

    def kill(self, *, power: bool = False) -> None:
        """End it at once; with *power*, its machine loses what is not durable."""
        if self.dead:
            return
        self.log.note(self.name, "power cut" if power else "killed")
        self.exit()
        if power:
            self.lost_power = True
            self.disk.cut(self.rng)
        self.on_death()

    # --- its other threads, as jobs of the event loop

    def delay(self) -> float:
        """Return how long a job takes, in seconds."""
        if self.rng.random() < 0.002:
            return self.rng.uniform(1, 25)  # a disk that stands still
        return self.rng.random() * self.slow + 1e-6

    def begin(self, work: Callable[[], None], name: str) -> None:
        """Do *work* later, or when something waits for it."""
        job = _Job(work)
        self._jobs.append(job)
        asyncio.get_running_loop().call_later(self.delay(), self._run, job)

    def wait(self, done: Callable[[], bool]) -> None:
        """Do jobs until *done*."""
        while not done():
            if self.dead:
                raise Dead
            self._run(self._jobs[0])

    def _run(self, job: _Job) -> None:
        if not self.dead and not job.done:
            job.done = True
            self._jobs.remove(job)
            job.work()


class _Job:
    """Work of another thread."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.done = False


_FIRST: Final = 1 << 24
"No real descriptor has such a number: a generator may be collected after the simulation."
OWNERS: Final[dict[int, Process]] = {}
"Of all descriptors of a simulation; each has a number of its own."

CURRENT: Final[ContextVar[Process]] = ContextVar("process")
