"""One simulation: runs with faults, then one without, until everything has arrived.

Checked at each step: see `checks`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from dcsend.errors import DcsendError, TimedOut
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.source import FileSource
from dcsend.peers.contract import Connection
from dcsend.session.arrivals import Arrivals
from dcsend.session.control import ConnectedPeer
from dcsend.session.events import Event, ManifestKnown
from dcsend.session.incoming import Incoming
from dcsend.session.lasting import LastingConnection
from dcsend.session.links import BegunAnew
from dcsend.session.outcome import Tally
from dcsend.session.outgoing import Outgoing
from dcsend.session.story import _converse
from tests.simulation.checks import Checks, Side
from tests.simulation.loop import Hang, SimulatedLoop
from tests.simulation.machines import make_sources, occupy
from tests.simulation.network import End, Network, WayBack
from tests.simulation.plan import Trial, plan, trial
from tests.simulation.process import CURRENT, OWNERS, Dead, Log, Process
from tests.simulation.seams import SimulatedWorker, simulated

__all__ = ["Result", "simulate"]

_LIMIT: Final = 900.0
"Seconds of the simulation for one run."
_TURNS: Final = 100_000
"Of the event loop, for one run."
_EXPIRES: Final = 100.0
"Seconds for which a code works without a peer."
_RETURNS: Final = 5
"How often a code is given back."
_DIALS: Final = 3
"Processes that use one code, at most."
_OTHER: Final = {"sender": "receiver", "receiver": "sender"}


class Result(NamedTuple):
    """What a simulation has shown."""

    faults: list[str]
    digest: str
    "Of its log."
    runs: int
    seconds: float
    "Of the simulated clock."
    lines: list[str]


class _Arrivals:
    """The peers of one process; see `session.arrivals.Arrivals`."""

    is_last = False
    once = ""

    def __init__(
        self, process: Process, network: Network, first: End, faults: Trial, tally: Tally
    ) -> None:
        self.ends = [first]
        self._process = process
        self._network = network
        self._faults = faults
        self._tally = tally
        self._returns = _RETURNS if first.name == "listener" else 0
        self._connection: LastingConnection | End | None = None

    async def next(self) -> Connection:
        """Return the first peer, or the next dialer."""
        if self._connection is not None:
            try:
                async with asyncio.timeout(_EXPIRES):
                    self.ends.append(await self._network.dialed.get())
            except TimeoutError:
                raise TimedOut("the code has expired") from None
            if self._process.dead:
                await asyncio.Event().wait()
        self._connection = end = self.ends[-1]
        if self._faults.lasting:
            way = WayBack(self._network, self._process, self.ends)
            limit = self._faults.limit
            self._connection = LastingConnection(end, way, self._tally.emit, limit)
        return self._connection

    def accepted(self) -> None:
        """Let the connection last."""
        if isinstance(self._connection, LastingConnection):
            self._connection.accepted()

    async def parted(self, error: DcsendError, *, introduced: bool, is_last: bool = False) -> None:
        """Give the code back, if this side has shown it."""
        if not self._returns:
            raise error
        self._returns -= 1
        await self.close()

    async def begin_anew(self, begun: BegunAnew) -> Connection:
        """As `Arrivals.begin_anew`: no side loses its state in a run."""
        raise begun

    async def displaced(self) -> None:
        """Keep the peer."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class Simulation:
    """See the module."""

    def __init__(self, seed: int, loop: SimulatedLoop, log: Log) -> None:
        self.runs = 0
        self._rng = random.Random(seed)
        self._loop = loop
        self._log = log
        self._plan = plan(self._rng)
        self.checks = Checks(self._plan, loop.time, log)
        sources, self._scan = make_sources(self._plan, loop.time)
        self._disks = {"sender": sources, "receiver": self.checks.disk}
        occupy(self.checks.disk, self._plan)

    async def run(self) -> None:
        """Carry it out."""
        for _ in range(self._plan.trials):
            if not self.checks.faults:
                await self._run(trial(self._rng), clean=False)
        if not self.checks.faults:
            await self._run(Trial(dialer=self._rng.choice(("sender", "receiver"))), clean=True)
        if not self.checks.faults and not self.checks.complete:
            self.checks.fault("not complete after a run without faults")

    async def _run(self, faults: Trial, *, clean: bool) -> None:
        """Carry out one run of the side that shows a code, and of those that enter it."""
        self.runs += 1
        self._loop.allow(_LIMIT, _TURNS)
        self._log.note("run", "begins", faults)
        rng = random.Random(self._rng.randrange(2**32))
        network = Network(rng, self._log, list(faults.cuts), faults.outage)
        dialer, listener = network.pair()
        processes: dict[str, Process] = {}
        self.checks.begin(processes)
        sides: dict[str, Side] = {}
        ended: list[Side] = []

        def on_message(count: int) -> None:
            if count == faults.kill_at and faults.killed in processes:
                processes[faults.killed].kill(power=faults.power)
            if count == faults.jump_at:
                self._log.note("clock", "jumps", faults.jump)
                self._loop.jump(faults.jump)

        def start(name: str, end: End, *, again: bool = False) -> asyncio.Task[None]:
            actions = {} if again else faults.actions.get(name, {})
            process = Process(name, self._disks[name], self._log, _fork(rng), actions)
            processes[name] = process
            return asyncio.create_task(self._side(process, network, end, faults, sides))

        network.on_message = on_message
        shows = _OTHER[faults.dialer]
        waiting = start(shows, listener)
        for number in range(_DIALS):
            await asyncio.wait([start(faults.dialer, dialer, again=number > 0)])
            mine = sides[faults.dialer]
            ended.append(mine)
            failed = mine.error is not None or mine.process.dead
            await asyncio.sleep(rng.random() * 20)
            if not failed or waiting.done() or sides[shows].answered or number == _DIALS - 1:
                break
            self._log.note("run", "same code")
            dialer, listener = network.pair(number + 1)
            network.dialed.put_nowait(listener)
        await asyncio.wait([waiting])
        for side in (*ended, sides[shows]):
            await self.checks.check_end(side.process.name, side)
        self._log.note("run", "ended")
        self.checks.check_both(sides["sender"], sides["receiver"], faults, clean=clean)
        self.checks.note_written()
        self.checks.check_files()
        for side in (*ended, sides[shows]):
            side.process.exit()

    async def _side(
        self,
        process: Process,
        network: Network,
        end: End,
        faults: Trial,
        sides: dict[str, Side],
    ) -> None:
        """Run one process."""
        CURRENT.set(process)

        def emit(event: Event) -> None:
            self.checks.event(process, side, event)

        task = asyncio.current_task()
        tally = Tally(emit)
        side = sides[process.name] = Side(process, tally)
        arrivals = _Arrivals(process, network, end, faults, tally)

        def died() -> None:
            network.leave(arrivals.ends)
            if process.lost_power:
                self.checks.lose(process.name)
            if task is not None:
                self._loop.call_soon(task.cancel)

        process.on_death = died
        settings = replace(
            self._plan.settings, output="/out", existing=self._plan.existing, reconnect=faults.limit
        )

        async def half(peer: ConnectedPeer, tally: Tally, source: Arrivals) -> Outgoing | Incoming:
            side.half = self._half(peer, side, arrivals)
            return side.half

        try:
            await _converse(arrivals, half, settings, tally, None, None)
        except BaseException as error:
            side.error = error.with_traceback(None)
            error.__context__ = None
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self.checks.ends(side)
            await arrivals.close()

    def _half(self, peer: ConnectedPeer, side: Side, arrivals: _Arrivals) -> Outgoing | Incoming:
        settings = replace(self._plan.settings, output="/out", existing=self._plan.existing)
        if side.process.name == "sender":
            return Outgoing(
                peer,
                self._scan.entries,
                FileSource(self._scan, block_size=self._plan.block),
                settings,
                side.tally,
                agent="a",
                accepted=arrivals.accepted,
                worker=SimulatedWorker,
            )
        return Incoming(
            peer,
            DirectorySink(Path("/out"), existing=self._plan.existing, file_system_sync=None),
            settings,
            side.tally,
            self._decide(side),
            agent="b",
            accepted=arrivals.accepted,
            portion_size=self._plan.portion,
            worker=SimulatedWorker,
        )

    def _decide(self, side: Side) -> Callable[[ManifestKnown], Any]:
        async def decide(offer: ManifestKnown) -> bool:
            side.resumed = offer.resumed
            await asyncio.sleep(self._rng.random())
            return True

        return decide


def _fork(rng: random.Random) -> random.Random:
    return random.Random(rng.randrange(2**32))


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
                simulation.checks.faults.append(f"hang: {hang}")
            result = Result(
                list(simulation.checks.faults),
                log.value,
                simulation.runs,
                loop.time(),
                log.lines or [],
            )
            _end(loop)
            return result
    finally:
        loop.close()
        gc.enable()


def _unexpected(simulation: Simulation, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if "handle" in context and error is not None and not isinstance(error, Dead):
        simulation.checks.faults.append(f"an exception in the event loop: {error!r}")


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
