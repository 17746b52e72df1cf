"""A peer that is there and does nothing: each step that is not up to a person has its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcsend.entry import Entry, Existing
from dcsend.errors import ConnectionFailed, DcsendError
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.manifest import Scan, scan, scan_stream
from dcsend.files.sink import Sink
from dcsend.files.source import FileSource
from dcsend.files.stream_sink import StreamSink
from dcsend.protocol.messages import (
    Accept,
    Bye,
    Cancel,
    Complete,
    Hello,
    Manifest,
    Working,
    decode,
)
from dcsend.session.control import ConnectedPeer
from dcsend.session.conversation import Conversation, Room
from dcsend.session.events import Emit, Event, FileFinished, ManifestKnown, TextExchanged
from dcsend.session.incoming import Incoming
from dcsend.session.liveness import Deadline, random_letters
from dcsend.session.outcome import Tally
from dcsend.session.outgoing import Outgoing
from dcsend.settings import Deadlines, Settings
from tests.support.memory import MemoryConnection, connected_pair
from tests.support.scripted_peer import Peer, file_frames

SOON = Deadlines(hello=1.0, progress=1.0, working=0.1)
"Every deadline comes within a second, and Working well before it."
SETTINGS = Settings(keep_alive_interval=0.02, silence_report=5, silence_limit=10, deadlines=SOON)


async def accept(manifest: ManifestKnown) -> bool:
    return True


def receiving(
    connection: MemoryConnection,
    sink: Path | Sink,
    room: Room | None = None,
    *,
    settings: Settings = SETTINGS,
    emit: Emit = lambda event: None,
    interrupted: Callable[[], bool] | None = None,
) -> Coroutine[Any, Any, None]:
    if isinstance(sink, Path):
        sink = DirectorySink(sink, existing=Existing.REFUSE)
    talk = Conversation(connection, settings, emit, room=room, interrupted=interrupted)
    half = Incoming(
        ConnectedPeer(connection, talk), sink, settings, Tally(emit), accept, agent="dcsend"
    )
    return talk.run(half)


def sending(
    connection: MemoryConnection, found: Scan, room: Room | None = None
) -> Coroutine[Any, Any, None]:
    source = FileSource(found, block_size=1 << 20)
    tally = Tally(lambda event: None)
    talk = Conversation(connection, SETTINGS, tally.emit, room=room)
    peer = ConnectedPeer(connection, talk)
    return talk.run(Outgoing(peer, found.entries, source, SETTINGS, tally, agent="dcsend"))


@contextlib.asynccontextmanager
async def lively(connection: MemoryConnection) -> AsyncIterator[Peer]:
    """Yield a peer that does what the test wants, and sends signs of life meanwhile."""
    peer = Peer(connection)

    async def beat() -> None:
        with contextlib.suppress(ConnectionFailed):
            while True:
                peer.text.send(random_letters())
                await asyncio.sleep(0.02)

    beating = asyncio.create_task(beat())
    try:
        yield peer
    finally:
        beating.cancel()


async def given_up(peer: Peer, run: Coroutine[Any, Any, None], *, missed: str) -> None:
    """Expect the run to end by itself, and to send the peer the reason."""

    async def reason() -> Cancel:
        while True:
            message = await peer.control.receive()
            assert isinstance(message, str)
            if isinstance(received := decode(message), Cancel):
                return received

    reading = asyncio.create_task(reason())
    async with asyncio.timeout(150):
        with pytest.raises(ConnectionFailed, match=missed):
            await run
        assert (await reading).reason == "timeout"


@pytest.mark.full
async def test_peer_that_never_introduces_itself_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for role in (receiving, None):
        ours, theirs = connected_pair()
        run = role(ours, tmp_path) if role else sending(ours, scan([tmp_path / "file"]))
        async with lively(theirs) as peer:
            await given_up(peer, run, missed="did not introduce itself")


@pytest.mark.full
async def test_manifest_that_stops_in_the_middle_is_given_up(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        await peer.send_control(
            Hello((1,), "peer", "sender"), Manifest((Entry("a", size=1),), last=False)
        )
        await given_up(peer, receiving(ours, tmp_path), missed="did not complete its list")


async def test_choice_of_a_person_is_waited_for(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        run = asyncio.create_task(receiving(ours, tmp_path))
        await peer.send_control(Hello((1,), "peer", "sender"))
        _, pending = await asyncio.wait({run}, timeout=1.6)
        assert pending
        await theirs.close()
        with pytest.raises(DcsendError, match="closed the connection"):
            await run


@pytest.mark.full
async def test_sender_that_sends_no_frame_is_given_up(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        await peer.send_control(
            Hello((1,), "peer", "sender"), Manifest((Entry("a", size=9),), last=True)
        )
        await given_up(peer, receiving(ours, tmp_path), missed="sent nothing for too long")


@pytest.mark.full
async def test_sender_that_works_is_waited_for(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        run = asyncio.create_task(receiving(ours, tmp_path))
        await peer.offer(Entry("a", size=1))
        for _ in range(8):
            await peer.send_control(Working())
            _, pending = await asyncio.wait({run}, timeout=0.2)
            assert pending
        await peer.put(*file_frames(0, b"x"))
        await peer.expect(Complete)
        await peer.send_control(Bye())
        await run
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pipes of a chosen size")
async def test_sender_owes_no_frame_while_the_output_is_not_read(tmp_path: Path) -> None:
    import fcntl

    ours, theirs = connected_pair()
    reading, writing = os.pipe()
    # Shorter than a frame, so that nothing is pending while it is written.
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    settings = replace(SETTINGS, output="-")
    with os.fdopen(writing, "wb", buffering=0) as stdout, os.fdopen(reading, "rb") as output:
        async with lively(theirs) as peer:
            run = asyncio.create_task(receiving(ours, StreamSink(stdout), settings=settings))
            await peer.offer(Entry("a", size=120_000))
            first, *others = file_frames(0, bytes(120_000))
            await peer.put(first)
            assert await asyncio.to_thread(output.read, 1)  # it is being written
            await peer.send_control(Working())
            done, _ = await asyncio.wait({run}, timeout=1.6)
            reader = asyncio.create_task(asyncio.to_thread(output.read, 119_999))
            if not done:
                await peer.put(*others)
                await peer.expect(Complete)
                await peer.send_control(Bye())
            await run
            assert len(await reader) == 119_999


@pytest.mark.full
async def test_answer_that_stops_in_the_middle_is_given_up(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("x")
    ours, theirs = connected_pair()
    found = scan([tmp_path / "a", tmp_path / "b"])
    async with lively(theirs) as peer:
        part = Accept(1 << 20, ((0, "exists"),), (), last=False)
        await peer.send_control(Hello((1,), "peer", "receiver"), part)
        await given_up(peer, sending(ours, found), missed="did not complete its answer")


@pytest.mark.full
async def test_receiver_that_acknowledges_nothing_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        await peer.send_control(Hello((1,), "peer", "receiver"), Accept(1 << 20))
        run = sending(ours, scan([tmp_path / "file"]))
        await given_up(peer, run, missed="acknowledged nothing")


@pytest.mark.full
async def test_receiver_that_never_sends_complete_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    ours, theirs = connected_pair()
    async with lively(theirs) as peer:
        await peer.send_control(Hello((1,), "peer", "receiver"), Accept(1 << 20))
        run = asyncio.create_task(sending(ours, scan([tmp_path / "file"])))
        await peer.next_frame()
        await peer.acknowledge()
        with pytest.raises(ConnectionFailed, match="acknowledged nothing"):
            await run


async def test_receiver_that_gets_no_bye_ends_well(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    settings = replace(SETTINGS, deadlines=replace(SOON, bye=0.2))
    async with lively(theirs) as peer:
        run = asyncio.create_task(receiving(ours, tmp_path, settings=settings))
        await peer.offer(Entry("a", size=1))
        await peer.put(*file_frames(0, b"x"))
        await peer.expect(Complete)
        await run
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.full
async def test_bye_is_waited_for_while_the_sender_is_not_connected(tmp_path: Path) -> None:
    """It may not have the last verdict."""
    ours, theirs = connected_pair()
    is_interrupted = False
    settings = replace(SETTINGS, deadlines=replace(SOON, bye=0.2))
    async with lively(theirs) as peer:
        run = asyncio.create_task(
            receiving(ours, tmp_path, settings=settings, interrupted=lambda: is_interrupted)
        )
        await peer.offer(Entry("a", size=1))
        is_interrupted = True
        await peer.put(*file_frames(0, b"x"))
        await peer.expect(Complete)
        _, pending = await asyncio.wait({run}, timeout=1.5)
        assert pending
        is_interrupted = False
        await run


@pytest.mark.full
async def test_source_that_pauses_is_waited_for(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stdin:
        left, right = connected_pair()
        found = scan_stream(stdin, "stream")
        both = asyncio.gather(sending(left, found), receiving(right, tmp_path))
        os.write(writing, b"first")
        done, _ = await asyncio.wait({both}, timeout=1.6)
        assert not done
        os.write(writing, b", second")
        os.close(writing)
        await both
    assert (tmp_path / "stream").read_bytes() == b"first, second"


@pytest.mark.full
async def test_pipe_that_is_not_read_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    reading, writing = os.pipe()
    left, right = connected_pair()
    events: list[Event] = []
    with os.fdopen(writing, "wb", buffering=0) as stdout:
        settings = replace(SETTINGS, output="-")
        both = asyncio.gather(
            sending(left, scan([tmp_path / "file"])),
            receiving(right, StreamSink(stdout), settings=settings, emit=events.append),
        )
        done, _ = await asyncio.wait({both}, timeout=1.6)
        assert not done

        reader = asyncio.create_task(asyncio.to_thread(_read, reading, 1_000_000))
        await both
        assert await reader == 1_000_000
    os.close(reading)
    assert any(isinstance(event, FileFinished) and event.status == "ok" for event in events)


@pytest.mark.full
@pytest.mark.parametrize("slow", ["receiver", "sender"])
async def test_events_that_are_not_read_hold_the_transfer_up_and_do_not_end_it(
    tmp_path: Path, slow: str
) -> None:
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    left, right = connected_pair()
    read = asyncio.Event()

    async def room() -> None:
        await read.wait()

    found = scan([tmp_path / "file"])
    receiver = receiving(right, tmp_path / "in", room if slow == "receiver" else None)
    both = asyncio.gather(sending(left, found, room if slow == "sender" else None), receiver)
    done, _ = await asyncio.wait({both}, timeout=1.6)
    assert not done
    read.set()
    await both
    assert (tmp_path / "in" / "file").stat().st_size == 1_000_000


async def test_nothing_is_acknowledged_while_events_are_not_read(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    read = asyncio.Event()

    async def room() -> None:
        await read.wait()

    async with lively(theirs) as peer:
        run = asyncio.create_task(receiving(ours, tmp_path, room))
        await peer.offer(Entry("a", size=1))
        await peer.put(*file_frames(0, b"x"))
        received = decode(str(await peer.control.receive()))
        assert isinstance(received, Working)
        read.set()
        await peer.expect(Complete)
        await peer.send_control(Bye())
        await run


@pytest.mark.full
async def test_lines_that_are_not_read_stay_with_the_sender_and_silence_is_no_fault(
    tmp_path: Path,
) -> None:
    ours, theirs = connected_pair()
    read = asyncio.Event()

    async def room() -> None:
        await read.wait()

    peer = Peer(theirs)
    events: list[Event] = []
    settings = Settings(keep_alive_interval=0.05, silence_report=0.2, silence_limit=0.4)
    run = asyncio.create_task(
        receiving(ours, tmp_path, room, settings=settings, emit=events.append)
    )
    await peer.send_control(Hello((1,), "peer", "sender"))
    peer.text.send("hello\n")
    _, pending = await asyncio.wait({run}, timeout=0.8)
    assert pending
    assert not any(isinstance(event, TextExchanged) and not event.sent for event in events)
    read.set()
    with pytest.raises(ConnectionFailed, match="silent"):
        await run
    assert any(isinstance(event, TextExchanged) and not event.sent for event in events)


@pytest.mark.full
async def test_peer_that_is_not_connected_misses_no_deadline(tmp_path: Path) -> None:
    ours, theirs = connected_pair()
    is_interrupted = True
    settings = Settings(
        keep_alive_interval=0.02, silence_report=0.1, silence_limit=0.2, deadlines=SOON
    )
    run = asyncio.create_task(
        receiving(ours, tmp_path, settings=settings, interrupted=lambda: is_interrupted)
    )
    peer = Peer(theirs)
    await peer.expect(Hello)
    _, pending = await asyncio.wait({run}, timeout=1.5)
    assert pending
    is_interrupted = False
    with pytest.raises(ConnectionFailed):
        await run


def _read(descriptor: int, size: int) -> int:
    """Read so many bytes."""
    left = size
    while left:
        left -= len(os.read(descriptor, left))
    return size


def test_deadline_is_over_when_it_is_lifted() -> None:
    deadline = Deadline()
    assert deadline.missed(1e9) == ""
    deadline.expect(10.0, 5.0, "sent nothing")
    assert (deadline.missed(14.9), deadline.missed(15.0)) == ("", "sent nothing")
    assert deadline.due == 15.0
    deadline.lift()
    assert deadline.missed(1e9) == ""
