"""What must hold after each step of a simulation."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dcsend.entry import Existing
from dcsend.errors import (
    DcsendError,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.session.events import Damaged, Disconnected, Event, Reconnected, Warned
from dcsend.session.incoming import Incoming
from dcsend.session.outcome import Tally, exit_status
from dcsend.session.outgoing import Outgoing
from dcsend.session.verdicts import FileFinished
from tests.simulation.disk import Disk, Inode
from tests.simulation.plan import OLD, Plan, Trial
from tests.simulation.process import Log, Process
from tests.simulation.seams import INTERVAL, MIN_SIZE

__all__ = ["Checks", "Side"]

_UNDECIDED: Final = 6.0
"Seconds before the end of the time for another connection in which a side may give up."
_NEVER: Final = (IntegrityError, LocalProtocolError, RemoteProtocolError)
"Errors that two right sides never have."
_OWN: Final = (".dcsend-part", ".dcsend-journal")


@dataclass(slots=True)
class Side:
    """One side of a run."""

    process: Process
    tally: Tally
    half: Outgoing | Incoming | None = None
    "With the newest peer."
    error: BaseException | None = None
    changed: bool = False
    "Whether it sent, or received, bytes again that were there."
    resumed: int = 0
    lost_at: float | None = None
    "When the connection was lost, if there is none."

    @property
    def answered(self) -> bool:
        """Whether the offer is accepted."""
        return self.half is not None and self.half.answered


class Checks:
    """The faults that were found, and what is needed to find them.

    Args:
        plan: of the simulation.
        clock: seconds of the simulation.
        log: gets the faults and the events of both sides.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float], log: Log) -> None:
        self.faults: list[str] = []
        self.disk = Disk(2, clock, self._named, exclusive=plan.exclusive)
        "Of the receiver."
        self._plan = plan
        self._clock = clock
        self._log = log
        self._processes: dict[str, Process] = {}
        "Those of a run; none before the first one."
        self._waited = 0.0
        "Seconds for which a side was without a connection when it ended."
        self._reported: set[str] = set()
        "Files that a side has reported as complete."
        self._lossy = False
        "Whether a disk has lost something, or has failed."
        self._written: dict[str, int] = {}
        "Bytes of each file at the receiver when a run ended."

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        found = dict(self.disk.files())
        return all(
            f"/out/{path}" in found and found[f"/out/{path}"].content == content
            for path, content in self._plan.files.items()
        )

    def begin(self, processes: dict[str, Process]) -> None:
        """Note that a run begins; *processes* may be replaced later."""
        self._processes, self._waited = processes, 0.0

    def ends(self, side: Side) -> None:
        """Note that a side ends."""
        self._log.note(side.process.name, "ends", repr(side.error))
        if side.lost_at is not None:
            self._waited = max(self._waited, self._clock() - side.lost_at)

    def lose(self, name: str) -> None:
        """Note a power cut of one side."""
        self._lossy |= name == "receiver"

    @property
    def _failed(self) -> bool:
        """Whether a call on a disk has failed on purpose in this run."""
        return any(one.failed for one in self._processes.values())

    def fault(self, text: str) -> None:
        """Note a fault."""
        self._log.note("FAULT", text)
        self.faults.append(text)

    def event(self, process: Process, side: Side, event: Event) -> None:
        """Check an event of a side."""
        if process.dead:
            return
        details: tuple[object, ...] = ()
        if isinstance(event, FileFinished):
            details = (event.path, event.status, event.reason)
            if event.status == "ok":
                self._check_ok(process.name, event)
            elif event.status == "mismatch":
                self.fault(f"the {process.name} reports {event.path} as different")
        elif isinstance(event, Disconnected):
            side.lost_at = self._clock()
        elif isinstance(event, Reconnected):
            side.lost_at = None
        elif isinstance(event, Damaged) or (isinstance(event, Warned) and event.kind == "changed"):
            side.changed = True
        self._log.note(process.name, type(event).__name__, *details)

    def _check_ok(self, who: str, event: FileFinished) -> None:
        """Check that a file is there for good when a side reports that."""
        path = f"/out/{event.path}"
        content = self._plan.files[event.path]
        disk = self.disk
        now = dict(disk.files()).get(path)
        if now is None or now.content != content:
            self.fault(f"the {who} reports {event.path} as complete, and it is not there")
        elif disk.durable_content(path) != content and not self._failed:
            # An error of the sync of its folder does not fail a file.
            self.fault(f"the {who} reports {event.path} as complete, and it is not durable")
        self._reported.add(event.path)

    def _named(self, path: str, inode: Inode) -> None:
        """Check what gets a final name."""
        if path.endswith(_OWN) or inode.is_folder or not self._processes:
            return
        content = self._plan.files.get(path.removeprefix("/out/"))
        if not inode.content and self._failed:
            return  # where all else fails, an empty file reserves the name for a moment
        if content is None or inode.content != content:
            self.fault(f"a wrong file gets the name {path}")
        elif inode.durable != content:
            self.fault(f"a file that is not durable gets the name {path}")

    def check_files(self) -> None:
        """Check what has a final name after a run."""
        found = dict(self.disk.files())
        for path, inode in found.items():
            name = path.removeprefix("/out/")
            if path.endswith(_OWN):
                continue
            allowed: list[object] = [self._plan.files.get(name)]
            if name in self._plan.taken and name not in self._reported:
                allowed.append(OLD)
            if inode.content not in allowed:
                self.fault(f"a wrong file has the name {path}")
        for name in self._reported:
            if f"/out/{name}" not in found:
                self.fault(f"{name} was reported as complete, and is gone")

    async def check_end(self, name: str, side: Side) -> None:
        """Check how one side has ended."""
        if side.process.dead:
            return
        if side.error is not None and (
            not isinstance(side.error, DcsendError) or isinstance(side.error, _NEVER)
        ):
            self.fault(f"the {name} ends with {side.error!r}")
        if name == "sender" and side.error is not None:
            return  # the traceback of an error refers to the reader
        if side.process.files:
            gc.collect()  # a reader ends with its generator
            await asyncio.sleep(120)  # for a disk that stands still
            gc.collect()
        if side.process.files:
            left = sorted(file.path for file in side.process.files.values())
            self.fault(f"the {name} leaves {left} open")

    def check_both(self, sender: Side, receiver: Side, faults: Trial, *, clean: bool) -> None:
        """Check that both sides agree."""
        if not sender.process.dead and sender.error is None:
            self._reported |= {file.path for file in sender.tally.files if file.status == "ok"}
        for name, side in (("sender", sender), ("receiver", receiver)):
            failed = side.process.dead or side.error is not None
            if not failed and not exit_status(side.tally.files) and not self.complete:
                self.fault(f"the {name} succeeds, and not all files are there")
            if not clean:
                continue
            if side.error is not None:
                self.fault(f"the {name} fails without a reason: {side.error}")
            elif exit_status(side.tally.files):
                self.fault(f"files fail at the {name} without a reason")
        if not receiver.process.dead and receiver.error is None:
            self._check_receiver(receiver)
        self._check_again(receiver)
        self._check_patience(sender, receiver, faults)

    def _check_receiver(self, receiver: Side) -> None:
        """Check what a receiver has written and left, if it has received everything."""
        files = receiver.tally.files
        if exit_status(files):
            return
        expected = sum(len(self._plan.files[one.path]) for one in files if one.status == "ok")
        if not receiver.changed and receiver.tally.bytes != expected - receiver.resumed:
            self.fault(
                f"{receiver.tally.bytes} bytes were written, not {expected}, of which "
                f"{receiver.resumed} were there"
            )
        names = dict(self.disk.files())
        left = [path for path in names if path.endswith(_OWN)]
        if receiver.process.failed:
            # Of what could not be removed, a second name of the file, and its journal, stay until
            # the next run.
            final = [inode for path, inode in names.items() if path not in left]
            left = [path for path in left if path.endswith(_OWN[0]) and names[path] not in final]
        if left:
            self.fault(f"{left} stay after a success")

    def _check_patience(self, sender: Side, receiver: Side, faults: Trial) -> None:
        """Check that the sides connect again for as long as they should, after acceptance."""
        quiet = not faults.kill_at and not faults.actions and not faults.jump_at
        accepted = sender.answered and receiver.answered
        if not (quiet and faults.lasting and accepted):
            return
        for name, side in (("sender", sender), ("receiver", receiver)):
            if side.error is not None and self._waited < faults.limit - _UNDECIDED:
                self.fault(f"the {name} gives up after {self._waited:.1f} s: {side.error}")

    def _check_again(self, receiver: Side) -> None:
        """Check that no more was received again than the journal allows."""
        if self._lossy or self._failed:
            return
        for path, written in receiver.process.written.items():
            name = path.removeprefix("/out/").removesuffix(_OWN[0])
            content = self._plan.files.get(name)
            if content is None or len(content) < MIN_SIZE:
                continue
            again = written - (len(content) - self._written.get(name, 0))
            if again > INTERVAL + self._plan.block:
                self.fault(f"{again} bytes of {name} that were there are received again")

    def note_written(self) -> None:
        """Note what is there after a run."""
        self._lossy |= self._failed
        self._written.clear()
        for path, inode in self.disk.files():
            name = path.removeprefix("/out/")
            if name in self._plan.files and self._plan.existing is Existing.SKIP:
                self._written[name] = len(self._plan.files[name])
            elif name.endswith(_OWN[0]):
                self._written.setdefault(name.removesuffix(_OWN[0]), len(inode.content))
