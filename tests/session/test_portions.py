"""What a receiver writes in one job, and whose outcomes it keeps."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dcsend.content import Content, Data
from dcsend.files.sink import Outcome
from dcsend.session.portions import DiskJobs, Pending


def data(number: int, cost: int) -> Data:
    return Data(number, 0, b"x", cost)


async def test_portion_ends_with_the_frame_that_reaches_its_size() -> None:
    pending = Pending(100)
    content: list[Content] = [data(0, 60), data(1, 40), data(2, 150), data(3, 1)]
    pending.add(content)
    async with asyncio.timeout(10):
        taken = [await pending.take() for _ in range(3)]
    assert taken == [content[:2], content[2:3], content[3:]]
    assert not pending


async def test_portion_is_waited_for() -> None:
    pending = Pending(100)
    pending.add([data(0, 1)])
    await pending.take()
    taking = asyncio.create_task(pending.take())
    await asyncio.sleep(0)
    assert not taking.done()
    pending.add([data(1, 2)])
    assert await taking == [data(1, 2)]


async def test_outcomes_are_taken_once_and_the_portion_is_counted_once() -> None:
    counted: list[object] = []
    jobs = DiskJobs(counted.append)
    portion = [data(0, 1)]
    await jobs.run(lambda: [Outcome(0, "ok")], portion)
    await jobs.settle()
    assert jobs.take_outcomes() == [Outcome(0, "ok")]
    assert jobs.take_outcomes() == []
    assert counted == [portion]
    jobs.worker.close()


async def test_outcomes_of_a_job_whose_call_was_cancelled_are_kept() -> None:
    counted: list[object] = []
    jobs, go = DiskJobs(counted.append), threading.Event()

    def job() -> list[Outcome]:
        go.wait()
        return [Outcome(0, "ok")]

    running = asyncio.create_task(jobs.run(job, [data(0, 1)]))
    await asyncio.sleep(0)
    was_running = jobs.is_running
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (jobs.take_outcomes(), counted) == ([], [])
    go.set()
    await jobs.settle()
    assert (jobs.take_outcomes(), counted) == ([Outcome(0, "ok")], [[data(0, 1)]])
    assert (was_running, jobs.is_running) == (True, False)
    jobs.worker.close()


async def test_last_job_runs_when_the_disk_goes_on_although_its_call_was_cancelled() -> None:
    jobs, go, closed = DiskJobs(lambda portion: None), threading.Event(), threading.Event()

    def stalled() -> list[Outcome]:
        go.wait()
        return []

    def close() -> list[Outcome]:
        closed.set()
        return []

    running = asyncio.create_task(jobs.run(stalled))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await jobs.finish(close)
    jobs.worker.close()
    assert not closed.is_set()
    go.set()
    assert await asyncio.to_thread(closed.wait, 60)
