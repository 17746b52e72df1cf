"""A sender with several receivers at once, over connections in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dcsend.errors import ConnectionFailed, DcsendError, TimedOut, UsageError
from dcsend.files.manifest import scan
from dcsend.files.shared import Shared
from dcsend.files.source import FileSource
from dcsend.peers.contract import Connection
from dcsend.peers.places import Asked
from dcsend.session.arrivals import Arrivals, Awaited
from dcsend.session.conclusion import conclude
from dcsend.session.control import ConnectedPeer
from dcsend.session.events import (
    Arrived,
    Event,
    Failed,
    Finished,
    Left,
    ManifestKnown,
    OfReceiver,
    PeerCounts,
    Progressed,
    ReceiverFinished,
    TextExchanged,
    Warned,
)
from dcsend.session.outcome import Tally
from dcsend.session.outgoing import Outgoing
from dcsend.session.receivers import Receivers, refuse_streams, refuse_ways
from dcsend.settings import Deadlines, Settings, Signal
from tests.support.halves import SETTINGS, Side, receiver
from tests.support.memory import MemoryConnection, connected_pair
from tests.support.peers import until

CONTENT = os.urandom(3 << 20)


@dataclass
class Listener:
    """A listener whose dialers are connected in memory."""

    asked: Asked = field(default_factory=Asked)
    limits: list[int] = field(default_factory=list)
    left: list[Connection] = field(default_factory=list)
    is_used: bool = False
    waiting: asyncio.Queue[Connection | DcsendError] = field(default_factory=asyncio.Queue)

    def is_deserted(self, connection: Connection) -> bool:
        """Return False."""
        return False

    def limit(self, places: int) -> None:
        """Note it."""
        self.limits.append(places)

    def keep(self, connection: Connection) -> None:
        """Do nothing."""

    def use_up(self) -> None:
        """Note it."""
        self.is_used = True

    async def give_back(self, connection: Connection) -> None:
        """Close the connection."""
        self.left.append(connection)
        await connection.close()

    async def accept(self) -> Connection:
        """Return the next dialer, or raise."""
        next_one = await self.waiting.get()
        if isinstance(next_one, DcsendError):
            raise next_one
        return next_one


@dataclass
class Run:
    """A sender, and what it has emitted."""

    listener: Listener
    folder: Path
    events: list[Event]
    interrupt: asyncio.Future[int]
    task: asyncio.Task[Finished]
    made: list[Outgoing]
    shared: Shared
    number: int = 0

    def connect(self) -> MemoryConnection:
        """Let a receiver connect; return its end."""
        ours, theirs = connected_pair()
        self.listener.waiting.put_nowait(ours)
        self.number += 1
        return theirs

    def receive(self, **options: Any) -> Side:  # noqa: ANN401 - those of `receiver`
        """Return a receiver that has connected."""
        return receiver(self.connect(), self.folder / f"in{self.number}", **options)

    def saved(self, number: int) -> bytes:
        """Return what a receiver has saved."""
        return (self.folder / f"in{number}" / "film.bin").read_bytes()

    def of(self, number: int, kind: type[Any]) -> list[Any]:
        """Return the events of a kind of one receiver."""
        events = (one for one in self.events if isinstance(one, OfReceiver))
        return [one.inner for one in events if one.number == number and isinstance(one.inner, kind)]


@asynccontextmanager
async def sending(
    folder: Path,
    times: int | None,
    make: Callable[[Outgoing], Outgoing] = lambda one: one,
    settings: Settings = SETTINGS,
) -> AsyncIterator[Run]:
    """Run a sender of one file for so many receivers."""
    (folder / "film.bin").write_bytes(CONTENT)
    found = scan([folder / "film.bin"])
    settings = replace(settings, times=times, reconnect=0.0)
    listener, events, made = Listener(), list[Event](), list[Outgoing]()
    shared = Shared(len(found.entries))

    async def half(peer: ConnectedPeer, tally: Tally, arrivals: Arrivals) -> Outgoing:
        source = FileSource(found, share=shared.reader())
        one = Outgoing(
            peer, found.entries, source, settings, tally, agent="a", accepted=arrivals.accepted
        )
        made.append(one)
        return make(one)

    async def story(tally: Tally) -> None:
        awaited = Awaited(cast(Any, listener), listener.accept, tally.emit, hold=120)
        await Receivers(awaited, half, settings, tally, None).serve()

    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(conclude(story, events.append, "sender", interrupt))
    try:
        yield Run(listener, folder, events, interrupt, task, made, shared)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_receivers_at_once_and_later_get_everything_and_the_file_is_read_once(
    tmp_path: Path,
) -> None:
    async with sending(tmp_path, 3) as run:
        sides = [run.receive(), run.receive()]
        assert await asyncio.gather(*(side.run() for side in sides)) == [None, None]
        at_once = run.shared.bytes_read
        assert at_once <= 1.5 * len(CONTENT)
        await until(lambda: len(run.listener.limits) == 2)
        assert not run.task.done()
        assert await run.receive().run() is None
        done = await run.task
    assert [run.saved(number) for number in (1, 2, 3)] == [CONTENT] * 3
    assert (done.ok, done.exit, done.bytes) == (True, 0, 3 * len(CONTENT))
    assert done.receivers == PeerCounts(complete=3)
    assert run.listener.limits == [2, 1]
    assert run.listener.is_used
    assert len(run.listener.left) == 3


async def test_each_receiver_has_events_of_its_own_and_the_offer_is_reported_once(
    tmp_path: Path,
) -> None:
    async with sending(tmp_path, 2) as run:
        await asyncio.gather(run.receive().run(), run.receive().run())
        await run.task
    assert len([one for one in run.events if isinstance(one, ManifestKnown)]) == 1
    for number in (1, 2):
        assert len(run.of(number, Arrived)) == len(run.of(number, ReceiverFinished)) == 1
        assert run.of(number, Progressed)[-1].bytes == len(CONTENT)
        (ended,) = run.of(number, ReceiverFinished)
        assert (ended.ok, ended.files, ended.bytes) == (True, 1, len(CONTENT))
    of_all = [one for one in run.events if not isinstance(one, OfReceiver)]
    assert [type(one) for one in of_all] == [ManifestKnown, Finished]


async def test_receiver_that_is_lost_or_declines_affects_no_other_one(tmp_path: Path) -> None:
    async def decline(manifest: ManifestKnown) -> bool:
        return False

    async with sending(tmp_path, 2) as run:
        lost, refusing, first = run.receive(), run.receive(decide=decline), run.receive()
        lost_at: list[int] = []

        def cut(event: Event) -> None:
            if isinstance(event, Progressed) and not lost_at:
                lost_at.append(event.bytes)
                lost.connection.cut()

        lost.tally.emit = cut  # type: ignore[misc]
        errors = await asyncio.gather(lost.run(), refusing.run(), first.run())
        assert isinstance(errors[0], ConnectionFailed)
        assert errors[2] is None
        assert await run.receive().run() is None
        done = await run.task
    assert (done.exit, done.receivers) == (0, PeerCounts(complete=2, failed=1, declined=1))
    kinds = [run.of(number, ReceiverFinished)[0].kind for number in (1, 2, 3, 4)]
    assert kinds == ["connection", "refused", None, None]
    assert run.saved(3) == run.saved(4) == CONTENT


async def test_defect_in_one_transfer_is_its_failure(tmp_path: Path) -> None:
    def broken(one: Outgoing) -> Outgoing:
        if len(run.made) == 1:
            raise RuntimeError("a bug")
        return one

    async with sending(tmp_path, 1, broken) as run:
        failing = run.receive()
        assert isinstance(await failing.run(), ConnectionFailed)
        assert await run.receive().run() is None
        done = await run.task
    (ended,) = run.of(1, ReceiverFinished)
    assert (ended.kind, done.exit) == ("unexpected", 0)


async def test_receiver_that_leaves_before_it_accepts_is_neither_counted_nor_limited(
    tmp_path: Path,
) -> None:
    async with sending(tmp_path, 1) as run:
        for number in range(1, 9):
            run.connect().cut()
            await until(lambda number=number: bool(run.of(number, Left)))  # type: ignore[misc]
        assert await run.receive().run() is None
        done = await run.task
    assert done.receivers == PeerCounts(complete=1)
    assert all(one.again for number in range(1, 9) for one in run.of(number, Left))


async def test_receiver_that_does_nothing_is_ended_and_the_run_goes_on(tmp_path: Path) -> None:
    settings = replace(SETTINGS, deadlines=Deadlines(hello=0.05))
    async with sending(tmp_path, 1, settings=settings) as run:
        run.connect()
        await until(lambda: bool(run.of(1, Left)))
        assert "did not introduce itself" in run.of(1, Left)[0].message
        assert run.of(1, Left)[0].again
        assert await run.receive().run() is None
        done = await run.task
    assert (done.exit, done.receivers) == (0, PeerCounts(complete=1))


async def test_transfers_go_on_when_the_code_expires(tmp_path: Path) -> None:
    going_on = asyncio.Event()

    async def slowly(manifest: ManifestKnown) -> bool:
        await going_on.wait()
        return True

    async with sending(tmp_path, None) as run:
        side = run.receive(decide=slowly)
        receiving = asyncio.create_task(side.run())
        await until(lambda: bool(run.of(1, Arrived)))
        run.listener.waiting.put_nowait(TimedOut("no device connected"))
        await until(lambda: run.listener.is_used)
        going_on.set()
        assert await receiving is None
        done = await run.task
    assert (done.exit, done.receivers) == (0, PeerCounts(complete=1))
    (note,) = (one for one in run.events if isinstance(one, Warned))
    assert "the code works no more" in note.message


@pytest.mark.parametrize(
    ("times", "complete", "message"),
    [
        (3, 1, "1 of 3 receivers have everything"),
        (None, 0, "no device connected"),
    ],
)
async def test_code_that_expires_too_early_is_an_error(
    times: int | None, complete: int, message: str, tmp_path: Path
) -> None:
    async with sending(tmp_path, times) as run:
        for _ in range(complete):
            await run.receive().run()
        run.listener.waiting.put_nowait(TimedOut("no device connected"))
        with pytest.raises(TimedOut, match=message):
            await run.task
    done = run.events[-1]
    assert isinstance(done, Finished)
    assert (done.exit, done.receivers) == (9, PeerCounts(complete=complete))


@pytest.mark.parametrize(
    ("times", "complete", "is_receiving", "status"),
    [(None, 1, False, 0), (None, 1, True, 130), (None, 0, False, 130), (2, 1, False, 130)],
)
async def test_signal_ends_a_sender_with_success_only_if_no_transfer_is_lost(
    times: int | None, complete: int, is_receiving: bool, status: int, tmp_path: Path
) -> None:
    async with sending(tmp_path, times) as run:
        for _ in range(complete):
            await run.receive().run()
        await until(lambda: sum(len(run.of(n, ReceiverFinished)) for n in (1, 2)) == complete)
        tasks = []
        if is_receiving:
            side = run.receive()
            accepted = asyncio.Event()

            def stop(event: Event) -> None:
                if isinstance(event, Progressed):
                    accepted.set()
                    side.connection.peer.memory_channels["data"].clog()

            side.tally.emit = stop  # type: ignore[misc]
            tasks.append(asyncio.create_task(side.run()))
            await accepted.wait()
        run.interrupt.set_result(2)
        with pytest.raises(DcsendError) if status else nullcontext():
            await run.task
        for task in tasks:
            assert await task is not None
    done = run.events[-1]
    assert isinstance(done, Finished)
    assert done.exit == status
    assert any(isinstance(one, Failed) for one in run.events) == bool(status)


@pytest.mark.parametrize("text", ["a line\n", "fifteen-letters"])
async def test_texts_of_one_receiver_are_read_as_fast_as_a_person_types(
    text: str, tmp_path: Path
) -> None:
    async with sending(tmp_path, None) as run:
        flooding, other = run.connect(), run.receive()
        for _ in range(200):
            assert flooding.channels["text"].send(text)
        assert await other.run() is None
    texts = [one for one in run.of(1, TextExchanged) if not one.sent]
    assert 0 < len(texts) < 50


@pytest.mark.parametrize(
    ("settings", "paths", "message"),
    [
        (Settings(times=2), ["a", "-"], "standard input can be sent to one receiver only"),
        (Settings(times=2, code="dc0"), ["a"], "--times is for the side that prints the code"),
        (Settings(times=None, signal=Signal.SDP), ["a"], "--times can't be used with two codes"),
        (Settings(times=0), ["a"], "0 receivers can't be served"),
    ],
)
def test_what_only_one_receiver_can_have_is_refused(
    settings: Settings, paths: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        refuse_ways(paths, settings)
    refuse_ways(paths, replace(settings, times=1))


def test_pipe_for_several_receivers_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = scan([tmp_path / "pipe"])
    with pytest.raises(UsageError, match="a pipe or device can be sent to one receiver only"):
        refuse_streams(found.entries, Settings(times=2))
    refuse_streams(found.entries, Settings())
