"""A receiver that stays: several senders, limits and questions, over connections in memory."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from dcsend.content import Data, Hole
from dcsend.entry import Entry, Existing
from dcsend.errors import (
    ConnectionFailed,
    DcsendError,
    DestinationError,
    Interrupted,
    PeerCannotSave,
    PeerRefused,
    TimedOut,
    UsageError,
)
from dcsend.files.sink import Plan
from dcsend.session import admission, conclusion, several
from dcsend.session.admission import Inbox
from dcsend.session.agreement import Decide
from dcsend.session.arrivals import Arrivals, Awaited
from dcsend.session.conclusion import conclude
from dcsend.session.control import ConnectedPeer
from dcsend.session.destination import make_sink
from dcsend.session.events import (
    Event,
    Finished,
    Left,
    ManifestKnown,
    OfSender,
    PeerCounts,
    Progressed,
    SenderFinished,
)
from dcsend.session.incoming import Incoming
from dcsend.session.outcome import Tally
from dcsend.session.senders import Senders, refuse_staying
from dcsend.settings import Settings, Signal
from tests.session.test_receivers import Listener
from tests.support.halves import SETTINGS, Side, sender
from tests.support.memory import connected_pair
from tests.support.peers import until

MIB = 1 << 20
STAYS = replace(SETTINGS, keep=True, existing=Existing.RENAME, reconnect=0.0, min_free=0)


async def accept(manifest: ManifestKnown) -> bool:
    return True


@dataclass
class Run:
    """A receiver that stays, and what it has emitted."""

    listener: Listener
    folder: Path
    inbox: Path
    events: list[Event]
    interrupt: asyncio.Future[int]
    task: asyncio.Task[Finished]
    number: int = 0

    def send(self, name: str, content: bytes) -> Side:
        """Return a sender of a file that has connected."""
        self.number += 1
        path = self.folder / str(self.number) / name
        path.parent.mkdir()
        path.write_bytes(content)
        os.utime(path, (0, self.number))
        ours, theirs = connected_pair()
        self.listener.waiting.put_nowait(ours)
        return sender(theirs, path)

    def of(self, number: int, kind: type[Any]) -> list[Any]:
        """Return the events of a kind of one sender."""
        events = (one for one in self.events if isinstance(one, OfSender))
        return [one.inner for one in events if one.number == number and isinstance(one.inner, kind)]

    async def ended(self, number: int) -> SenderFinished:
        """Wait for the last event of a sender."""
        await until(lambda: bool(self.of(number, SenderFinished)))
        (event,) = self.of(number, SenderFinished)
        return cast(SenderFinished, event)

    async def stop(self) -> Finished:
        """End it as Ctrl-C does."""
        self.interrupt.set_result(2)
        return await self.task

    @property
    def saved(self) -> dict[str, bytes]:
        """What is in the folder."""
        return {path.name: path.read_bytes() for path in self.inbox.iterdir()}


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for the end of a run that is interrupted: beside other tests it takes longer."""
    monkeypatch.setattr(conclusion, "_ORDERLY", 30.0)


