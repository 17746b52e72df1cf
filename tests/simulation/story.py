"""One simulation: runs with faults, then runs without, until everything has arrived.

Checked at each step: see `docs/simulation.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from dcsend.entry import Entry, Existing
from dcsend.errors import (
    DcsendError,
    IntegrityError,
    LocalProtocolError,
    RemoteProtocolError,
)
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.manifest import Scan
from dcsend.files.source import FileSource
from dcsend.listing import Entries
from dcsend.session.control import ConnectedPeer
from dcsend.session.conversation import Conversation
from dcsend.session.events import (
    Damaged,
    Disconnected,
    Event,
    ManifestKnown,
    Reconnected,
    Warned,
)
from dcsend.session.incoming import Incoming
from dcsend.session.lasting import LastingConnection
from dcsend.session.outcome import Tally, exit_status
from dcsend.session.outgoing import Outgoing
from dcsend.session.verdicts import FileFinished
from tests.simulation.disk import Disk, Inode
from tests.simulation.loop import Hang, SimulatedLoop
from tests.simulation.network import End, Network, WayBack
from tests.simulation.plan import OLD, Plan, Trial, plan, trial
from tests.simulation.process import CURRENT, OWNERS, Dead, Log, Process
from tests.simulation.seams import INTERVAL, MIN_SIZE, SimulatedWorker, simulated

__all__ = ["Result", "simulate"]

_LIMIT: Final = 600.0
"Seconds of the simulation for one run."
_TURNS: Final = 100_000
"Of the event loop, for one run."
_UNDECIDED: Final = 6.0
"Seconds before the end of the time for another connection in which a side may give up."
_NEVER: Final = (IntegrityError, LocalProtocolError, RemoteProtocolError)
"Errors that two right sides never have."
_MTIME: Final = 1_700_000_000_000_000
_OWN: Final = (".dcsend-part", ".dcsend-journal")


class Result(NamedTuple):
    """What a simulation has shown."""

    faults: list[str]
    digest: str
    "Of its log."
    runs: int
    seconds: float
    "Of the simulated clock."
    lines: list[str]


@dataclass(slots=True)
class _Side:
    """One side of a run."""

    process: Process
    tally: Tally
    connection: LastingConnection | End
    half: Outgoing | Incoming
    conversation: Conversation
    error: BaseException | None = None
    changed: bool = False
    "Whether it sent, or received, bytes again that were there."
    resumed: int = 0
    lost_at: float | None = None
    "When the connection was lost, if there is none."


class Simulation:
    """See the module."""

    def __init__(self, seed: int, loop: SimulatedLoop, log: Log) -> None:
        self.faults: list[str] = []
        self.runs = 0
        self._rng = random.Random(seed)
        self._loop = loop
        self._log = log
        self._plan: Plan = plan(self._rng)
        self._disks = {
            "sender": Disk(1, loop.time),
            "receiver": Disk(2, loop.time, self._named),
        }
        self._ends: dict[str, list[End]] = {}
        "The ends of connections of each side of a run."
        self._processes: dict[str, Process] = {}
        "Those of a run."
        self._waited = 0.0
        "Seconds for which a side was without a connection when it ended."
        self._reported: set[str] = set()
        "Files that a side has reported as complete."
        self._lossy = False
        "Whether a disk has lost something, or has failed."
        self._written: dict[str, int] = {}
        "Bytes of each file at the receiver when a run ended."
        paths = list(self._plan.files)
        sources = self._disks["sender"]
        folder = sources.make(0o40755)
        sources.change((sources.root, "source", folder))
        inodes = []
        for number, content in enumerate(self._plan.files.values()):
            inode = sources.make(0o100644)
            inode.write(0, content)
            inode.sync()
            inode.mtime = _MTIME * 1000
            sources.change((folder, str(number), inode))
            inodes.append(inode.number)
        sources.commit()
        entries = [
            Entry(path, size=len(content), mtime=_MTIME)
            for path, content in self._plan.files.items()
        ]
        self._scan = Scan(
            Entries(entries),
            [f"/source/{number}" for number in range(len(paths))],
            devices=array("Q", [1] * len(paths)),
            inodes=array("Q", inodes),
        )
        self._occupy()

    def _occupy(self) -> None:
        disk = self._disks["receiver"]
        root = disk.make(0o40755)
        disk.change((disk.root, "out", root))
        for path in self._plan.taken:
            *folders, name = path.split("/")
            folder = root
            for one in folders:
                below = folder.names.get(one)
                if below is None:
                    below = disk.make(0o40755)
                    disk.change((folder, one, below))
                folder = below
            inode = disk.make(0o100644)
            inode.content[:] = inode.durable = OLD
            disk.change((folder, name, inode))
        disk.commit()

    async def run(self) -> None:
        """Carry it out."""
        for _ in range(self._plan.trials):
            if not self.faults:
                await self._run(trial(self._rng), clean=False)
        if not self.faults:
            await self._run(Trial(dialer=self._rng.choice(("sender", "receiver"))), clean=True)
        if not self.faults and not self._complete:
            self._fault("not complete after a run without faults")

    @property
    def _complete(self) -> bool:
        found = dict(self._disks["receiver"].files())
        return all(
            f"/out/{path}" in found and found[f"/out/{path}"].content == content
            for path, content in self._plan.files.items()
        )

    @property
    def _failed(self) -> bool:
        """Whether a call on a disk has failed on purpose in this run."""
        return any(one.failed for one in self._processes.values())

    # --- one run

    async def _run(self, faults: Trial, *, clean: bool) -> None:
        self.runs += 1
        self._loop.allow(_LIMIT, _TURNS)
        self._waited = 0.0
        self._log.note("run", "begins", faults)
        seed = self._rng.randrange(2**32)
        network = Network(random.Random(seed), self._log, list(faults.cuts), faults.outage)
        dialer, listener = network.pair()
        ends = {faults.dialer: dialer}
        ends["receiver" if faults.dialer == "sender" else "sender"] = listener
        tasks = {}
        sides: dict[str, _Side] = {}
        processes = self._processes = {}
        for name in ("sender", "receiver"):
            process = processes[name] = Process(
                name,
                self._disks[name],
                self._log,
                random.Random(seed + len(name)),
                faults.actions.get(name, {}),
            )
            tasks[name] = asyncio.create_task(
                self._side(process, network, ends[name], faults, sides)
            )
            own = tasks[name]
            process.on_death = self._death(name, own, network)

        def on_message(count: int) -> None:
            if count == faults.kill_at:
                processes[faults.killed].kill(power=faults.power)
            if count == faults.jump_at:
                self._log.note("clock", "jumps", faults.jump)
                self._loop.jump(faults.jump)

        network.on_message = on_message
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        self._lossy |= self._failed
        self._lossy |= processes["receiver"].dead and "power" in repr(faults)
        for name, side in sides.items():
            await self._check_end(name, side)
        self._log.note("run", "ended", *(type(side.error).__name__ for side in sides.values()))
        if len(sides) == 2:
            self._check_both(sides["sender"], sides["receiver"], faults, clean=clean)
        self._note_written()
        self._check_files()
        for process in processes.values():
            process.exit()

    def _death(self, name: str, task: asyncio.Task[None], network: Network) -> Callable[[], None]:
        def died() -> None:
            network.leave(self._ends[name])
            self._loop.call_soon(task.cancel)

        return died

    async def _side(
        self,
        process: Process,
        network: Network,
        end: End,
        faults: Trial,
        sides: dict[str, _Side],
    ) -> None:
        CURRENT.set(process)
        own = self._ends[process.name] = [end]
        tally = Tally(lambda event: self._event(process, side, event))
        lasting = None
        if faults.lasting:
            way = WayBack(network, process, own)
            lasting = LastingConnection(end, way, tally.emit, faults.limit)
        connection = lasting or end
        settings = replace(self._plan.settings, output="/out", existing=self._plan.existing)
        conversation = Conversation(
            connection,
            settings,
            tally.emit,
            interrupted=lasting.is_interrupted if lasting else None,
        )
        peer = ConnectedPeer(connection, conversation, features=lasting.features if lasting else ())
        accepted = lasting.accepted if lasting else lambda: None
        half: Outgoing | Incoming
        if process.name == "sender":
            half = Outgoing(
                peer,
                self._scan.entries,
                FileSource(self._scan, block_size=self._plan.block),
                settings,
                tally,
                agent="a",
                accepted=accepted,
                worker=SimulatedWorker,
            )
        else:
            half = Incoming(
                peer,
                DirectorySink(Path("/out"), existing=self._plan.existing, file_system_sync=None),
                settings,
                tally,
                self._decide(sides),
                agent="b",
                accepted=accepted,
                portion_size=self._plan.portion,
                worker=SimulatedWorker,
            )
        side = sides[process.name] = _Side(process, tally, connection, half, conversation)
        try:
            await conversation.run(half)
        except BaseException as error:
            side.error = error.with_traceback(None)
            error.__context__ = None
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._log.note(process.name, "ends", repr(side.error))
            self._waited = max(self._waited, self._lost_for(side))
            await connection.close()

    def _lost_for(self, side: _Side) -> float:
        return 0.0 if side.lost_at is None else self._loop.time() - side.lost_at

    def _decide(self, sides: dict[str, _Side]) -> Callable[[ManifestKnown], Any]:
        async def decide(offer: ManifestKnown) -> bool:
            sides["receiver"].resumed = offer.resumed
            await asyncio.sleep(self._rng.random())
            return True

        return decide

    # --- what must hold

    def _fault(self, text: str) -> None:
        self._log.note("FAULT", text)
        self.faults.append(text)

    def _event(self, process: Process, side: _Side, event: Event) -> None:
        if process.dead:
            return
        details: tuple[object, ...] = ()
        if isinstance(event, FileFinished):
            details = (event.path, event.status, event.reason)
            if event.status == "ok":
                self._check_ok(process.name, event)
            elif event.status == "mismatch":
                self._fault(f"the {process.name} reports {event.path} as different")
        elif isinstance(event, Disconnected):
            side.lost_at = self._loop.time()
        elif isinstance(event, Reconnected):
            side.lost_at = None
        elif isinstance(event, Damaged) or (isinstance(event, Warned) and event.kind == "changed"):
            side.changed = True
        self._log.note(process.name, type(event).__name__, *details)

    def _check_ok(self, who: str, event: FileFinished) -> None:
        """Check that a file is there for good when a side reports that."""
        path = f"/out/{event.path}"
        content = self._plan.files[event.path]
        disk = self._disks["receiver"]
        now = dict(disk.files()).get(path)
        if now is None or now.content != content:
            self._fault(f"the {who} reports {event.path} as complete, and it is not there")
        elif disk.durable_content(path) != content and not self._failed:
            # An error of the sync of its folder does not fail a file.
            self._fault(f"the {who} reports {event.path} as complete, and it is not durable")
        self._reported.add(event.path)

    def _named(self, path: str, inode: Inode) -> None:
        """Check what gets a final name."""
        if path.endswith(_OWN) or inode.is_folder or not self.runs:
            return
        content = self._plan.files.get(path.removeprefix("/out/"))
        if content is None or inode.content != content:
            self._fault(f"a wrong file gets the name {path}")
        elif inode.durable != content:
            self._fault(f"a file that is not durable gets the name {path}")

    def _check_files(self) -> None:
        """Check what has a final name after a run."""
        found = dict(self._disks["receiver"].files())
        for path, inode in found.items():
            name = path.removeprefix("/out/")
            if path.endswith(_OWN):
                continue
            allowed: list[object] = [self._plan.files.get(name)]
            if name in self._plan.taken and name not in self._reported:
                allowed.append(OLD)
            if inode.content not in allowed:
                self._fault(f"a wrong file has the name {path}")
        for name in self._reported:
            if f"/out/{name}" not in found:
                self._fault(f"{name} was reported as complete, and is gone")

    async def _check_end(self, name: str, side: _Side) -> None:
        """Check how one side has ended."""
        if side.process.dead:
            return
        if side.error is not None and (
            not isinstance(side.error, DcsendError) or isinstance(side.error, _NEVER)
        ):
            self._fault(f"the {name} ends with {side.error!r}")
        if name == "sender" and side.error is not None:
            return  # the traceback of an error refers to the reader
        if side.process.files:
            gc.collect()  # a reader ends with its generator
            await asyncio.sleep(120)  # for a disk that stands still
            gc.collect()
        if side.process.files:
            left = sorted(file.path for file in side.process.files.values())
            self._fault(f"the {name} leaves {left} open")

    def _check_both(self, sender: _Side, receiver: _Side, faults: Trial, *, clean: bool) -> None:
        """Check that both sides agree."""
        if not sender.process.dead and sender.error is None:
            self._reported |= {file.path for file in sender.tally.files if file.status == "ok"}
        for name, side in (("sender", sender), ("receiver", receiver)):
            failed = side.process.dead or side.error is not None
            if not failed and not exit_status(side.tally.files) and not self._complete:
                self._fault(f"the {name} succeeds, and not all files are there")
            if not clean:
                continue
            if side.error is not None:
                self._fault(f"the {name} fails without a reason: {side.error}")
            elif exit_status(side.tally.files):
                self._fault(f"files fail at the {name} without a reason")
        if not receiver.process.dead and receiver.error is None:
            self._check_receiver(receiver)
        self._check_again(receiver)
        self._check_patience(sender, receiver, faults)

    def _check_receiver(self, receiver: _Side) -> None:
        """Check what a receiver has written and left, if it has received everything."""
        files = receiver.tally.files
        if exit_status(files):
            return
        expected = sum(len(self._plan.files[one.path]) for one in files if one.status == "ok")
        if not receiver.changed and receiver.tally.bytes != expected - receiver.resumed:
            self._fault(
                f"{receiver.tally.bytes} bytes were written, not {expected}, of which "
                f"{receiver.resumed} were there"
            )
        # A process that is killed while it renames a part leaves two names of one file.
        left = [
            path
            for path, inode in self._disks["receiver"].files()
            if path.endswith(_OWN[0]) and inode.links == 1
        ]
        if left:
            self._fault(f"{left} stay after a success")

    def _check_patience(self, sender: _Side, receiver: _Side, faults: Trial) -> None:
        """Check that the sides connect again for as long as they should, after acceptance."""
        quiet = not faults.kill_at and not faults.actions and not faults.jump_at
        accepted = sender.half.answered and receiver.half.answered
        if not (quiet and faults.lasting and accepted):
            return
        for name, side in (("sender", sender), ("receiver", receiver)):
            if side.error is not None and self._waited < faults.limit - _UNDECIDED:
                self._fault(f"the {name} gives up after {self._waited:.1f} s: {side.error}")

    def _check_again(self, receiver: _Side) -> None:
        """Check that no more was received again than the journal allows."""
        if self._lossy:
            return
        for path, written in receiver.process.written.items():
            name = path.removeprefix("/out/").removesuffix(_OWN[0])
            content = self._plan.files.get(name)
            if content is None or len(content) < MIN_SIZE:
                continue
            again = written - (len(content) - self._written.get(name, 0))
            if again > INTERVAL + self._plan.block:
                self._fault(f"{again} bytes of {name} that were there are received again")

    def _note_written(self) -> None:
        self._written.clear()
        for path, inode in self._disks["receiver"].files():
            name = path.removeprefix("/out/")
            if name in self._plan.files and self._plan.existing is Existing.SKIP:
                self._written[name] = len(self._plan.files[name])
            elif name.endswith(_OWN[0]):
                self._written.setdefault(name.removesuffix(_OWN[0]), len(inode.content))


def simulate(seed: int, *, shown: bool = False) -> Result:
    """Carry out the simulation of a seed."""
    loop = SimulatedLoop()
    log = Log(loop.time, shown=shown)
    OWNERS.clear()
    gc.disable()
    try:
        with simulated():
            simulation = Simulation(seed, loop, log)
            loop.set_exception_handler(lambda _, context: _unexpected(simulation, context))
            loop.allow(_LIMIT, _TURNS)
            try:
                loop.run_until_complete(simulation.run())
            except Hang as hang:
                simulation.faults.append(f"hang: {hang}")
            result = Result(
                list(simulation.faults), log.value, simulation.runs, loop.time(), log.lines or []
            )
            _end(loop)
            return result
    finally:
        loop.close()
        gc.enable()


def _unexpected(simulation: Simulation, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if "handle" in context and error is not None and not isinstance(error, Dead):
        simulation.faults.append(f"an exception in the event loop: {error!r}")


def _end(loop: SimulatedLoop) -> None:
    """End all tasks that are left."""

    async def end() -> None:
        mine = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not mine]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=100) if tasks else None

    loop.allow(_LIMIT, _TURNS)
    with contextlib.suppress(Hang):
        loop.run_until_complete(end())
