"""The receiving half with a slow disk, a small window, and an early end."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dcsend.content import Content
from dcsend.entry import Existing
from dcsend.errors import ConnectionFailed, Interrupted
from dcsend.files.directory_sink import DirectorySink
from dcsend.files.sink import Outcome
from dcsend.protocol.limits import MAX_FRAME
from dcsend.session.advice import how_to_go_on
from dcsend.session.control import Control
from dcsend.session.conversation import TransferHalf
from dcsend.session.events import Progressed
from tests.support.halves import SETTINGS, both, receiver, sender
from tests.support.memory import connected_pair

CONTENT = bytes(range(256)) * 4096
"1 MiB."


@pytest.fixture
def source_file(tmp_path: Path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("window", [1, 30_000, 3_000_000])
async def test_holes_fit_any_window(tmp_path: Path, window: int) -> None:
    """A small window gets short holes, as it gets short frames, so the transfer does not stall."""
    path, size = tmp_path / "sparse", 30_000_000
    with path.open("wb") as file:
        file.write(b"begin")
        file.seek(size - 3)
        file.write(b"end")
    settings = dataclasses.replace(SETTINGS, window=window)
    left, right = connected_pair()
    sending, receiving = sender(left, path), receiver(right, tmp_path / "in", settings)
    assert await both(sending, receiving) == (None, None)
    assert sending.tally.bytes == receiving.tally.bytes == size
    assert sending.tally.files[0].sha256 == receiving.tally.files[0].sha256


class Delivered:
    """Counts the bytes of the frames that were delivered to the receiver."""

    def __init__(self) -> None:
        self.bytes = 0
        self.each: Callable[[], None] = lambda: None
        "Called after each frame."
        self._changed = threading.Condition()

    def __call__(self, message: bytes | str) -> bytes | str:
        """Count a message if it is a frame; for `connected_pair`."""
        if isinstance(message, bytes):
            with self._changed:
                self.bytes += len(message)
                self._changed.notify_all()
            self.each()
        return message

    def wait(self, count: int) -> None:
        """Wait, in another thread, until so many bytes were delivered."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.bytes >= count, 150)