@asynccontextmanager
async def staying(
    folder: Path, decide: Decide = accept, settings: Settings = STAYS
) -> AsyncIterator[Run]:
    """Run a receiver that stays."""
    inbox = folder / "in"
    inbox.mkdir()
    settings = replace(settings, output=str(inbox))
    listener, events = Listener(), list[Event]()
    box = Inbox(settings, decide)

    async def half(peer: ConnectedPeer, tally: Tally, arrivals: Arrivals) -> Incoming:
        admitted = box.admission(tally)
        return Incoming(
            peer,
            make_sink(settings, None, unattended=True),
            settings,
            tally,
            admitted.decide,
            anew=lambda existing: make_sink(settings, None, unattended=True),
            agent="a",
            accepted=arrivals.accepted,
            admission=admitted,
        )

    async def story(tally: Tally) -> None:
        awaited = Awaited(cast(Any, listener), listener.accept, tally.emit, hold=120)
        await Senders(awaited, half, settings, tally, None).serve()

    interrupt: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(conclude(story, events.append, "receiver", interrupt))
    try:
        yield Run(listener, folder, inbox, events, interrupt, task)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_senders_at_once_and_later_are_received_and_same_names_get_numbers(
    tmp_path: Path,
) -> None:
    contents = [os.urandom(2 * MIB) for _ in range(3)]
    async with staying(tmp_path) as run:
        sides = [run.send("film.bin", content) for content in contents[:2]]
        assert await asyncio.gather(*(side.run() for side in sides)) == [None, None]
        assert await run.send("film.bin", contents[2]).run() is None
        for number in (1, 2, 3):
            assert (await run.ended(number)).ok
        done = await run.stop()
    assert sorted(run.saved) == ["film (1).bin", "film (2).bin", "film.bin"]
    assert set(run.saved.values()) == set(contents)
    assert (done.exit, done.bytes, done.senders) == (0, 6 * MIB, PeerCounts(complete=3))
    assert len(run.listener.left) == 3
    assert [len(run.of(number, ManifestKnown)) for number in (1, 2, 3)] == [1, 1, 1]


async def test_memory_of_senders_that_have_ended_is_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halves() -> int:
        return sum(type(one) is Incoming for one in gc.get_objects())

    monkeypatch.setattr(several, "_GARBAGE", 2)
    gc.collect()
    before = halves()
    gc.disable()
    try:
        async with staying(tmp_path) as run:
            for number in (1, 2):
                assert await run.send("film.bin", b"film").run() is None
                assert (await run.ended(number)).ok
            await until(lambda: halves() == before, 5)
    finally:
        gc.enable()


async def test_offers_are_asked_about_one_after_the_other_and_a_sender_that_leaves_frees_the_turn(
    tmp_path: Path,
) -> None:
    asked: list[int] = []
    answers: dict[int, asyncio.Future[bool]] = {}

    async def decide(manifest: ManifestKnown) -> bool:
        asked.append(manifest.sender)
        answers[manifest.sender] = asyncio.get_running_loop().create_future()
        return await answers[manifest.sender]

    async with staying(tmp_path, decide) as run:
        first, second, third = (run.send(name, name.encode()) for name in "abc")
        tasks = [asyncio.create_task(side.run()) for side in (first, second, third)]
        await until(lambda: all(run.of(number, ManifestKnown) for number in (1, 2, 3)))
        await until(lambda: len(asked) == 1)
        sides = {1: first, 2: second, 3: third}
        gone = asked[0]
        sides[gone].connection.cut()
        await until(lambda: len(asked) == 2 and bool(run.of(gone, Left)))
        assert run.of(gone, Left)[0].again
        answers[asked[1]].set_result(False)
        await until(lambda: len(asked) == 3)
        answers[asked[2]].set_result(True)
        results = await asyncio.gather(*tasks)
        ended = await run.ended(asked[2])
        done = await run.stop()
    assert ended.ok
    assert isinstance(results[asked[1] - 1], PeerRefused)
    assert results[asked[2] - 1] is None
    assert (done.exit, done.senders) == (0, PeerCounts(complete=1, declined=1))


async def test_sender_that_is_lost_floods_or_breaks_the_protocol_affects_no_other_one(
    tmp_path: Path,
) -> None:
    async with staying(tmp_path) as run:
        lost, hostile = run.send("lost", os.urandom(4 * MIB)), run.send("hostile", b"x")
        good = run.send("good", os.urandom(4 * MIB))

        def cut(event: Event) -> None:
            if isinstance(event, Progressed):
                lost.connection.cut()

        lost.tally.emit = cut  # type: ignore[misc]
        hostile.connection.memory_channels["data"].send(b"no frame")
        hostile.connection.memory_channels["control"].send("{")
        errors = await asyncio.gather(lost.run(), hostile.run(), good.run())
        assert isinstance(errors[0], ConnectionFailed)
        assert errors[1] is not None
        assert errors[2] is None
        assert (await run.ended(3)).ok
        assert await run.send("later", b"x").run() is None
        await run.ended(4)
        assert (await run.stop()).exit == 0
    assert {"good", "later"} <= run.saved.keys()
    assert "hostile" not in run.saved


