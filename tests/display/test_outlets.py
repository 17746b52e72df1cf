"""Output that is not read: it is kept in order, progress replaces itself, and nothing waits."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from dcsend.display.outlets import Outlet, Outlets
from dcsend.display.streams import Stream, echo, written_aside
from dcsend.threads import call_in_loop
from tests.support.load import Stopwatch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes as Unix has them")

FULL = 1 << 20
"Bytes that no pipe holds."


class Pipe:
    """A pipe, two streams into it, and what can be read from it."""

    def __init__(self) -> None:
        self.end, writing = os.pipe()
        self.files: list[TextIO] = [
            open(descriptor, "w", encoding="utf-8")  # noqa: SIM115 - closed below
            for descriptor in (writing, os.dup(writing))
        ]
        self.out, self.err = Stream(self.files[0]), Stream(self.files[1])

    async def read(self, size: int) -> str:
        """Read so many bytes."""

        def take() -> str:
            taken = b""
            while len(taken) < size:
                taken += os.read(self.end, size - len(taken))
            return taken.decode()

        return await asyncio.to_thread(take)

    def close(self) -> None:
        """Let go of all ends."""
        for file in self.files:
            file.close()
        os.close(self.end)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Give a pipe that is not read."""
    pipe = Pipe()
    yield pipe
    pipe.close()


def never() -> asyncio.Future[int]:
    """Return what is never set: no signal comes."""
    return asyncio.get_running_loop().create_future()


async def everything(pipe: Pipe, written: Outlets, size: int) -> str:
    """Return what is read while the end of the run waits for it."""
    text, _ = await asyncio.gather(pipe.read(size), written.finish(never()))
    return text


async def test_writer_does_not_wait_and_the_order_of_both_streams_is_kept(pipe: Pipe) -> None:
    with written_aside() as written:
        pipe.out.write("x" * FULL)
        pipe.err.line("second")
        echo(pipe.files[0].fileno(), "third\n")
        pipe.out.feed(iter(["fourth", "\n"]))
        text = await everything(pipe, written, FULL + len("second\nthird\nfourth\n"))
    assert text.lstrip("x") == "second\nthird\nfourth\n"


async def test_of_what_is_passing_the_newest_is_written(pipe: Pipe) -> None:
    with written_aside() as written:
        pipe.out.write("x" * FULL)
        for number in range(1000):
            pipe.out.write(f"progress {number}\n", passing=True)
        pipe.out.line("event")
        pipe.out.write("progress!\n", passing=True)
        text = await everything(pipe, written, FULL + len("event\nprogress!\n"))
    assert text.lstrip("x") == "event\nprogress!\n"


async def test_room_is_awaited_until_enough_is_read(pipe: Pipe) -> None:
    with written_aside() as written:
        for _ in range(3):
            pipe.out.write("x" * FULL)
        waiting = asyncio.create_task(written.room(FULL))
        await asyncio.sleep(0)
        assert not waiting.done()
        await pipe.read(2 * FULL)
        await asyncio.wait_for(waiting, 20)
        await everything(pipe, written, FULL)


@pytest.mark.full
async def test_end_waits_for_the_reader_and_after_a_signal_hardly(pipe: Pipe) -> None:
    with written_aside() as written:
        pipe.out.write("x" * FULL)
        interrupt = never()
        ending = asyncio.create_task(written.finish(interrupt))
        _, pending = await asyncio.wait({ending}, timeout=0.3)
        assert pending
        watch = Stopwatch()
        interrupt.set_result(2)
        await asyncio.wait_for(ending, 150)
        watch.assert_within(1)
        await pipe.read(FULL)


async def test_output_to_a_closed_pipe_is_discarded_without_a_wait(pipe: Pipe) -> None:
    with written_aside() as written:
        pipe.out.write("x" * FULL)
        waiting = asyncio.create_task(written.room(1000))
        await asyncio.sleep(0)
        os.close(pipe.end)
        await asyncio.wait_for(waiting, 20)
        pipe.out.line("lost")
        await written.finish(never())
    pipe.end = os.open(os.devnull, os.O_RDONLY)


async def test_pipe_that_another_program_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.files[0].fileno(), False)
    with written_aside() as written:
        pipe.out.write("x" * FULL)
        pipe.out.line("end")
        text = await everything(pipe, written, FULL + 4)
    assert text.endswith("xend\n")


async def lost(descriptor: int, size: int = FULL) -> list[str]:
    """Write to a file in a thread; return the lines about lost output at the end."""
    lines: list[str] = []
    with written_aside() as written:
        echo(descriptor, "x" * size)
        await written.finish(never(), lines.append)
    return lines


async def test_output_without_a_reader_is_not_reported_as_incomplete(pipe: Pipe) -> None:
    os.close(pipe.end)
    assert await lost(pipe.files[0].fileno()) == []
    pipe.end = os.open(os.devnull, os.O_RDONLY)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
async def test_output_on_a_full_disk_is_reported_as_incomplete() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    message = "dcsend: the output of --json-to is incomplete: no space left on device"
    assert await lost(full) == [message]
    os.close(full)


async def test_nothing_is_written_after_a_lost_piece() -> None:
    turns: asyncio.Queue[None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def turn() -> None:
        call_in_loop(loop, turns.put_nowait, None)

    outlet = Outlet("test", turn)
    written: list[bytes] = []

    def fail(piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    outlet.put(fail, [b"first"], 5, passing=False)
    await turns.get()
    outlet.put(written.append, [b"second"], 6, passing=False)
    assert (outlet.size, outlet.loss) == (0, "no space left on device")
    other = Outlet("other", turn)
    other.put(written.append, [b"other"], 5, passing=False)
    await turns.get()
    assert written == [b"other"]