class Folder(DirectorySink):
    """A folder with operations before and after each write, in the disk thread."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, existing=Existing.REFUSE)
        self.costs: list[int] = []
        "Bytes of frames of each portion that was written."
        self.more: list[bool] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[list[Outcome]], None] = lambda outcomes: None

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """As that of the sink."""
        self.before()
        outcomes = super().apply(portion, more=more)
        self.costs.append(sum(content.cost for content in portion))
        self.more.append(more)
        self.after(outcomes)
        return outcomes


async def test_a_slow_disk_holds_no_more_than_the_window(tmp_path: Path, source_file: Path) -> None:
    window = 200_000
    settings = dataclasses.replace(SETTINGS, window=window)
    delivered, sink = Delivered(), Folder(tmp_path / "in")
    held: list[int] = []
    delivered.each = lambda: held.append(delivered.bytes - sum(sink.costs))
    left, right = connected_pair(delivered)
    sending = sender(left, source_file, settings)
    receiving = receiver(right, tmp_path / "in", settings, sink=sink)
    assert await both(sending, receiving) == (None, None)
    assert window // 2 < max(held) <= window


async def test_a_slow_disk_acknowledges_in_pieces(tmp_path: Path) -> None:
    """Frames received during a slow write are written and acknowledged by the MiB."""
    source_file = tmp_path / "large"
    source_file.write_bytes(bytes(range(256)) * 20_000)
    size = source_file.stat().st_size
    delivered, sink = Delivered(), Folder(tmp_path / "in")
    sink.before = lambda: delivered.wait(min(size, sum(sink.costs) + 3_000_000))
    left, right = connected_pair(delivered)
    sending = sender(left, source_file, SETTINGS)
    receiving = receiver(right, tmp_path / "in", SETTINGS, sink=sink)
    assert await both(sending, receiving) == (None, None)
    assert max(sink.costs[:-1]) > 500_000
    assert max(sink.costs) < 1024 * 1024 + MAX_FRAME
    assert any(sink.more), "the sink did not get more=True"
    assert not sink.more[-1]


class LostWhileSyncing(DirectorySink):
    """A folder whose first portion is being synced when the connection is lost."""

    def apply(self, portion: Sequence[Content], *, more: bool = False) -> list[Outcome]:
        """Write, return no outcome."""
        assert super().apply(portion, more=True) == []
        raise ConnectionFailed("lost while they are being synced")


async def test_complete_files_are_saved_and_reported_after_an_early_end(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(name)
    left, right = connected_pair()
    sink = LostWhileSyncing(tmp_path / "in", existing=Existing.REFUSE)
    # The disk of a busy machine is slow.
    receiving = receiver(right, tmp_path / "in", sink=sink, closing=150.0)
    _, error = await both(sender(left, folder), receiving)
    assert isinstance(error, ConnectionFailed)
    assert sorted(file.path for file in receiving.tally.files) == [
        "folder/a",
        "folder/b",
        "folder/c",
    ]
    for file in receiving.tally.files:
        assert file.status == "ok"
        assert file.saved is not None
        assert file.saved.read_text() == file.path[-1]


class Closing:
    """A half that sets an event when it is closed."""

    def __init__(self, half: TransferHalf[None]) -> None:
        self.half = half
        self.closes = threading.Event()

    @property
    def control(self) -> Control:
        """As that of the half."""
        return self.half.control

    async def run(self) -> None:
        """As that of the half."""
        await self.half.run()

    async def close(self) -> None:
        """As that of the half."""
        self.closes.set()
        await self.half.close()


async def test_a_file_that_is_written_during_a_cancel_is_reported(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    sink = Folder(tmp_path / "in")
    sending = sender(left, source_file)
    receiving = receiver(right, tmp_path / "in", sink=sink, closing=150.0)
    half = Closing(receiving.half)
    loop = asyncio.get_running_loop()

    def cancel(outcomes: list[Outcome]) -> None:
        if outcomes:
            loop.call_soon_threadsafe(receives.cancel)
            assert half.closes.wait(150)

    sink.after = cancel
    sends = asyncio.create_task(sending.run())
    receives = asyncio.create_task(receiving.conversation.run(half))
    with pytest.raises(asyncio.CancelledError):
        await receives
    await receiving.connection.close()
    await sends
    assert [(file.path, file.status) for file in receiving.tally.files] == [("film.bin", "ok")]
    error = Interrupted(signal.SIGINT)
    hint = how_to_go_on(SETTINGS, "receiver", receiving.tally, error)
    assert hint == "everything was received and verified, but the other side was not notified"
    last = [event for event in receiving.events if isinstance(event, Progressed)][-1]
    assert last.bytes == last.total == len(CONTENT)


async def test_receiver_that_is_interrupted_during_its_last_write_completes_the_transfer(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    sink = Folder(tmp_path / "in")
    sending = sender(left, source_file)
    # The disk of a busy machine is slow.
    receiving = receiver(right, tmp_path / "in", sink=sink, last_steps=150.0)
    loop = asyncio.get_running_loop()

    async def interrupt() -> None:
        receives.cancel()
        for _ in range(20):  # turns of the loop, in which the cancel reaches the last task
            await asyncio.sleep(0)

    def stop(outcomes: list[Outcome]) -> None:
        if outcomes:
            asyncio.run_coroutine_threadsafe(interrupt(), loop).result(150)

    sink.after = stop
    sends = asyncio.create_task(sending.run())
    receives = asyncio.create_task(receiving.run())
    with pytest.raises(asyncio.CancelledError):
        await receives
    assert receiving.tally.complete
    assert await sends is None
    assert [file.status for file in sending.tally.files] == ["ok"]


@pytest.mark.usefixtures("nothing_raised")
async def test_receiver_that_is_interrupted_twice_during_its_last_write_ends_it(
    tmp_path: Path, source_file: Path
) -> None:
    left, right = connected_pair()
    sink = Folder(tmp_path / "in")
    sending = sender(left, source_file)
    receiving = receiver(right, tmp_path / "in", sink=sink, last_steps=150.0)
    loop = asyncio.get_running_loop()

    async def interrupt() -> None:
        for _ in range(2):
            receives.cancel()
            for _ in range(20):  # turns of the loop, in which the cancel reaches the last task
                await asyncio.sleep(0)
        await receiving.connection.close()

    def stop(outcomes: list[Outcome]) -> None:
        if outcomes:
            asyncio.run_coroutine_threadsafe(interrupt(), loop).result(150)

    sink.after = stop
    sends = asyncio.create_task(sending.run())
    receives = asyncio.create_task(receiving.run())
    with pytest.raises(asyncio.CancelledError):
        await receives
    await sends
    gc.collect()  # of a task whose error nothing has retrieved, an error reaches the loop