async def test_offer_above_a_limit_is_refused_with_the_reason_and_the_run_goes_on(
    tmp_path: Path,
) -> None:
    settings = replace(STAYS, max_total=5 * MIB, max_peer=3 * MIB)
    asked: list[int] = []

    async def decide(manifest: ManifestKnown) -> bool:
        asked.append(manifest.sender)
        return True

    async with staying(tmp_path, decide, settings) as run:
        error = await run.send("large", bytes(4 * MIB)).run()
        assert isinstance(error, PeerCannotSave)
        assert "4.2 MB are offered, and at most 3.1 MB are accepted from one" in str(error)
        assert error.hint.startswith("send less; or ask the person there")
        assert await run.send("a", bytes(3 * MIB)).run() is None
        error = await run.send("b", bytes(3 * MIB)).run()
        assert isinstance(error, PeerCannotSave)
        assert "3.1 MB are offered, and only 2.1 MB more are accepted" in str(error)
        assert error.hint.startswith("send less; or ask the person there")
        assert await run.send("c", bytes(MIB)).run() is None
        await run.ended(4)
        done = await run.stop()
    assert asked == [2, 4]
    assert sorted(run.saved) == ["a", "c"]
    assert done.senders == PeerCounts(complete=2)
    assert [len(run.of(number, Left)) for number in (1, 3)] == [1, 1]


async def test_what_an_interrupted_transfer_has_not_written_counts_no_longer(
    tmp_path: Path,
) -> None:
    settings = replace(STAYS, max_total=5 * MIB)
    async with staying(tmp_path, accept, settings) as run:
        lost = run.send("lost", os.urandom(4 * MIB))

        def cut(event: Event) -> None:
            if isinstance(event, Progressed):
                lost.connection.cut()

        lost.tally.emit = cut  # type: ignore[misc]
        assert isinstance(await lost.run(), ConnectionFailed)
        written = (await run.ended(1)).bytes
        assert written < 3 * MIB
        assert await run.send("b", bytes(5 * MIB - written)).run() is None
        assert isinstance(await run.send("c", bytes(1)).run(), PeerCannotSave)


async def test_files_that_a_sender_gives_up_after_the_acceptance_use_up_no_limit(
    tmp_path: Path,
) -> None:
    async def decide(manifest: ManifestKnown) -> bool:
        if manifest.sender == 1:
            os.truncate(tmp_path / "1" / "a", 0)
        return True

    async with staying(tmp_path, decide, replace(STAYS, max_total=5 * MIB)) as run:
        await run.send("a", bytes(5 * MIB)).run()
        assert not (await run.ended(1)).bytes
        assert await run.send("b", bytes(5 * MIB)).run() is None


def tally(number: int) -> Tally:
    return Tally(lambda event: None, number)


def plan_of(*sizes: int | None) -> tuple[list[Entry], Plan]:
    return [Entry(f"{number}", size=size) for number, size in enumerate(sizes)], Plan()


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (Settings(max_total=8191), True),
        (Settings(max_total=8192), False),
        (Settings(max_peer=8191), True),
        (Settings(max_peer=8192), False),
    ],
)
def test_each_entry_counts_a_block_at_least(
    settings: Settings, refused: bool, tmp_path: Path
) -> None:
    inbox = Inbox(replace(settings, output=str(tmp_path), min_free=0), accept)
    one = inbox.admission(tally(1))
    if refused:
        with pytest.raises(DestinationError):
            one.check(*plan_of(0, 1))
    else:
        one.check(*plan_of(0, 1))


def test_what_is_there_or_not_wanted_does_not_count(tmp_path: Path) -> None:
    inbox = Inbox(Settings(output=str(tmp_path), max_total=10_000, min_free=0), accept)
    entries, _ = plan_of(10_000, 10_000)
    inbox.admission(tally(1)).check(entries, Plan(skip={0: "same"}))
    with pytest.raises(DestinationError):
        inbox.admission(tally(1)).check(entries, Plan())


def test_content_of_unknown_size_is_stopped_at_the_limit(tmp_path: Path) -> None:
    inbox = Inbox(Settings(output=str(tmp_path), max_total=3 * MIB, min_free=0), accept)
    stream, other = inbox.admission(tally(1)), inbox.admission(tally(2))
    stream.reserve(*plan_of(None))
    other.reserve(*plan_of(MIB))
    block = bytes(MIB - 4096)
    stream.admit([Data(0, 0, block)])
    stream.admit([Hole(0, MIB, MIB - 4096)])
    with pytest.raises(DestinationError):
        stream.admit([Data(0, MIB, block)])
    # The other one has what it has reserved.
    other.admit([Data(0, 0, bytes(MIB))])


def test_disk_is_not_filled_beyond_what_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10 * MIB
    monkeypatch.setattr(admission, "free_room", lambda root: free)
    inbox = Inbox(Settings(output=str(tmp_path), min_free=4 * MIB), accept)
    one, two = inbox.admission(tally(1)), inbox.admission(tally(2))
    one.reserve(*plan_of(4 * MIB))
    with pytest.raises(DestinationError, match=r"4\.2 MB of the disk stay free"):
        two.check(*plan_of(3 * MIB))
    two.check(*plan_of(2 * MIB))
    one.admit([Data(0, 0, bytes(2 * MIB))])
    # Another program fills the disk meanwhile.
    free = 5 * MIB
    with pytest.raises(DestinationError):
        one.admit([Data(0, 2 * MIB, bytes(2 * MIB))])
    one.end()
    one.end()
    free = 10 * MIB
    two.check(*plan_of(6 * MIB))


async def test_code_that_expires_is_an_error_only_if_nothing_was_received(tmp_path: Path) -> None:
    for complete in (0, 1):
        (tmp_path / str(complete)).mkdir()
        async with staying(tmp_path / str(complete)) as run:
            for _ in range(complete):
                assert await run.send("a", b"x").run() is None
                await run.ended(1)
            run.listener.waiting.put_nowait(TimedOut("no device connected"))
            if complete:
                assert (await run.task).exit == 0
            else:
                with pytest.raises(TimedOut):
                    await run.task


async def test_signal_ends_a_receiver_that_stays_with_success_unless_it_is_receiving(
    tmp_path: Path,
) -> None:
    for is_receiving in (False, True):
        (tmp_path / str(is_receiving)).mkdir()
        async with staying(tmp_path / str(is_receiving)) as run:
            if not is_receiving:
                assert (await run.stop()).exit == 0
                continue
            side = run.send("a", os.urandom(20 * MIB))
            sending = asyncio.create_task(side.run())
            await until(lambda: bool(run.of(1, Progressed)))
            with pytest.raises(Interrupted):
                await run.stop()
            assert isinstance(await sending, DcsendError)


async def test_answer_that_would_replace_files_is_refused(tmp_path: Path) -> None:
    async def replaces(manifest: ManifestKnown) -> Existing:
        return Existing.OVERWRITE

    inbox = Inbox(replace(STAYS, output=str(tmp_path)), replaces)
    with pytest.raises(UsageError, match="never replaces files"):
        await inbox.admission(tally(1)).decide(ManifestKnown([]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "7-walrus-umbrella"}, "--keep is for the side that prints the code"),
        ({"signal": Signal.SDP}, "--keep can't be used with two codes"),
        ({"dry_run": True}, "--keep and --dry-run contradict each other"),
        ({"existing": Existing.OVERWRITE}, "--keep never replaces files"),
        ({"output": "-"}, "--keep saves in a folder"),
        ({"output": "film.iso"}, "--keep saves in a folder"),
    ],
)
def test_what_is_not_for_a_receiver_that_stays_is_refused(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        refuse_staying(replace(STAYS, **change))
    refuse_staying(STAYS)
    refuse_staying(replace(STAYS, keep=False, **change))
